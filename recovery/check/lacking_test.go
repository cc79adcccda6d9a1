package check_test

import (
	"testing"
	"time"

	"comeback/recovery/check"
)

// What two spools hold for a copy is told together: by the older, and the lesser room.
func TestLacking_With(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 2, 41, 0, 0, time.UTC)
	much, little := int64(9e9), int64(1e9)
	one, other := check.Lacking{Files: 2, Bytes: 20, Since: at, Free: &much}, check.Lacking{Files: 3, Bytes: 30, Since: at.Add(-time.Hour), Free: &little}
	both := check.Lacking{Files: 5, Bytes: 50, Since: other.Since, Free: &little}
	for name, got := range map[string]check.Lacking{"one after the other": one.With(other), "the other way round": other.With(one)} {
		if got != both {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := (check.Lacking{}).With(one); got != one {
		t.Errorf("with nothing before: %+v", got)
	}
	unseen := one
	unseen.Free = nil
	if got := one.With(unseen); got.Free != &much {
		t.Errorf("with room that is not seen: %+v", got)
	}
}
