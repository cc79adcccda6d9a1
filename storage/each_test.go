package storage_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comeback/storage"
)

// Each of them answers for itself, in the order in which they were asked; who is late, and who
// does not even hear that, keeps nobody waiting for longer than the time that each may take.
func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf, refused := make(chan struct{}), errors.New("refused")
		defer close(deaf)
		all := []string{"is deaf", "answers late", "answers", "refuses", "hears"}
		begun := time.Now()
		got := storage.Each(t.Context(), all, time.Minute, func(ctx context.Context, name string) (string, error) {
			switch name {
			case "is deaf":
				<-deaf
			case "answers late": // when all others have
				time.Sleep(59 * time.Second)
			case "refuses":
				return "in part", refused
			case "hears":
				<-ctx.Done()
				return "", fmt.Errorf("list: %w", ctx.Err())
			}
			return "the answer of who " + name, nil
		})
		if took := time.Since(begun); took != time.Minute+time.Second {
			t.Errorf("it took %s", took)
		}
		for i, a := range got {
			silent, isSilent := errors.AsType[*storage.Silent](a.Err)
			if a.Of != all[i] {
				t.Errorf("%q stands in the place of %q", a.Of, all[i])
			}
			switch a.Of {
			case "is deaf", "hears":
				if !isSilent || !errors.Is(a.Err, storage.ErrUnavailable) || silent.Within != time.Minute || errors.Is(a.Err, context.DeadlineExceeded) != (a.Of == "hears") {
					t.Errorf("%s: %v", a.Of, a.Err)
				}
			case "refuses":
				if a.Err != refused || a.Says != "in part" {
					t.Errorf("%s: %q, %v", a.Of, a.Says, a.Err)
				}
			default:
				if a.Err != nil || a.Says != "the answer of who "+a.Of {
					t.Errorf("%s: %q, %v", a.Of, a.Says, a.Err)
				}
			}
		}
	})
}

// However many they are, only some are asked at a time, and each may take its time from then.
func TestEach_many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		for i, err := range storage.InEach(t.Context(), make([]int, 100), time.Minute, func(context.Context, int) error {
			n := now.Add(1)
			defer now.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			time.Sleep(50 * time.Second)
			return nil
		}) {
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if n := most.Load(); n < 2 || n > 32 {
			t.Errorf("%d were asked at once", n)
		}
	})
}

// When the context ends, all that are still at it have not answered for its reason.
func TestEach_ended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf, why := make(chan struct{}), errors.New("the operator has stopped the run")
		defer close(deaf)
		ctx, end := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { end(why) })
		begun := time.Now()
		errs := storage.InEach(ctx, []bool{true, false}, time.Hour, func(_ context.Context, hangs bool) error {
			if hangs {
				<-deaf
			}
			return nil
		})
		if !errors.Is(errs[0], why) || errs[1] != nil {
			t.Errorf("they say %v", errs)
		}
		if took := time.Since(begun); took != 11*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
