package scan

import (
	"slices"

	"comeback/recovery"
)

// work is what one xid did in a part of the log: counters and the few records
// of the catalogs that tell what came and went.
type work struct {
	first recovery.LSN
	bytes int64
	rows  []rowCount
	deeds []deed
	// moves are rows that left a partition and have not arrived in another;
	// arrived is the file of the first row that was inserted, where one
	// from before may arrive.
	moves     int
	arrived   file
	arrivedAt recovery.LSN
	gid       string
	// wants are files that may have been made in the older chunk.
	wants []want
	last  int // index into rows
}

// rowCount is what was done to the rows in a file.
type rowCount struct {
	file
	inserted, updated, deleted int64
	// left are updated rows that went to another partition, arrived those that came
	// from one.
	left, arrived int64
}

// deedKind is a record that tells what became of a relation.
type deedKind byte

const (
	locked        deedKind = iota // node is an OID
	fileMade                      // node
	imageWritten                  // node is a file that was made before
	fileEmptied                   // node
	classInserted                 // new
	classUpdated                  // old, new
	classDeleted                  // old
	indexInserted
	indexDeleted
	typeInserted
	typeDeleted
	sequenceInserted
	sequenceDeleted
)

// deed is one such record. A row of pg_class is known by where it lies.
type deed struct {
	lsn recovery.LSN
	file
	old, new place
	space    uint32 // fileMade
	kind     deedKind
	init     bool // fileMade, imageWritten: of an unlogged relation
}

type place struct {
	block  uint32
	offset uint16
}

// add adds what was done elsewhere, or to another file of the same table.
func (c *rowCount) add(o rowCount) {
	c.inserted += o.inserted
	c.updated += o.updated
	c.deleted += o.deleted
	c.left += o.left
	c.arrived += o.arrived
}

// count is the counter of a file.
func (w *work) count(f file) *rowCount {
	if w.last < len(w.rows) && w.rows[w.last].file == f {
		return &w.rows[w.last]
	}
	for i := range w.rows {
		if w.rows[i].file == f {
			w.last = i
			return &w.rows[i]
		}
	}
	w.last = len(w.rows)
	w.rows = append(w.rows, rowCount{file: f})
	return &w.rows[w.last]
}

func (w *work) insert(f file, n int64, at recovery.LSN) {
	if w.arrivedAt == 0 {
		w.arrived, w.arrivedAt = f, at
	}
	if w.moves > 0 && n > 0 {
		w.moves--
		n--
		w.count(f).arrived++
		if n == 0 {
			return
		}
	}
	w.count(f).inserted += n
}

func (w *work) delete(f file, flags uint32) {
	switch {
	case flags&deleteIsSuper != 0:
		w.count(f).inserted--
	case flags&deleteIsMove != 0:
		c := w.count(f)
		c.updated++
		c.left++
		w.moves++
	default:
		w.count(f).deleted++
	}
}

// forget drops the rows of a file that was emptied.
func (w *work) forget(f file) {
	for i := range w.rows {
		if w.rows[i].file == f {
			w.rows[i] = rowCount{file: f}
		}
	}
}

// made reports whether the file was made by this xid in this part of the log.
func (w *work) made(f file) bool {
	for i := len(w.deeds) - 1; i >= 0; i-- {
		if w.deeds[i].kind == fileMade && w.deeds[i].file == f {
			return true
		}
	}
	return false
}

// catalog notes what a record of a catalog tells.
func (w *work) catalog(r *record, catalog uint32) error {
	d := deed{lsn: r.lsn, file: r.file}
	switch catalog {
	case catalogClass:
		switch r.op {
		case opInsert:
			d.kind = classInserted
		case opUpdate:
			d.kind = classUpdated
		case opDelete:
			d.kind = classDeleted
		default:
			return nil
		}
		block, old, new, ok := r.tuples()
		if !ok {
			return malformed(r.desc)
		}
		d.old, d.new = place{block, old}, place{r.block, new}
	case catalogIndex:
		d.kind = indexInserted
		if r.op == opDelete {
			d.kind = indexDeleted
		}
	case catalogType:
		d.kind = typeInserted
		if r.op == opDelete {
			d.kind = typeDeleted
		}
	case catalogSequence:
		d.kind = sequenceInserted
		if r.op == opDelete {
			d.kind = sequenceDeleted
		}
	default:
		return nil
	}
	if catalog != catalogClass && r.op == opUpdate {
		return nil
	}
	w.deeds = append(w.deeds, d)
	if d.kind == classDeleted {
		w.forgetCopy(d.lsn)
	}
	return nil
}

// forgetCopy drops the rows of a table's new file, where the deletion at lsn ends
// a rewrite: they are those that the table had before. What is inserted from
// now on is new.
func (w *work) forgetCopy(lsn recovery.LSN) {
	made := false
	for _, c := range w.rows {
		made = made || c.inserted > 0 && w.made(c.file)
	}
	if !made {
		return
	}
	for _, rel := range trace(w.deeds).relations {
		if rel.rewritten && rel.swapped == lsn {
			w.forget(rel.new.file)
			w.deeds = append(w.deeds, deed{lsn: lsn, kind: fileEmptied, file: rel.new.file})
		}
	}
}

// clone is a copy that shares nothing.
func (w *work) clone() *work {
	c := *w
	c.rows, c.deeds = slices.Clone(w.rows), slices.Clone(w.deeds)
	return &c
}

// joinAll adds works of the same transaction, its own and its subtransactions',
// none of which w has yet: those of one chunk, older than all that w has.
//
// A file that one of them emptied lost the rows that the others had put there
// before. They had ended by then: a file is emptied, and not replaced, only by
// the subtransaction that made it, or that got it from one that ended.
func (w *work) joinAll(works []*work) {
	for _, d := range w.deeds {
		for _, o := range works {
			if d.kind == fileEmptied {
				o.forget(d.file)
			}
		}
	}
	if len(works) > 1 {
		for i, by := range works {
			for _, d := range by.deeds {
				for k, o := range works {
					if d.kind == fileEmptied && k != i && o.first < d.lsn {
						o.forget(d.file)
					}
				}
			}
		}
	}
	arrived, at := w.arrived, w.arrivedAt
	for _, o := range works {
		w.join(o)
		if o.moves > 0 && at != 0 {
			c := w.count(arrived)
			c.inserted--
			c.arrived++
			o.moves--
		}
		w.moves += o.moves
		if o.arrivedAt != 0 && (w.arrivedAt == 0 || o.arrivedAt < w.arrivedAt) {
			w.arrived, w.arrivedAt = o.arrived, o.arrivedAt
		}
	}
}

// join adds what a subtransaction did. The order of deeds is told by their LSNs.
func (w *work) join(o *work) {
	if o.first != 0 && (w.first == 0 || o.first < w.first) {
		w.first = o.first
	}
	w.bytes += o.bytes
	for _, c := range o.rows {
		w.count(c.file).add(c)
	}
	w.deeds = append(w.deeds, o.deeds...)
	w.wants = append(w.wants, o.wants...)
	if o.gid != "" {
		w.gid = o.gid
	}
}
