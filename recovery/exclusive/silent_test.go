package exclusive

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/storage"
)

// silentCopy is a copy that gives no answer from some time on, and counts the questions.
// One that is deaf does not even hear that nobody waits any more, as a hung disk.
type silentCopy struct {
	storage.Store
	storage.Swapper
	silent atomic.Bool
	asked  atomic.Int64
	deaf   chan struct{} // nil for one that hears
}

func (s *silentCopy) wait(ctx context.Context) error {
	s.asked.Add(1)
	if !s.silent.Load() {
		return nil
	}
	if s.deaf != nil {
		<-s.deaf
		return context.Canceled
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *silentCopy) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := s.wait(ctx); err != nil {
		return storage.Object{}, err
	}
	return s.Store.Stat(ctx, key)
}

func (s *silentCopy) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	if err := s.wait(ctx); err != nil {
		return storage.Object{}, err
	}
	return s.Store.Put(ctx, key, body, o)
}

func (s *silentCopy) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	if err := s.wait(ctx); err != nil {
		return storage.Object{}, err
	}
	return s.Swapper.Swap(ctx, old, body)
}

func goesSilent(t *testing.T, c copyOf) *silentCopy {
	t.Helper()
	store := c.open(t)
	swapper, ok := storage.As[storage.Swapper](store)
	if !ok {
		t.Fatalf("%s holds no leases", store.URL())
	}
	return &silentCopy{Store: store, Swapper: swapper}
}

// answers is ample for a directory of this host.
const answers = 5 * time.Second

// A copy that gives no answer is asked once, however many targets there are, and said; the
// other copies hold them.
func TestTake_silentCopy(t *testing.T) {
	for name, deaf := range map[string]chan struct{}{"hears": nil, "is deaf": make(chan struct{})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dead, healthy := goesSilent(t, directory(t)), directory(t) // the dead one is asked first
			dead.silent.Store(true)
			if dead.deaf = deaf; deaf != nil {
				t.Cleanup(func() { close(deaf) })
			}
			h := newHost(t, "bastion", "7c31", healthy)
			h.Stores, h.Answer = append(h.Stores, dead), answers
			held, err := Take(t.Context(), []string{"a", "b", "c", "d"}, h.Options)
			must(t, err)
			if n := dead.asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
			if n := len(held.leases); n != 4 {
				t.Errorf("%d leases are held", n)
			}
			if says := held.Remarks(); len(says) != 1 || !strings.Contains(says[0], dead.URL()+" holds no lease: it gave no answer") {
				t.Errorf("the remarks are %q", says)
			}
			must(t, held.Check(t.Context()))
			must(t, held.Release(t.Context()))
		})
	}
}

// One that goes silent during a run does not hold up what another copy proves, nor the end:
// here it may take an hour to answer.
func TestHold_silentCopy(t *testing.T) {
	healthy, dead := directory(t), goesSilent(t, directory(t))
	h := newHost(t, "bastion", "7c31", healthy)
	h.Stores, h.Answer = append(h.Stores, dead), time.Hour
	held, err := Take(t.Context(), []string{"a", "b"}, h.Options)
	must(t, err)
	if slices.ContainsFunc(held.Remarks(), func(s string) bool { return strings.Contains(s, dead.URL()) }) {
		t.Fatalf("it holds nothing there: %q", held.Remarks())
	}
	dead.silent.Store(true)
	dead.deaf = make(chan struct{})
	defer close(dead.deaf)
	must(t, held.Check(t.Context()))
	held.options.Answer = answers
	if err := held.Release(t.Context()); err == nil || !strings.Contains(err.Error(), "release a in "+dead.URL()+": it gave no answer") {
		t.Errorf("the release says %v", err)
	}
	// The lock files are given back all the same, and the other copy's leases.
	h.Stores = h.Stores[:1]
	again, err := Take(t.Context(), []string{"a", "b"}, h.Options)
	must(t, err)
	must(t, again.Release(t.Context()))
}
