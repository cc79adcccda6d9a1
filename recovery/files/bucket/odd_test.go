package bucket_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/storage"
)

// slashed is a bucket in which a key may hold two slashes, as in S3 and not in the test
// server, which has a tilde there.
type slashed struct{ dated }

func seen(key string) string { return strings.Replace(key, "~", "//", 1) }

func stored(o storage.Object) storage.Object {
	o.Key = strings.Replace(o.Key, "//", "~", 1)
	return o
}

func (s slashed) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		for v, err := range s.dated.Versions(ctx, prefix) {
			if v.Key = seen(v.Key); !yield(v, err) {
				return
			}
		}
	}
}

func (s slashed) Alike(ctx context.Context, a, b storage.Object) (bool, error) {
	return s.dated.Alike(ctx, stored(a), stored(b))
}

func (s slashed) SaidAlike(ctx context.Context, a, b storage.Object) (bool, error) {
	return s.dated.SaidAlike(ctx, stored(a), stored(b))
}

func (s slashed) Hide(ctx context.Context, key string) error {
	return s.dated.Hide(ctx, stored(storage.Object{Key: key}).Key)
}

func (s slashed) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	o, err := s.dated.Revert(ctx, stored(v))
	o.Key = v.Key
	return o, err
}

// A key that no file can have goes back in place like any other; that a directory cannot
// hold it is said before and after.
func TestBucket_inPlaceOddKeys(t *testing.T) {
	_, d := versioned(t)
	d.put(t, "uploads/a", "a")
	d.put(t, "uploads/b~c", "as it was")
	moment, then := time.Now().UTC(), objects(t, d, "")
	d.put(t, "uploads/b~c", "overwritten")
	d.put(t, "uploads/d~e", "new")
	l := newLiveRun(slashed{d}, func() recovery.Choice { return recovery.ChooseStop })
	p := l.plan(t, moment)
	if w := strings.Join(p.Moment.Points[0].Warnings, "; "); !strings.Contains(w, `1 object cannot be restored into a directory`) || !strings.Contains(w, `"uploads/b//c"`) {
		t.Errorf("the plan warns of %q", w)
	}
	s := l.run(t, p)
	if s.Result != recovery.ResultExceptions || !strings.Contains(s.Says, `"uploads/b//c" can be no file's name`) {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if diff := cmp.Diff(then, objects(t, d, "")); diff != "" {
		t.Errorf("live is not what it was at the moment: %s", diff)
	}
}

// private is a bucket of objects whose lists may not be read until it is told.
type private struct {
	*failing
	hidden *atomic.Bool
}

func (p private) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	o, err := p.failing.Revert(ctx, v)
	if p.hidden.Load() {
		o.Lacks = "access control lists"
	}
	return o, err
}

// What copies lack of what they are copies of is told in the end, also of the attempt before.
func TestBucket_inPlaceLacks(t *testing.T) {
	_, d := versioned(t)
	names := []string{"uploads/a", "uploads/b", "uploads/c"}
	for _, name := range names {
		d.put(t, name, "as it was")
	}
	moment := time.Now().UTC()
	for _, name := range names {
		d.put(t, name, "overwritten")
	}
	store := private{&failing{dated: d}, new(atomic.Bool)}
	store.hidden.Store(true)
	store.left.Store(1)
	l := newLiveRun(store, func() recovery.Choice {
		store.hidden.Store(false)
		store.left.Store(1000)
		return recovery.ChooseRetry
	})
	s := l.run(t, l.plan(t, moment))
	if s.Result != recovery.ResultExceptions || !strings.Contains(s.Says, `made current again without their access control lists: 1 object, the first "uploads/`) {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}
