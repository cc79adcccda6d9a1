package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// prolongedAtOnce is how many locks are prolonged side by side.
const prolongedAtOnce = 16

// prolong lets what earlier backups have stored and this one needs be locked as long as what
// it has stored itself: a snapshot is worth no more than the oldest of its packs. Where a
// copy does not let it, that is remarked, and comeback check sees it in the copy.
func prolong(ctx context.Context, fan *storage.Fan, m recovery.Manifest) (remarks []string) {
	if len(m.Reused) == 0 {
		return nil
	}
	for _, a := range fan.Left() {
		short, err := prolongIn(ctx, a.Store, m)
		switch {
		case ctx.Err() != nil:
			return remarks
		case err != nil && short == 0:
			remarks = append(remarks, fmt.Sprintf("%s: it could not be asked until when this backup is locked there, so that the locks of %s that it needs of earlier ones were not prolonged: %v",
				a.Name, recovery.FormatCount(int64(len(m.Reused)), "object"), err))
		case err != nil:
			remarks = append(remarks, fmt.Sprintf("%s: the locks of %d of the %s that it needs of earlier backups may end before its own, and could not be prolonged: %v; let the key that takes backups have s3:PutObjectRetention there",
				a.Name, short, recovery.FormatCount(int64(len(m.Reused)), "object"), err))
		}
	}
	return remarks
}

// prolongIn does that in one copy. It says how many locks may end sooner, and why the first
// of them was not prolonged.
func prolongIn(ctx context.Context, s storage.Store, m recovery.Manifest) (short int, err error) {
	locker, ok := storage.As[storage.Locker](s)
	prolonger, can := storage.As[storage.Prolonger](s)
	if !ok || !can {
		return 0, nil
	}
	until, err := lockOf(ctx, s, locker, lastOf(m))
	if err != nil || until.Until.IsZero() {
		return 0, err
	}
	var mu sync.Mutex // guards what is returned
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(prolongedAtOnce)
	for _, key := range m.Reused {
		g.Go(func() error {
			if failed := prolonger.Prolong(gctx, storage.Object{Key: key}, until); failed != nil {
				mu.Lock()
				defer mu.Unlock()
				if short++; err == nil {
					err = failed
				}
			}
			return nil
		})
	}
	if failed := g.Wait(); failed != nil {
		return short, failed
	}
	return short, err
}

// lockOf is until when an object is locked that was just stored; zero where the copy locks
// none. A service may lock by the rule of its bucket, and not tell that with the object.
func lockOf(ctx context.Context, s storage.Store, locker storage.Locker, key string) (storage.Retention, error) {
	o, err := s.Stat(ctx, key)
	if err != nil {
		return storage.Retention{}, err
	}
	is, err := locker.Retention(ctx, o)
	if err != nil && !errors.Is(err, storage.ErrDenied) || !is.Until.IsZero() {
		return is, err
	}
	l, err := locker.Locking(ctx)
	if errors.Is(err, storage.ErrDenied) { // nothing shows a lock; comeback check says that it is not known
		return storage.Retention{}, nil
	}
	if err != nil || !l.On {
		return storage.Retention{}, err
	}
	return storage.Retention{Mode: l.Mode, Until: o.Modified.Add(l.For).Truncate(time.Second)}, nil
}
