package gather

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/storage"
)

const (
	// locksAtOnce is how many objects are asked for their locks side by side, mostLocks of
	// how many at most: thousands of packs take some seconds.
	locksAtOnce = 32
	mostLocks   = 50_000
	// locksWithin bounds how long it may take; what was not come to is told.
	locksWithin = copyWithin
)

// locks asks for the locks of all that the newest backups in a copy need, the oldest
// objects first, as far as their names tell: packs that snapshots share were stored once, and
// whoever deletes one of them destroys all.
func (o Options) locks(ctx context.Context, seen *check.Copy, cat catalogue.Catalogue) {
	if seen.Err != nil || seen.Locking == nil || !seen.Locking.Able {
		return
	}
	store, err := o.Open(ctx, seen.Copy)
	if err != nil {
		seen.Locks = check.Locks{Of: 1, Err: err}
		return
	}
	locker, ok := storage.As[storage.Locker](store)
	if !ok {
		return
	}
	keys, err := newestNeed(ctx, store, *seen, cat, o.Engines)
	if err != nil {
		seen.Locks = check.Locks{Of: max(1, len(keys)), Err: err}
		return
	}
	seen.Newest, seen.Locks = firstLock(ctx, locker, keys)
}

// newestNeed are the keys of what the newest backups of each component in a copy need, by
// each engine.
func newestNeed(ctx context.Context, store storage.Store, seen check.Copy, cat catalogue.Catalogue, engines []recovery.Engine) ([]string, error) {
	var keys []string
	for _, s := range cat.Surveys {
		newest := s.Newest()
		if s.Copy != seen.Name || newest.ID == "" || newest.Elsewhere {
			continue
		}
		for _, o := range newest.Objects {
			keys = append(keys, o.Key)
		}
		for _, m := range seen.Manifests {
			if m.ID == newest.ID && m.Component == s.Component {
				for _, o := range m.Objects {
					keys = append(keys, o.Key)
				}
			}
		}
		engine, _ := recovery.EngineNamed(engines, s.Engine)
		if borrower, ok := engine.(recovery.Borrower); ok {
			needed, err := borrower.Needs(ctx, newest, store)
			if err != nil {
				return keys, fmt.Errorf("which objects %s needs could not be read: %w", newest.ID, err)
			}
			keys = append(keys, needed...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// firstLock is the lock that ends first; nil where none could be asked for.
func firstLock(ctx context.Context, locker storage.Locker, keys []string) (first *storage.Retention, locks check.Locks) {
	locks.Of = len(keys)
	if len(keys) > mostLocks {
		keys, locks.Err = keys[:mostLocks], fmt.Errorf("more than %d were not asked for", mostLocks)
	}
	var mu sync.Mutex // guards first and locks
	var g errgroup.Group
	g.SetLimit(locksAtOnce)
	for _, key := range keys {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			r, err := locker.Retention(ctx, storage.Object{Key: key})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				if locks.Err == nil {
					locks.Err = err
				}
				return nil
			case first == nil || endsBefore(r, *first) || !endsBefore(*first, r) && key < locks.First:
				first, locks.First = &r, key
			}
			locks.Looked++
			return nil
		})
	}
	_ = g.Wait() // each tells its own failure
	if locks.Err == nil && locks.Looked < locks.Of {
		locks.Err = context.Cause(ctx)
	}
	return first, locks
}

// endsBefore reports whether a lock ends before another one; a hold has no end.
func endsBefore(r, other storage.Retention) bool {
	if r.Hold || other.Hold {
		return other.Hold && !r.Hold
	}
	return r.Until.Before(other.Until)
}
