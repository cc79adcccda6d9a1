package shop

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"comeback/recovery"
)

// Commit is what is known of one of the shop's transactions.
type Commit struct {
	XID recovery.XID
	// Time is the one in its commit record.
	Time time.Time
	// LSN is where the log ended after it.
	LSN recovery.LSN
	// Does is what it did, in a few words.
	Does string
	// Counts are the rows that are there after it.
	Counts Counts
}

// Counts are the rows that are there now.
func (s *Shop) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Truth finds a transaction of the shop by its id.
func (s *Shop) Truth(xid recovery.XID) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.history, func(c Commit) bool { return c.XID == xid })
	if i < 0 {
		return Commit{}, fmt.Errorf("find the truth: %d is not a transaction of the shop's", xid)
	}
	return s.history[i], nil
}

// Commits are the shop's transactions since it was opened, in the order of
// their commits.
func (s *Shop) Commits() []Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history)
}

// last is the newest commit; whoever calls it holds s.mu.
func (s *Shop) last() Commit {
	if len(s.history) == 0 {
		return Commit{Counts: maps.Clone(s.counts)}
	}
	return s.history[len(s.history)-1]
}
