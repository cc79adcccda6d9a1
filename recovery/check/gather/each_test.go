package gather

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/storage"
)

// A copy that gives no answer is evidence in its place, and the others are looked at.
func TestEach_silent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		defer close(deaf)
		seen := each(t.Context(), []recovery.Copy{{Name: "hangs"}, {Name: "nearby"}}, time.Minute, func(_ context.Context, c recovery.Copy) check.Copy {
			if c.Name == "hangs" {
				<-deaf
			}
			return check.Copy{Copy: c, Who: "us"}
		}, func(c recovery.Copy, err error) check.Copy { return check.Copy{Copy: c, Err: err} })
		if len(seen) != 2 || seen[0].Name != "hangs" || seen[1].Name != "nearby" || seen[1].Who != "us" || seen[1].Err != nil {
			t.Fatalf("it sees %+v", seen)
		}
		if _, silent := errors.AsType[*storage.Silent](seen[0].Err); !silent {
			t.Errorf("of the one that hangs it says %v", seen[0].Err)
		}
	})
}
