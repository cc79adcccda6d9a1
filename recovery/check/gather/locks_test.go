package gather

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery/check"
	"comeback/storage"
)

// someLocks knows the locks of some objects, and may not ask for the others.
type someLocks struct {
	storage.Locker
	of map[string]storage.Retention
}

func (l someLocks) Retention(_ context.Context, o storage.Object) (storage.Retention, error) {
	r, ok := l.of[o.Key]
	if !ok {
		return r, storage.ErrDenied
	}
	return r, nil
}

// The lock that ends first is found among all, and those that could not be asked for are
// counted.
func TestFirstLock(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	late, soon, hold, none := storage.Retention{Until: at.AddDate(0, 0, 9)}, storage.Retention{Until: at}, storage.Retention{Hold: true}, storage.Retention{}
	for name, test := range map[string]struct {
		of   map[string]storage.Retention
		keys string
		want *storage.Retention
		seen check.Locks
	}{
		"none":                    {nil, "", nil, check.Locks{}},
		"of several":              {map[string]storage.Retention{"a": late, "b": soon, "c": late}, "a b c", &soon, check.Locks{First: "b", Looked: 3, Of: 3}},
		"a hold never ends":       {map[string]storage.Retention{"a": hold, "b": late}, "a b", &late, check.Locks{First: "b", Looked: 2, Of: 2}},
		"holds alone":             {map[string]storage.Retention{"a": hold, "b": hold}, "a b", &hold, check.Locks{First: "a", Looked: 2, Of: 2}},
		"one is not locked":       {map[string]storage.Retention{"a": late, "b": none, "c": hold}, "a b c", &none, check.Locks{First: "b", Looked: 3, Of: 3}},
		"one may not be asked":    {map[string]storage.Retention{"a": late}, "a b", &late, check.Locks{First: "a", Looked: 1, Of: 2, Err: storage.ErrDenied}},
		"nothing may be asked of": {nil, "a b", nil, check.Locks{Of: 2, Err: storage.ErrDenied}},
	} {
		first, seen := firstLock(t.Context(), someLocks{of: test.of}, strings.Fields(test.keys))
		if seen != test.seen || (first == nil) != (test.want == nil) || first != nil && *first != *test.want {
			t.Errorf("%s: %+v, %+v", name, first, seen)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if first, seen := firstLock(ctx, someLocks{}, []string{"a"}); first != nil || seen.Looked > 0 || seen.Of != 1 || !errors.Is(seen.Err, context.Canceled) {
		t.Errorf("out of time: %+v, %+v", first, seen)
	}
}
