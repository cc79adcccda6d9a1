package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// mortal is a copy as a process sees it that is killed: after so many calls that
// change something, the last of them in its middle, nothing reaches the copy any more,
// not even what would clean up.
type mortal struct {
	storage.Store
	left atomic.Int64
}

var errDead = errors.New("the process is dead")

func (m *mortal) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	switch left := m.left.Add(-1); {
	case left < 0:
		return storage.Object{}, errDead
	case left == 0: // it dies while the body is on its way
		return m.Store.Put(ctx, key, io.MultiReader(io.LimitReader(body, 10), failing{}), o)
	}
	return m.Store.Put(ctx, key, body, o)
}

func (m *mortal) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	if m.left.Add(-1) <= 0 {
		return storage.Object{}, errDead
	}
	swapper, _ := storage.As[storage.Swapper](m.Store)
	return swapper.Swap(ctx, old, body)
}

func (m *mortal) Remove(ctx context.Context, o storage.Object) error {
	if m.left.Add(-1) <= 0 {
		return errDead
	}
	swapper, _ := storage.As[storage.Swapper](m.Store)
	return swapper.Remove(ctx, o)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDead }

// A backup that is killed anywhere leaves nothing in the list that cannot be restored,
// takes nothing away from what was there, and the next one is whole.
func TestTake_killed(t *testing.T) {
	for at := 1; ; at++ {
		p := newPruned(t, 2)
		whole := p.store
		dying := &mortal{Store: whole}
		dying.left.Store(int64(at))
		p.store = dying
		p.write("today", "of the day of the death")
		err := p.try()
		died := dying.left.Load() <= 0
		p.store = whole
		before := p.usable()
		if !slices.Equal(before[:2], []string{"01", "02"}) || len(before) > 3 || err == nil && len(before) != 3 {
			t.Errorf("killed at call %d: left are the days %v, and it said %v", at, before, err)
		}
		p.now = p.now.AddDate(0, 0, 1)
		p.take()
		if after := p.usable(); !slices.Contains(after, "04") {
			t.Errorf("killed at call %d: after the next one there are the days %v", at, after)
		}
		if !died {
			if at < 6 {
				t.Errorf("a backup changes the copy %d times only", at)
			}
			return
		}
	}
}

// try takes a backup that may fail.
func (p *pruned) try() error {
	p.Helper()
	taken, err := p.run()
	if err == nil && len(taken) == 1 {
		err = taken[0].Err
		for _, why := range taken[0].Failed {
			err = errors.Join(err, why)
		}
	}
	return err
}

// appendOnly is a copy whose credentials may store and not remove.
type appendOnly struct{ storage.Store }

func (a appendOnly) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	swapper, _ := storage.As[storage.Swapper](a.Store)
	return swapper.Swap(ctx, old, body)
}

func (appendOnly) Remove(_ context.Context, o storage.Object) error {
	return &storage.Error{Op: "remove", Object: o.Key, Kind: storage.ErrDenied, Says: "these credentials may not remove"}
}

// beginning says, like engines of several objects, what makes a backup whole.
type beginning struct{ engine }

func (b beginning) Capture(ctx context.Context, c recovery.Capture) (recovery.Manifest, error) {
	if err := c.Begin(ctx, "uploads/snapshots/"+c.Stamp, "uploads/snapshots/"+c.Stamp+".snapshot"); err != nil {
		return recovery.Manifest{}, err
	}
	return b.engine.Capture(ctx, c)
}

// engine is what takes and lists backups.
type engine interface {
	recovery.Engine
	recovery.Capturer
}

// Who may store and not remove takes one backup after the other: each is whole, and
// said to be, and what could not be tidied up is told.
func TestTake_appendOnly(t *testing.T) {
	p := newPruned(t, 1)
	p.engine, p.store = beginning{p.engine.(engine)}, appendOnly{p.store}
	for _, day := range []string{"03", "04"} {
		p.write("today", "of day "+day)
		taken, err := p.run()
		if err != nil || len(taken) != 1 || taken[0].Err != nil || len(taken[0].Failed) > 0 || len(taken[0].Copies) != 1 {
			t.Fatalf("day %s: %v, %+v", day, err, taken)
		}
		if said := strings.Join(taken[0].Manifest.Remarks, "; "); !strings.Contains(said, "could not be told that it is whole") {
			t.Errorf("day %s: it says %q", day, said)
		}
		p.now = p.now.AddDate(0, 0, 1)
	}
	if days := p.usable(); len(days) != 3 {
		t.Errorf("there are the days %v", days)
	}
}

// Backups that are taken within one second have names of their own.
func TestTake_sameSecond(t *testing.T) {
	p := newPruned(t, 0)
	for i := range 4 {
		p.write("today", fmt.Sprint("version ", i))
		p.take()
		p.now = p.now.Add(100 * time.Millisecond)
	}
	if all := p.usable(); len(all) != 4 {
		t.Errorf("of four backups there are %v", all)
	}
}
