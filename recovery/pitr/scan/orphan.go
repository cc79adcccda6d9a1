package scan

import "comeback/recovery"

// orphan is a file that was made before its maker had an xid: the record has
// none. The maker gets one by what it does next, which is for the same relation:
// it locks it, where it is new, or changes its row of pg_class. Subtransactions
// make such files where the lock is held already.
type orphan struct {
	located
	lsn recovery.LSN
}

// near is how far behind its file a maker's next record may lie.
const near = 64 << 10

// orphans are those that have no maker yet, the oldest first.
type orphans []orphan

// add takes one more and forgets those that are far behind.
func (o *orphans) add(n orphan) {
	keep := (*o)[:0]
	for _, old := range *o {
		if n.lsn-old.lsn < near {
			keep = append(keep, old)
		}
	}
	*o = append(keep, n)
}

// claim finds the file of a maker whose first record is at lsn: of the relation
// with an OID, or the latest in the database where that is 0.
func (o *orphans) claim(database, oid uint32, lsn recovery.LSN) (orphan, bool) {
	list := *o
	for i := len(list) - 1; i >= 0; i-- {
		f := list[i]
		if f.database == database && (oid == 0 || oid == f.node) && f.lsn < lsn && lsn-f.lsn < near {
			*o = append(list[:i], list[i+1:]...)
			return f, true
		}
	}
	return orphan{}, false
}

// adopt gives a work its file if the first that it does says that one was made.
// Where the chunk has just begun the file may be in the older one.
func (g *gatherer) adopt(w *work, r *record, oid uint32) {
	if f, ok := g.orphans.claim(r.database, oid, r.lsn); ok {
		w.deeds = append(w.deeds, deed{lsn: f.lsn, kind: fileMade, file: f.file, space: f.space})
		return
	}
	if r.lsn-g.start < near {
		w.wants = append(w.wants, want{lsn: r.lsn, database: r.database, oid: oid})
	}
}

// want is a file that may be an orphan of the older chunk.
type want struct {
	lsn           recovery.LSN
	database, oid uint32
}

// find looks for what is wanted in the older chunk.
func (f *finished) find(o *orphans) {
	for _, w := range f.wants {
		if made, ok := o.claim(w.database, w.oid, w.lsn); ok {
			f.deeds = append(f.deeds, deed{lsn: made.lsn, kind: fileMade, file: made.file, space: made.space})
		}
	}
	f.wants = nil
}
