package pitr

import (
	"context"
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// lookAt is where a server pauses for people to look at what they would get. It
// is the point itself, unless a transaction under way there has locked a table:
// the replay of the log holds that lock while it pauses, and whoever reads the
// table waits for ever. Then it is just before the first such lock.
type lookAt struct {
	Stop      recovery.LSN `json:"stop"`
	Inclusive bool         `json:"inclusive,omitempty"`
	// Needs is the end of the record at which the server stops.
	Needs recovery.LSN    `json:"needs"`
	Kept  recovery.Commit `json:"kept,omitzero"`
	Lost  recovery.Commit `json:"lost,omitzero"`
	// Lock is the first that it stays clear of, or, where Locked is set, one
	// that it cannot: it was taken before the base backup had ended.
	Lock   *tableLock `json:"lock,omitempty"`
	Locked bool       `json:"locked,omitempty"`
}

// lookAt finds the last place at or before a stop where no table is locked.
func (r *resolver) lookAt(ctx context.Context, l *logReader, f facts, s stop) (*lookAt, error) {
	at := &lookAt{Stop: s.at, Inclusive: s.inclusive, Needs: s.needs, Kept: s.kept, Lost: s.lost}
	for {
		until := at.Stop
		if at.Inclusive {
			until = at.Needs
		}
		first, lock, ok, err := l.firstHeld(ctx, until)
		if err != nil || !ok {
			return at, err
		}
		if at.Lock = &lock; first.LSN < f.Base.Stop {
			at.Locked = true
			return at, nil
		}
		at.Stop, at.Inclusive, at.Needs = first.LSN, false, l.end(first)
		if at.Kept, at.Lost, err = r.around(ctx, l, first.LSN); err != nil {
			return nil, err
		}
	}
}

// around finds the commits on both sides of a position, as far as there are any.
func (r *resolver) around(ctx context.Context, l *logReader, at recovery.LSN) (kept, lost recovery.Commit, err error) {
	before, ok, err := r.lastKept(ctx, l, at)
	if err != nil {
		return kept, lost, err
	}
	if ok {
		kept = l.commit(before)
	}
	after, ok, err := l.commitFrom(ctx, at)
	if ok {
		lost = l.commit(after)
	}
	return kept, lost, err
}

// held is the locks in force at a place of the log.
type held struct {
	// first is each transaction's first record of a lock that was read.
	first map[recovery.XID]record
	// told counts how often the log told which transactions were under way.
	told int
}

// firstHeld finds the first record of a lock, of all those that are in force
// just before a position.
//
// The log repeats now and then (RUNNING_XACTS, at every checkpoint and every 15
// seconds) which transactions are under way, right after all the locks that they
// hold. Whatever is held therefore shows between the last two of these, and a
// transaction's first lock after the first of them at which its id was not yet
// assigned.
func (l *logReader) firstHeld(ctx context.Context, until recovery.LSN) (record, tableLock, bool, error) {
	first := l.log.first()
	last := max(first, walfile.Number(until-1, l.line.SegmentSize))
	from, h := last, held{}
	for back := uint64(1); ; back *= 2 {
		var err error
		if h, err = l.heldAt(ctx, from, until); err != nil {
			return record{}, tableLock{}, false, err
		}
		if h.told >= 2 || from == first {
			break
		}
		from = last - min(last-first, back)
	}
	if len(h.first) == 0 {
		return record{}, tableLock{}, false, nil
	}
	begin := from
	for xid := range h.first {
		seg, err := l.search(func(seg uint64) (bool, error) {
			r, _, ok, err := l.firstFrom(ctx, seg, runningRecord, standby)
			return !ok || precedes(xid, r.Next), err
		})
		if err != nil {
			return record{}, tableLock{}, false, err
		}
		begin = min(begin, seg-min(seg-first, 1))
	}
	if begin < from {
		var err error
		if h, err = l.heldAt(ctx, begin, until); err != nil {
			return record{}, tableLock{}, false, err
		}
	}
	var r record
	var lock tableLock
	for xid, at := range h.first {
		if r.LSN == 0 || at.LSN < r.LSN {
			i := slices.IndexFunc(at.Locks, func(t tableLock) bool { return t.XID == xid })
			r, lock = at, at.Locks[i]
		}
	}
	return r, lock, r.LSN != 0, nil
}

// heldAt reads the locks that were taken from a segment on and are in force just
// before a position.
func (l *logReader) heldAt(ctx context.Context, from uint64, until recovery.LSN) (held, error) {
	h := held{first: map[recovery.XID]record{}}
	for r, err := range l.records(ctx, from, walfile.Number(until-1, l.line.SegmentSize)+1, transactions, standby) {
		if err != nil {
			return h, err
		}
		if r.LSN >= until {
			break
		}
		switch r.Kind {
		case lockRecord:
			for _, t := range r.Locks {
				if _, known := h.first[t.XID]; !known {
					h.first[t.XID] = r
				}
			}
		case commitRecord, abortRecord:
			delete(h.first, r.XID)
			for _, sub := range r.Subs {
				delete(h.first, sub)
			}
		case runningRecord:
			h.told++
			for xid := range h.first { // of a server that crashed
				if precedes(xid, r.Oldest) {
					delete(h.first, xid)
				}
			}
		}
	}
	return h, nil
}
