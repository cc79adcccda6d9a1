package scan

import (
	"slices"
	"time"

	"comeback/recovery"
)

// joiner puts chunks together, the newest first. It holds ends back until
// nothing of what led to them can be in an older chunk.
type joiner struct {
	names    *namer
	lookBack int64
	hold     int // how many ends may be held back
	from, to recovery.LSN
	// queue are the ends that were not yielded, the newest first.
	queue []*finished
	// waits are those of them that may have begun in an older chunk, by the
	// xids that belong to them.
	waits map[uint32][]*finished
	// newer is an xid that began in what was read, and so did all after it.
	newer uint32
	known bool
	back  time.Time
}

// add takes the next older chunk, which begins at start.
func (j *joiner) add(c chunk) {
	for _, f := range j.queue {
		if f.pending && c.last.lsn != 0 {
			f.before, f.pending = c.last, false
		}
		f.find(&c.orphans)
	}
	parts := map[*finished][]*work{}
	for xid, w := range c.open {
		for _, f := range j.waits[xid] {
			parts[f] = append(parts[f], w.clone())
		}
	}
	for f, works := range parts {
		f.joinAll(works)
	}
	for xid, objects := range c.objects {
		for _, f := range j.waits[xid] {
			for _, o := range objects {
				f.add(o)
			}
		}
	}
	if c.known {
		j.newer, j.known = c.newer, true
	}
	for _, f := range slices.Backward(c.ended) {
		if f.lsn < j.from || f.lsn >= j.to {
			continue
		}
		j.queue = append(j.queue, f)
		if !j.whole(f) {
			f.waiting = true
			for _, xid := range f.xids() {
				j.waits[xid] = append(j.waits[xid], f)
			}
		}
	}
	for _, f := range c.ended {
		if !f.info.time.IsZero() {
			j.back = f.info.time
			break
		}
	}
}

// whole reports whether all of what led to an end was read.
func (j *joiner) whole(f *finished) bool {
	return f.info.how == recovery.NamedPoint || j.known && !precedes(f.info.xid, j.newer)
}

// release yields what is whole, in order, and what ended so long after start, up
// to which was read, that it waits no longer; where all is set, everything. It
// reports whether more is wanted.
func (j *joiner) release(start recovery.LSN, all bool, yield func(recovery.Transaction) bool) bool {
	n := 0
	defer func() { j.queue = slices.Delete(j.queue, 0, n) }()
	for _, f := range j.queue {
		whole := j.whole(f)
		if (!whole || f.pending || f.wants != nil) && !all && int64(f.lsn-start) <= j.lookBack && len(j.queue)-n <= j.hold {
			return true
		}
		n++
		if f.waiting {
			for _, xid := range f.xids() {
				j.forget(xid, f)
			}
		}
		if !yield(j.names.transaction(f, !whole)) {
			return false
		}
	}
	return true
}

func (j *joiner) forget(xid uint32, f *finished) {
	left := slices.DeleteFunc(j.waits[xid], func(w *finished) bool { return w == f })
	if len(left) == 0 {
		delete(j.waits, xid)
		return
	}
	j.waits[xid] = left
}
