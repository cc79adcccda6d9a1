package pitr

import (
	"context"
	"slices"
	"sort"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

const (
	transactions = "Transaction"
	standby      = "Standby"
)

// firstFrom finds the first record of a kind in a segment or a later one, and
// the segment that it is in.
func (l *logReader) firstFrom(ctx context.Context, seg uint64, kind recordKind, rmgr string) (record, uint64, bool, error) {
	for ; seg < l.log.next(); seg++ {
		key := seen{seg, kind}
		r, known := l.found[key]
		for next, err := range l.records(ctx, seg, seg+1, rmgr) {
			if known {
				break
			}
			if err != nil {
				return record{}, 0, false, err
			}
			if next.Kind == kind {
				r = next
				break
			}
		}
		l.found[key] = r
		if r.Kind == kind {
			return r, seg, true, nil
		}
	}
	return record{}, 0, false, nil
}

// search is sort.Search over the chain's segments with a condition that may
// fail.
func (l *logReader) search(holds func(seg uint64) (bool, error)) (uint64, error) {
	var failed error
	first := l.log.first()
	i := sort.Search(len(l.log.files), func(i int) bool {
		if failed != nil {
			return true
		}
		ok, err := holds(first + uint64(i))
		failed = err
		return ok
	})
	return first + uint64(i), failed
}

// firstLater finds the first commit, in the order of the log, that is later
// than t. Commit times are nearly in the order of the log: a commit a little
// out of order is still found, because the search looks a segment further back
// than it must.
func (l *logReader) firstLater(ctx context.Context, t time.Time) (record, bool, error) {
	seg, err := l.laterFrom(ctx, t)
	if err != nil {
		return record{}, false, err
	}
	return l.laterIn(ctx, seg, t)
}

// backSpan is how many segments are looked through for a clock that went back.
const backSpan = 16

// firstLaterOfAll is firstLater for a point to stop at, where more must hold: where
// the server's clock went back, within backSpan segments or as far as the log was
// looked at, commits up to t follow the first later one. Back says so.
func (l *logReader) firstLaterOfAll(ctx context.Context, t time.Time) (r record, back, ok bool, err error) {
	seg, err := l.laterFrom(ctx, t)
	if err != nil {
		return record{}, false, false, err
	}
	earlier, err := l.laterBefore(ctx, seg, t)
	if err != nil {
		return record{}, false, false, err
	}
	if back = earlier < seg; back {
		seg = earlier - min(earlier-l.log.first(), 2)
	}
	r, ok, err = l.laterIn(ctx, seg, t)
	return r, back, ok, err
}

// laterFrom is a segment, by binary search, from which on the first commit later than
// t is looked for.
func (l *logReader) laterFrom(ctx context.Context, t time.Time) (uint64, error) {
	seg, err := l.search(func(seg uint64) (bool, error) {
		r, _, ok, err := l.firstFrom(ctx, seg, commitRecord, transactions)
		return !ok || r.Time.After(t), err
	})
	return seg - min(seg-l.log.first(), 2), err
}

// laterIn finds the first commit later than t in a segment or a later one.
func (l *logReader) laterIn(ctx context.Context, seg uint64, t time.Time) (record, bool, error) {
	for r, err := range l.records(ctx, seg, l.log.next(), transactions) {
		if err != nil {
			return record{}, false, err
		}
		if r.Kind == commitRecord && r.Time.After(t) {
			return r, true, nil
		}
	}
	return record{}, false, nil
}

// laterBefore finds the first segment before another one that is known to begin with
// a commit later than t; where there is none it gives that other one.
func (l *logReader) laterBefore(ctx context.Context, seg uint64, t time.Time) (uint64, error) {
	first := seg
	for at := seg - min(seg-l.log.first(), backSpan); at < seg; at++ {
		if _, _, _, err := l.firstFrom(ctx, at, commitRecord, transactions); err != nil {
			return 0, err
		}
	}
	for key, r := range l.found {
		if key.kind == commitRecord && r.Kind == commitRecord && key.seg < first && r.Time.After(t) {
			first = key.seg
		}
	}
	return first, nil
}

// commitFrom finds the first commit at or after a position.
func (l *logReader) commitFrom(ctx context.Context, at recovery.LSN) (record, bool, error) {
	for r, err := range l.records(ctx, max(walfile.Number(at, l.line.SegmentSize), l.log.first()), l.log.next(), transactions) {
		if err != nil {
			return record{}, false, err
		}
		if r.Kind == commitRecord && r.LSN >= at {
			return r, true, nil
		}
	}
	return record{}, false, nil
}

// commitBefore finds the last commit before a position. There may be none in
// the chain.
func (l *logReader) commitBefore(ctx context.Context, at recovery.LSN) (record, bool, error) {
	return l.lastBefore(ctx, at, func(r record) bool { return r.Kind == commitRecord }, transactions)
}

// lastDecided finds the last record before a position that decides about a
// transaction that is there afterwards: its commit, its first phase, or the end of one
// that was prepared.
func (l *logReader) lastDecided(ctx context.Context, at recovery.LSN) (record, bool, error) {
	return l.lastBefore(ctx, at, func(r record) bool { return r.Kind == commitRecord || r.Kind == prepareRecord || r.Prepared }, transactions)
}

// lastBefore finds the last record before a position that fits.
func (l *logReader) lastBefore(ctx context.Context, at recovery.LSN, fits func(record) bool, rmgrs ...string) (record, bool, error) {
	first := l.log.first()
	for seg := min(walfile.Number(at-1, l.line.SegmentSize)+1, l.log.next()); seg > first; seg-- {
		var last record
		found := false
		for r, err := range l.records(ctx, seg-1, seg, rmgrs...) {
			if err != nil {
				return record{}, false, err
			}
			if r.LSN >= at {
				break
			}
			if fits(r) {
				last, found = r, true
			}
		}
		if found {
			return last, true, nil
		}
	}
	return record{}, false, nil
}

// recordFrom finds the first record of any kind that begins at or after a
// position.
func (l *logReader) recordFrom(ctx context.Context, at recovery.LSN) (record, bool, error) {
	for r, err := range l.records(ctx, max(walfile.Number(at, l.line.SegmentSize), l.log.first()), l.log.next()) {
		if err != nil {
			return record{}, false, err
		}
		if r.LSN >= at {
			return r, true, nil
		}
	}
	return record{}, false, nil
}

// recordBefore finds the last record of any kind that begins before a position.
func (l *logReader) recordBefore(ctx context.Context, at recovery.LSN) (record, bool, error) {
	return l.lastBefore(ctx, at, func(record) bool { return true })
}

// fate is what became of a transaction within a chain.
type fate struct {
	// end is the transaction's commit or abort, if it was found.
	end record
	// early says that it had ended when the chain begins; late, that it had
	// not been seen to end when the chain ends.
	early, late bool
	// from and to are what was searched.
	from, to uint64
}

// fateOf finds the end of a transaction, or of one whose subtransaction it is.
//
// The log tells now and then which ids are not assigned yet and which have all
// ended (RUNNING_XACTS, at every checkpoint and every 15 seconds). Both only
// grow, so that a binary search gives the stretch in which the transaction must
// have ended, however long it ran.
func (l *logReader) fateOf(ctx context.Context, xid recovery.XID) (fate, error) {
	running := func(seg uint64) (record, uint64, bool, error) {
		return l.firstFrom(ctx, seg, runningRecord, standby)
	}
	// The first segment from which on the id is assigned.
	from, err := l.search(func(seg uint64) (bool, error) {
		r, _, ok, err := running(seg)
		return !ok || precedes(xid, r.Next), err
	})
	if err != nil {
		return fate{}, err
	}
	ended, err := l.search(func(seg uint64) (bool, error) {
		r, _, ok, err := running(seg)
		return !ok || precedes(xid, r.Oldest), err
	})
	if err != nil {
		return fate{}, err
	}
	f := fate{from: from - min(from-l.log.first(), 1), to: l.log.next(), late: true}
	if _, in, ok, err := running(ended); err != nil {
		return fate{}, err
	} else if ok {
		f.to, f.late, f.early = in+1, false, ended == l.log.first()
	}
	for r, err := range l.records(ctx, f.from, f.to, transactions) {
		if err != nil {
			return fate{}, err
		}
		if (r.Kind == commitRecord || r.Kind == abortRecord) && (r.XID == xid || slices.Contains(r.Subs, xid)) {
			f.end, f.early, f.late = r, false, false
			return f, nil
		}
	}
	return f, nil
}

// dropBefore finds the first record before stop that removes files for a
// transaction whose commit is not before stop: stopping there would leave a
// database without its files. What was rolled back before stop has removed files that
// nobody knew of, and what is no transaction's those that a committed one has moved away
// from.
func (l *logReader) dropBefore(ctx context.Context, stop recovery.LSN) (record, bool, error) {
	size := l.line.SegmentSize
	last := walfile.Number(stop-1, size)
	from := l.log.first()
	if kept, ok, err := l.commitBefore(ctx, stop); err != nil {
		return record{}, false, err
	} else if ok {
		// A drop commits at once; one that another commit overtook is not
		// far back.
		from = max(from, walfile.Number(kept.LSN, size)-1)
	}
	var drops []record
	for r, err := range l.records(ctx, from, last+1, transactions, "Database", "Tablespace") {
		if err != nil {
			return record{}, false, err
		}
		if r.LSN >= stop {
			break
		}
		switch r.Kind {
		case dropRecord:
			if r.XID != 0 {
				drops = append(drops, r)
			}
		case commitRecord, abortRecord:
			drops = slices.DeleteFunc(drops, func(d record) bool { return d.XID == r.XID })
		}
	}
	if len(drops) == 0 {
		return record{}, false, nil
	}
	return drops[0], true, nil
}
