package storage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"comeback/storage"
)

// clocked is a store that tells its time, or why it does not.
type clocked struct {
	storage.Store
	at  time.Time
	err error
}

func (c clocked) Now(context.Context) (time.Time, error) { return c.at, c.err }

// The clock of a store is compared with the middle of the time that asking it takes.
func TestSkew(t *testing.T) {
	t.Parallel()
	here := time.Date(2026, 11, 23, 2, 41, 0, 0, time.UTC)
	now := func() time.Time { // each look at our clock is two seconds after the one before
		here = here.Add(2 * time.Second)
		return here
	}
	began := here.Add(2 * time.Second)
	if skew, err := storage.Skew(t.Context(), clocked{at: began.Add(time.Second + time.Minute)}, now); err != nil || skew == nil || *skew != time.Minute {
		t.Errorf("a clock that is a minute ahead: %v, %v", skew, err)
	}
	if skew, err := storage.Skew(t.Context(), clocked{err: storage.ErrDenied}, now); skew != nil || !errors.Is(err, storage.ErrDenied) {
		t.Errorf("one that is not told: %v, %v", skew, err)
	}
	if skew, err := storage.Skew(t.Context(), struct{ storage.Store }{}, now); skew != nil || err != nil {
		t.Errorf("none: %v, %v", skew, err)
	}
}
