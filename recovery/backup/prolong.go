package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

const (
	// prolongedAtOnce is how many locks are prolonged side by side, prolongWithin how long
	// that may take in a copy: what was not come to the next backup prolongs.
	prolongedAtOnce = 32
	prolongWithin   = 5 * time.Minute
)

// LocksSeen keeps until when objects are locked in a place that backups of a component, of
// a sort, need, so that what was seen a while ago need not be asked again; for how long it
// keeps that, it says: who may lift locks can let them end before their time. It is
// kept on the host: whoever may write into a copy must not say what is locked there. What is
// not kept costs requests and nothing else.
type LocksSeen interface {
	Read(place string, of recovery.Manifest) map[string]time.Time
	Write(place string, of recovery.Manifest, until map[string]time.Time)
}

// prolong lets what earlier backups have stored and this one needs be locked about as long as
// what it has stored itself: a snapshot is worth no more than the oldest of its packs. Where a
// copy does not let it, that is remarked, and comeback check sees it in the copy. The backup
// is whole and has its manifest before, so that nothing is lost where it is cut off.
func (o Options) prolong(ctx context.Context, fan *storage.Fan, m recovery.Manifest) (remarks []string) {
	if len(m.Reused) == 0 {
		return nil
	}
	for _, a := range fan.Left() {
		within, cancel := context.WithTimeout(ctx, prolongWithin)
		short, err := o.prolongIn(within, a, m)
		late := within.Err() != nil
		cancel()
		switch objects := recovery.FormatCount(int64(len(m.Reused)), "object"); {
		case ctx.Err() != nil:
			return remarks
		case err != nil && short == 0:
			remarks = append(remarks, fmt.Sprintf("%s: it could not be asked until when this backup is locked there, so that the locks of %s that it needs of earlier ones were not prolonged: %v", a.Name, objects, err))
		case err != nil && late:
			remarks = append(remarks, fmt.Sprintf("%s: %d of the %s that it needs of earlier backups were not asked for their locks within %s; the next backup goes on with them", a.Name, short, objects, recovery.FormatSpan(prolongWithin)))
		case err != nil:
			remarks = append(remarks, fmt.Sprintf("%s: the locks of %d of the %s that it needs of earlier backups may end before its own, and could not be prolonged: %v; let the key that takes backups have s3:PutObjectRetention there",
				a.Name, short, objects, err))
		}
	}
	return remarks
}

// prolongIn does that in one copy. It says how many locks may end sooner, and why the first
// of them was not prolonged.
func (o Options) prolongIn(ctx context.Context, a storage.Arm, m recovery.Manifest) (short int, err error) {
	s, place := a.Store, a.Name+" "+a.Store.URL()
	for _, c := range o.Copies {
		if c.Name == a.Name {
			place += " " + c.Endpoint
		}
	}
	locker, ok := storage.As[storage.Locker](s)
	prolonger, can := storage.As[storage.Prolonger](s)
	if !ok || !can {
		return 0, nil
	}
	until, from, err := lockOf(ctx, s, locker, lastOf(m))
	if err != nil || until.Until.IsZero() {
		return 0, err
	}
	// By whichever clock it is shorter: the store's, which has locked it, or this host's.
	length := until.Until.Sub(from)
	if byHost := until.Until.Sub(o.Now()); byHost > 0 {
		length = min(length, byHost)
	}
	enough := until.Until.Add(-length / 4)
	known, locks := map[string]time.Time{}, map[string]time.Time{}
	if o.Locks != nil {
		known = o.Locks.Read(place, m)
	}
	var mu sync.Mutex // guards locks and what is returned
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(prolongedAtOnce)
	for _, key := range m.Reused {
		if ends := known[key]; !ends.Before(enough) {
			mu.Lock()
			locks[key] = ends
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			ends, failed := prolongOne(gctx, locker, prolonger, key, until, enough)
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				locks[key] = ends
			} else if short++; err == nil {
				err = failed
			}
			return nil
		})
	}
	defer func() {
		if o.Locks != nil && !maps.EqualFunc(known, locks, time.Time.Equal) {
			o.Locks.Write(place, m, locks)
		}
	}()
	if failed := g.Wait(); failed != nil {
		return short, failed
	}
	return short, err
}

// prolongOne lets an object be locked until a time, unless it is locked long enough: each
// lock is prolonged a few times in its length, not by each of the backups that need it. It
// says when the lock ends at the earliest.
func prolongOne(ctx context.Context, locker storage.Locker, prolonger storage.Prolonger, key string, until storage.Retention, enough time.Time) (ends time.Time, err error) {
	if ctx.Err() != nil {
		return ends, context.Cause(ctx)
	}
	o := storage.Object{Key: key}
	if is, err := locker.Retention(ctx, o); err == nil && !is.Until.Before(enough) {
		return is.Until, nil
	}
	return until.Until, prolonger.Prolong(ctx, o, until) // who may not ask may lock all the same
}

// lockOf is until when an object is locked that was just stored, and when it was; zero where
// the copy locks none. A service may lock by the rule of its bucket, and not tell that with
// the object.
func lockOf(ctx context.Context, s storage.Store, locker storage.Locker, key string) (until storage.Retention, stored time.Time, err error) {
	o, err := s.Stat(ctx, key)
	if err != nil {
		return storage.Retention{}, time.Time{}, err
	}
	is, err := locker.Retention(ctx, o)
	if err != nil && !errors.Is(err, storage.ErrDenied) || !is.Until.IsZero() {
		return is, o.Modified, err
	}
	l, err := locker.Locking(ctx)
	if errors.Is(err, storage.ErrDenied) { // nothing shows a lock; comeback check says that it is not known
		return storage.Retention{}, o.Modified, nil
	}
	if err != nil || !l.On {
		return storage.Retention{}, o.Modified, err
	}
	return storage.Retention{Mode: l.Mode, Until: o.Modified.Add(l.For).Truncate(time.Second)}, o.Modified, nil
}
