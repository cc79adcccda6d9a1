package neighbours

import (
	"context"
	"iter"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// See is a copy as surveys of a component see it: without what comeback keeps there for
// itself, none of which is a backup whatever its name is like, and without what is another
// component's, or another system's. What is asked for by its key is there as ever.
func See(c recovery.Component, s storage.Store) storage.Store {
	if s == nil {
		return nil
	}
	asked, ok := storage.As[*once](s)
	if !ok {
		asked = newOnce(s)
	}
	return seen{s, c.Claims, asked}
}

type seen struct {
	storage.Store
	claims recovery.Claims
	asked  *once
}

func (s seen) Unwrap() storage.Store { return s.Store }

func (s seen) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		others, err := s.asked.found(ctx, s.claims.System, s.claims.Formerly)
		if err != nil {
			yield(storage.Object{}, err)
			return
		}
		for o, err := range s.Store.List(ctx, prefix) {
			if err == nil && (strings.HasPrefix(o.Key, recovery.OwnIn) || s.claims.Foreign(o.Key) || others.Of(o.Key) != "") {
				continue
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
