package storage

import (
	"context"
	"time"
)

// Skew is how far the clock of a store is ahead of the one that now reads; nil where the store
// has none. What it takes to ask counts half for the way there.
func Skew(ctx context.Context, s Store, now func() time.Time) (*time.Duration, error) {
	clock, ok := As[Clock](s)
	if !ok {
		return nil, nil
	}
	before := now()
	t, err := clock.Now(ctx)
	if err != nil {
		return nil, err
	}
	skew := t.Sub(before.Add(now().Sub(before) / 2))
	return &skew, nil
}
