package scan

import (
	"cmp"
	"slices"

	"comeback/recovery"
)

// relation is a row of pg_class that a transaction touched, and what became of
// what it stands for. At wal_level=replica nothing else in the log tells a DROP
// from a TRUNCATE, a rewrite and a REINDEX: all of them give files up.
type relation struct {
	// born: the row was inserted by the transaction.
	born, dropped, truncated, rewritten bool
	// copied: what the file had was copied to the new one, or an index was
	// built in it.
	copied bool
	// old is the file from before the transaction; its node is 0 where it
	// is not known (yet). new is the one that the transaction made.
	old, new located
	// oid is the relation's, where the log tells.
	oid uint32
	// kind is "table", "index", "toast", "sequence" or "" as far as known.
	kind string
	// swap is the relation whose file this transient one took over.
	swap *relation
	// swapped is where a rewrite was complete.
	swapped recovery.LSN
	// gone: born and dropped, or transient.
	gone bool
}

// removal is a file that will be removed with the commit, in the order in which
// they were given up.
type removal struct {
	relation *relation
	// known is the file, where the transaction made it itself.
	known located
	// drop says that a row of pg_class was deleted: views, partitioned and
	// temporary tables have one without having files in the log.
	drop bool
	// oid is the OID in the deleted row, where the log tells.
	oid uint32
}

// traced is what the deeds of a transaction come to.
type traced struct {
	relations []*relation
	removals  []removal

	rows    map[place]*relation
	pending *located
	copied  bool // the pending file
	born    *relation
	updated *relation // by the deed before, without a new file
	bare    *relation // the last row, since a lock, where it got no file
	died    *relation // the last row that was deleted
	types   int
	paired  bool // died had a row type
	index   bool
	lock    uint32 // taken immediately before, alone
	locks   int
}

// trace follows rows of pg_class through a transaction. Deeds are in the order
// of the log.
func trace(deeds []deed) *traced {
	t := &traced{rows: map[place]*relation{}}
	for _, d := range deeds {
		t.step(d)
	}
	return t
}

func (t *traced) step(d deed) {
	if d.kind != locked && d.kind != fileMade {
		t.locks = 0
	}
	switch d.kind {
	case locked:
		t.lock = d.node
		t.locks++
		t.bare = nil
	case fileMade:
		f := located{d.file, d.space}
		if d.init && t.bare != nil {
			// An unlogged index gets its file after its row.
			t.file(t.bare, f)
			t.bare = nil
			return
		}
		t.pending, t.copied, t.types = &f, false, 0
		if t.locks != 1 {
			t.lock = 0
		}
		t.locks = 0
	case imageWritten:
		if t.pending != nil && t.pending.file == d.file {
			t.copied = true
		}
		for _, r := range t.relations {
			r.copied = r.copied || r.new.file == d.file
		}
	case typeInserted, typeDeleted:
		t.types++
	case indexInserted:
		if t.born != nil {
			t.born.kind = "index"
		}
	case sequenceInserted:
		if t.born != nil {
			t.born.kind = "sequence"
		}
	case indexDeleted:
		t.index = true
	case sequenceDeleted:
		// It had no type: the one before it is the table's that comes next.
		if t.died != nil {
			t.died.kind = "sequence"
			if t.paired {
				t.types = 2
			}
		}
	case classInserted:
		t.insert(d)
	case classUpdated:
		t.update(d)
	case classDeleted:
		t.delete(d)
	}
}

func (t *traced) insert(d deed) {
	// A table comes with its row type and that one's array type.
	r := &relation{born: true, kind: "toast"}
	if t.types >= 2 {
		r.kind = "table"
	}
	if t.pending != nil {
		r.new, r.oid, r.copied = *t.pending, t.pending.node, t.copied
	}
	t.bare = nil
	if t.pending == nil {
		t.bare = r
	}
	t.pending, t.types, t.born, t.updated = nil, 0, r, nil
	t.rows[d.new] = r
	t.relations = append(t.relations, r)
}

func (t *traced) row(at place) *relation {
	r := t.rows[at]
	if r == nil {
		r = &relation{}
		t.relations = append(t.relations, r)
	}
	delete(t.rows, at)
	return r
}

func (t *traced) update(d deed) {
	r := t.row(d.old)
	t.rows[d.new] = r
	if t.pending != nil {
		copied := t.copied
		t.file(r, *t.pending)
		r.copied = copied
		t.pending, t.updated, t.bare = nil, nil, nil
		return
	}
	t.bare = r
	// The files of a relation and of a transient one are swapped: both rows
	// are updated, one right after the other.
	if t.updated != nil && r.born && t.updated != r {
		r.swap = t.updated
		t.updated = nil
		return
	}
	t.updated = r
}

// file gives a relation another file, or an unlogged one its first.
func (t *traced) file(r *relation, f located) {
	if r.born && r.new.node == 0 {
		r.new, r.oid = f, f.node
		return
	}
	t.removals = append(t.removals, removal{relation: r, known: r.new})
	if !r.born {
		r.truncated = true
		if r.oid == 0 {
			r.oid = t.lock
		}
	}
	r.new, r.copied, t.lock = f, false, 0
}

func (t *traced) delete(d deed) {
	r := t.row(d.old)
	gone := removal{relation: r, known: r.new, drop: true}
	switch {
	case r.born && r.swap != nil && !r.swap.gone:
		was := r.swap
		gone.relation, gone.known = was, was.new
		was.new, was.rewritten, was.swapped = r.new, true, d.lsn
		was.kind = cmp.Or(was.kind, r.kind)
		r.gone = true
	case r.born:
		r.gone = true
	default:
		r.dropped = true
		switch {
		case t.index:
			r.kind = "index"
		case t.types >= 2:
			r.kind = "table"
		default:
			r.kind = "toast" // or a sequence
		}
	}
	t.removals = append(t.removals, gone)
	t.died, t.paired = r, !t.index && t.types >= 2
	t.types, t.index, t.updated = 0, false, nil
}

// byOrder sorts deeds as they lie in the log.
func byOrder(deeds []deed) {
	slices.SortStableFunc(deeds, func(a, b deed) int { return cmp.Compare(a.lsn, b.lsn) })
}
