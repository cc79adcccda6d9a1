package neighbours

import (
	"context"
	"sync"

	"comeback/recovery"
	"comeback/storage"
)

// Cache is what manifests in copies have told: they never change, and each of them
// is read once as long as this is kept, whatever opens the copy again and again. Its zero
// value knows nothing yet.
type Cache struct {
	mu     sync.Mutex
	copies map[string]*toldIn // by URLs
}

// Opening lets stores that are opened know what was read before. A nil one changes nothing.
func (m *Cache) Opening(open func(context.Context, recovery.Copy) (storage.Store, error)) func(context.Context, recovery.Copy) (storage.Store, error) {
	if m == nil {
		return open
	}
	return func(ctx context.Context, c recovery.Copy) (storage.Store, error) {
		s, err := open(ctx, c)
		if err != nil || s == nil {
			return s, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		place := c.Endpoint + " " + s.URL()
		if m.copies == nil {
			m.copies = map[string]*toldIn{}
		}
		if m.copies[place] == nil {
			m.copies[place] = &toldIn{}
		}
		return &remembering{s, m.copies[place]}, nil
	}
}

// remembering is a store with what its manifests have told.
type remembering struct {
	storage.Store
	told *toldIn
}

func (r *remembering) Unwrap() storage.Store { return r.Store }

// toldIn is what the manifests of a copy have told, by their keys.
type toldIn struct {
	mu  sync.Mutex
	all map[string]toldOf
}

// toldOf is what a manifest tells, and the revision of its object that was read.
type toldOf struct {
	revision string
	told
}

// remembered is what was read of a store's manifests, and where what is read now goes.
func remembered(s storage.Store) (known *toldIn, anew map[string]toldOf) {
	if r, ok := storage.As[*remembering](s); ok {
		known = r.told
	}
	return known, map[string]toldOf{}
}

// of is what a manifest has told; false where this revision of it was not read.
func (t *toldIn) of(o storage.Object) (told, bool) {
	if t == nil || o.Revision == "" {
		return told{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.all[o.Key]
	return was.told, ok && was.revision == o.Revision
}

// keep knows what there is now, and forgets what went.
func (t *toldIn) keep(all map[string]toldOf) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = all
}
