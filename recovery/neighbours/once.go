package neighbours

import (
	"context"
	"sync"

	"comeback/storage"
)

// Once is a copy that is asked once which neighbours a system has in it, however many
// look: surveys of all components, by all engines.
func Once(s storage.Store) storage.Store {
	if s == nil {
		return nil
	}
	return newOnce(s)
}

func newOnce(s storage.Store) *once {
	return &once{Store: s, known: map[string]Found{}, failed: map[string]error{}}
}

// Known are the neighbours of a system as a copy of Once has told them; none where nobody
// has asked yet.
func Known(s storage.Store, system string) Found {
	asked, ok := storage.As[*once](s)
	if !ok {
		return Found{}
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	return asked.known[system]
}

type once struct {
	storage.Store
	mu    sync.Mutex
	known map[string]Found // by systems
	// failed are why it could not be said, of surveys that would ask again one by one.
	failed map[string]error
}

func (o *once) Unwrap() storage.Store { return o.Store }

// found asks, or knows. That it was broken off is not kept.
func (o *once) found(ctx context.Context, system string, formerly []string) (Found, error) {
	if system == "" {
		return Found{}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.known[system]; ok {
		return n, nil
	}
	if err := o.failed[system]; err != nil {
		return Found{}, err
	}
	n, err := In(ctx, o.Store, system, formerly...)
	switch {
	case err == nil:
		o.known[system] = n
	case ctx.Err() == nil:
		o.failed[system] = err
	}
	return n, err
}
