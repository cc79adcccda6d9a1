package backup_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// locking is a store that locks each object for ten days from when it was stored.
type locking struct {
	storage.Store
	now func() time.Time

	mu    sync.Mutex // guards the rest
	until map[string]time.Time
	// prolonged are the keys of what was prolonged; before, where it is not nil, is called
	// before each.
	prolonged []string
	asked     int // for locks
	before    func()
}

const lockedFor = 10 * 24 * time.Hour

func (l *locking) Unwrap() storage.Store { return l.Store }

func (l *locking) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := l.Store.Stat(ctx, key)
	o.Modified = l.now()
	return o, err
}

func (l *locking) Locking(context.Context) (storage.Locking, error) {
	return storage.Locking{Able: true, On: true, Mode: "GOVERNANCE", For: lockedFor}, nil
}

func (l *locking) Retention(_ context.Context, o storage.Object) (storage.Retention, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.until[o.Key].IsZero() {
		l.until[o.Key] = l.now().Add(lockedFor)
	}
	return storage.Retention{Mode: "GOVERNANCE", Until: l.until[o.Key]}, nil
}

func (l *locking) Destroy(context.Context, storage.Object) error { return storage.ErrDenied }

func (l *locking) Prolong(ctx context.Context, o storage.Object, r storage.Retention) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before != nil {
		l.before()
	}
	l.until[o.Key], l.prolonged = r.Until, append(l.prolonged, o.Key)
	return nil
}

// Locks are prolonged when a quarter of their time is over, not by each backup.
func TestTake_prolongs(t *testing.T) {
	p := newPruned(t, 0)
	p.now = p.now.AddDate(100, 0, 0) // files that were changed before are unchanged
	l := &locking{Store: p.store, now: func() time.Time { return p.now }, until: map[string]time.Time{}}
	p.store = l
	var counts []int
	for _, after := range []time.Duration{0, 5 * time.Minute, 5 * time.Minute, 3 * 24 * time.Hour, 5 * time.Minute} {
		p.now = p.now.Add(after)
		p.write("today", "of "+p.now.String())
		p.take()
		counts = append(counts, len(l.prolonged))
	}
	if counts[1] > 0 || counts[2] > 0 || counts[3] == 0 || counts[4] > counts[3] {
		t.Errorf("prolonged were %v", counts)
	}
}

// seenLocks are kept in memory.
type seenLocks map[string]map[string]time.Time

func (s seenLocks) Read(place string, _ recovery.Manifest) map[string]time.Time { return s[place] }

func (s seenLocks) Write(place string, _ recovery.Manifest, until map[string]time.Time) {
	s[place] = until
}

// What was seen to be locked long enough is not asked again before a quarter of that is over.
func TestTake_remembersLocks(t *testing.T) {
	p := newPruned(t, 0)
	p.now, p.locks = p.now.AddDate(100, 0, 0), seenLocks{} // files that were changed before are unchanged
	l := &locking{Store: p.store, now: func() time.Time { return p.now }, until: map[string]time.Time{}}
	p.store = l
	var asked []int
	for _, after := range []time.Duration{0, 5 * time.Minute, 5 * time.Minute, 5 * time.Minute, 3 * 24 * time.Hour, 5 * time.Minute} {
		p.now = p.now.Add(after)
		before := l.asked
		p.take()
		asked = append(asked, l.asked-before)
	}
	// Nothing changes in the tree: the last object of each is asked, and once what it needs.
	if asked[1] < 2 || asked[2] != 1 || asked[3] != 1 || asked[4] < 2 || asked[5] != 1 || len(l.prolonged) != asked[4]-1 {
		t.Errorf("asked were %v, prolonged %v", asked, l.prolonged)
	}
}

// A backup that is stopped while it prolongs locks has its manifest.
func TestTake_stoppedProlonging(t *testing.T) {
	p := newPruned(t, 0)
	p.now = p.now.AddDate(100, 0, 0)
	l := &locking{Store: p.store, now: func() time.Time { return p.now }, until: map[string]time.Time{}}
	p.store = l
	p.take()
	for _, key := range p.keys() {
		if _, err := l.Retention(t.Context(), storage.Object{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	p.now = p.now.Add(9 * 24 * time.Hour)
	p.write("today", "of "+p.now.String())
	manifests := func() (n int) {
		for _, key := range p.keys() {
			if strings.HasPrefix(key, "comeback/backups/uploads/") {
				n++
			}
		}
		return n
	}
	var seen []int
	l.before = func() { seen = append(seen, manifests()) }
	p.take()
	if slices.Index(seen, 2) != 0 {
		t.Errorf("before locks were prolonged the copy had %v manifests", seen)
	}
}
