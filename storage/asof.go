package storage

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"
)

// AsOf gives a store that keeps versions as it was at a moment by its own clock, which has
// whole seconds: what was deleted or overwritten since is there, and what came later is
// not. Versions that are locked outlive whoever deletes or overwrites their objects; this
// is the way to them. Reading asks for versions by their ids. What is put is put now, and
// is not seen: [Current] gives the store as it is.
//
// A store that knows no versions is ErrConfig. Where the store gives versions the time at
// which they were replaced and not their own, a list ends with ErrConfig, too. What a bucket
// does not keep cannot be told: while versioning was off, a later object takes the place of
// the one before it. Nor is a time a proof: S3 gives an object that came in parts the time at
// which its upload began.
func AsOf(s Store, moment time.Time) (Store, error) {
	versions, ok := As[Versioner](s)
	if !ok {
		return nil, &Error{Op: "read", Object: s.URL(), Kind: ErrConfig, Says: "it keeps no versions, so that only what is there now can be read"}
	}
	return &asOf{Store: s, versions: versions, moment: moment}, nil
}

// Current gives a store as it is now, where it was given as it was.
func Current(s Store) Store {
	if then, ok := s.(*asOf); ok {
		return then.Store
	}
	return s
}

type asOf struct {
	Store
	versions Versioner
	moment   time.Time
}

var _ Ranger = (*asOf)(nil)

func (s *asOf) Unwrap() Store { return s.Store }

func (s *asOf) then() time.Time { return s.moment }

// Then is the moment as of which a store is given; zero where it is given as it is.
func Then(s Store) time.Time {
	if d, ok := As[interface{ then() time.Time }](s); ok {
		return d.then()
	}
	return time.Time{}
}

// List yields of each key the newest version that is not younger than the moment.
func (s *asOf) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var clock VersionClock
		key, decided := "", false
		for v, err := range s.versions.Versions(ctx, prefix) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			clock.See(v)
			if v.Key != key {
				key, decided = v.Key, false
			}
			if decided || v.Modified.After(s.moment) {
				continue
			}
			if decided = true; !v.Deleted && !yield(v.Object, nil) {
				return
			}
		}
		if clock.Wrong() {
			yield(Object{}, &Error{Op: "list", Object: s.URL(), Kind: ErrConfig, Says: "it gives versions the time at which they were replaced and not their own: what was there at " +
				s.moment.UTC().Format(time.RFC3339) + " is not known"})
		}
	}
}

// Stat looks for the key in the list, where it comes first of all that begin with it.
func (s *asOf) Stat(ctx context.Context, key string) (Object, error) {
	for v, err := range s.versions.Versions(ctx, key) {
		switch {
		case err != nil:
			return Object{}, err
		case v.Key > key:
			return Object{}, s.absent(key)
		case v.Modified.After(s.moment):
		case v.Deleted:
			return Object{}, s.absent(key)
		default:
			return v.Object, nil
		}
	}
	return Object{}, s.absent(key)
}

func (s *asOf) absent(key string) error {
	return &Error{Op: "stat", Object: s.URL() + "/" + key, Kind: ErrNotExist, Says: "at " + s.moment.UTC().Format(time.RFC3339)}
}

// version finds the version of an object that was noted without one.
func (s *asOf) version(ctx context.Context, o Object) (Object, error) {
	if o.Version != "" {
		return o, nil
	}
	then, err := s.Stat(ctx, o.Key)
	switch {
	case err != nil:
		return o, err
	case o.Revision != "" && o.Revision != then.Revision:
		return o, &Error{Op: "open", Object: s.URL() + "/" + o.Key, Kind: ErrChanged}
	}
	return then, nil
}

func (s *asOf) Open(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
	v, err := s.version(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, v, offset)
}

// OpenRange is for stores that give ranges; every store that keeps versions does.
func (s *asOf) OpenRange(ctx context.Context, o Object, from, to int64) (io.ReadCloser, error) {
	ranger, ok := As[Ranger](s.Store)
	if !ok {
		return nil, &Error{Op: "open", Object: s.URL() + "/" + o.Key, Kind: ErrConfig, Says: fmt.Sprintf("no range can be had of it (bytes %d to %d)", from, to)}
	}
	v, err := s.version(ctx, o)
	if err != nil {
		return nil, err
	}
	return ranger.OpenRange(ctx, v, from, to)
}

// VersionClock watches for stores that give a version, when it is replaced, the time of
// that in place of its own: then times say nothing.
type VersionClock struct {
	newer       Version
	pairs, late int
}

// See is told of every version, in the order in which they are listed.
func (c *VersionClock) See(older Version) {
	if older.Key == c.newer.Key {
		c.pairs++
		if !older.Modified.Before(c.newer.Modified) {
			c.late++
		}
	}
	c.newer = older
}

// Wrong reports whether most versions are as late as those that replaced them. A
// few may be: an object can be written twice in a second.
func (c *VersionClock) Wrong() bool { return c.pairs > 2 && c.late > c.pairs/2 }
