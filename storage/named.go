package storage

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// A Walker is a store in which every list costs as much as all names of the directories
// that the prefix lies in, and a Stat nothing of that. In others a list of a prefix costs
// what it yields.
type Walker interface{ Walks() }

var _ Walker = (*dir)(nil)

// Walks marks a directory as a [Walker].
func (d *dir) Walks() {}

// Named yields, in byte order, those objects whose keys are key and one of the endings, as
// a list of key would: with that list, which is one request, or in a [Walker] with a Stat of
// each. What a Stat is refused for is the list's to judge. A wrapper that leaves objects out
// of its lists has to leave them out of Stat, too, or not to be asked in this way.
func Named(ctx context.Context, s Store, key string, endings []string) iter.Seq2[Object, error] {
	var keys []string
	for _, ending := range endings {
		keys = append(keys, key+ending)
	}
	slices.Sort(keys)
	return func(yield func(Object, error) bool) {
		if _, ok := As[Walker](s); ok {
			if found, err := statAll(ctx, s, keys); err == nil {
				for _, o := range found {
					if !yield(o, nil) {
						return
					}
				}
				return
			}
		}
		for o, err := range s.List(ctx, key) {
			_, named := slices.BinarySearch(keys, o.Key)
			if (err != nil || named) && !yield(o, err) {
				return
			}
		}
	}
}

// statAll describes those of some keys that are there.
func statAll(ctx context.Context, s Store, keys []string) (found []Object, err error) {
	for _, key := range keys {
		o, err := s.Stat(ctx, key)
		switch {
		case err == nil:
			found = append(found, o)
		case !errors.Is(err, ErrNotExist):
			return nil, err
		}
	}
	return found, nil
}
