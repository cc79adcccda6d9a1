package main

import (
	"slices"
	"time"

	"comeback/recovery"
)

// found is what a look at the log came to. Transactions come to it the newest
// first; it keeps a bounded number of them, those nearest to the center, and all
// that did harm, up to maxHarms.
type found struct {
	center time.Time
	limit  int
	// list is what is shown, the newest first; left counts what is not.
	list []recovery.Transaction
	left int64
	// harms are the newest first. Each knows what came after it.
	harms     []harmed
	moreHarms int64
	// habits are what happens on other days; nil where nobody has looked.
	habits *recovery.Habits
	// commits, rolledBack and prepared count all that was read.
	commits, rolledBack, prepared int64
	// newest and oldest are the times of the commits that were read.
	newest, oldest time.Time
	rows           rows
}

// harmed is a transaction that did harm, and what going to just before it keeps
// and loses.
type harmed struct {
	recovery.Transaction
	// kept is the commit before it; zero where none was read.
	kept recovery.Commit
	// after counts the commits after it, and lost their rows.
	after int64
	lost  rows
}

// maxHarms bounds how many harms are told one by one.
const maxHarms = 10_000

func ended(t recovery.Transaction) bool {
	return t.How == recovery.Committed || t.How == recovery.CommittedPrepared
}

// count takes the next older transaction.
func (f *found) count(t recovery.Transaction, wanted bool) {
	switch t.How {
	case recovery.Aborted, recovery.AbortedPrepared:
		f.rolledBack++
	case recovery.Prepared:
		f.prepared++
	}
	if ended(t) {
		if n := len(f.harms); n > 0 && f.harms[n-1].kept.LSN == 0 {
			f.harms[n-1].kept = t.Commit
		}
		if len(t.Harms()) > 0 && len(f.harms) < maxHarms {
			f.harms = append(f.harms, harmed{Transaction: t, after: f.commits, lost: f.rows})
		} else if len(t.Harms()) > 0 {
			f.moreHarms++
		}
		f.commits++
		f.rows.add(t)
		if f.newest.IsZero() {
			f.newest = t.Time
		}
		f.oldest = t.Time
	}
	if wanted {
		f.keep(t)
	}
}

// keep keeps what is nearest to the center.
func (f *found) keep(t recovery.Transaction) {
	f.list = append(f.list, t)
	if len(f.list) <= f.limit {
		return
	}
	f.left++
	first, last := f.list[0], f.list[len(f.list)-1]
	if first.Time.Sub(f.center).Abs() > last.Time.Sub(f.center).Abs() {
		f.list[0] = recovery.Transaction{} // it is not held any longer
		f.list = f.list[1:]
		return
	}
	f.list = f.list[:len(f.list)-1]
}

// usual reports how usual a transaction is; not at all where nothing about it is.
func (f *found) usual(t recovery.Transaction) (recovery.Usual, bool) {
	u := f.habits.Of(t.LSN)
	return u, u.Holds()
}

// harmful counts what did harm and what is only usual, and says of the latter how
// often at least it was seen.
func (f *found) harmful() (harms, usual int64, seen recovery.Usual) {
	harms = f.moreHarms
	for _, h := range f.harms {
		u, is := f.usual(h.Transaction)
		if !is {
			harms++
			continue
		}
		if usual++; usual == 1 || u.Seen < seen.Seen {
			seen = u
		}
	}
	return harms, usual, seen
}

// inOrder is the list, the oldest first.
func (f *found) inOrder() []recovery.Transaction {
	all := slices.Clone(f.list)
	slices.Reverse(all)
	return all
}
