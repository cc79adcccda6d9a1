package execute

import (
	"context"
	"errors"
	"slices"
	"sync"

	"comeback/recovery"
	"comeback/storage"
)

// openings are the copies of a run that were opened, by their names. It is safe for
// concurrent use, and ready as its zero value.
type openings struct {
	mu     sync.Mutex
	copies map[string]*opening
}

// opening is a copy that is opened, for all that ask meanwhile.
type opening struct {
	open func() (storage.Store, error)
}

// of is the opening of a copy; open is how a new one is made.
func (o *openings) of(name string, open func() (storage.Store, error)) *opening {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.copies == nil {
		o.copies = map[string]*opening{}
	}
	if o.copies[name] == nil {
		o.copies[name] = &opening{open: sync.OnceValues(open)}
	}
	return o.copies[name]
}

// failed forgets an opening that came to nothing.
func (o *openings) failed(name string, of *opening) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.copies[name] == of {
		delete(o.copies, name)
	}
}

// anew has every copy opened again.
func (o *openings) anew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.copies)
}

// store opens each copy once, and again after a secret was given and for another attempt that
// was asked for: what was being opened with the old ones then is not kept.
func (x *Executor) store(ctx context.Context, name string) (storage.Store, error) {
	i := slices.IndexFunc(x.Plan.Copies, func(c recovery.Copy) bool { return c.Name == name })
	if i < 0 {
		return nil, recovery.Errorf("make a new plan", "the plan has no copy %q", name)
	}
	for {
		o := x.stores.of(name, func() (storage.Store, error) { return x.OpenStore(ctx, x.Plan.Copies[i]) })
		s, err := o.open()
		if err == nil {
			return s, nil
		}
		x.stores.failed(name, o)
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) { // else it was another step's end
			return nil, err
		}
	}
}
