package storagetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/storage"
)

// testSwap holds a store that can replace and remove on a condition to it; for
// one that cannot there is nothing to prove.
func testSwap(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	swapper, ok := storage.As[storage.Swapper](s)
	if !ok {
		return
	}
	const key = ".locks/one.json"
	absent := func(key string) error {
		_, err := s.Put(context.Background(), key, strings.NewReader("x"), storage.PutOptions{Size: 1, IfAbsent: true})
		return err
	}
	t.Run("replace", func(t *testing.T) {
		first := Put(t, s, key, "first")
		second, err := swapper.Swap(t.Context(), first, []byte("second"))
		if err != nil {
			t.Fatal(err)
		}
		if stat, err := s.Stat(t.Context(), key); err != nil || stat.Revision != second.Revision || stat.Size != 6 || second.Modified.IsZero() {
			t.Errorf("swap says %+v, stat says %+v, %v", second, stat, err)
		}
		_, err = swapper.Swap(t.Context(), first, []byte("third"))
		refused(t, err, storage.ErrChanged, key)
		refused(t, swapper.Remove(t.Context(), first), storage.ErrChanged, key)
		holds(t, s, key, []byte("second"))
		for i := range 3 { // the same size, quickly
			if second, err = swapper.Swap(t.Context(), second, fmt.Appendf(nil, "beat %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		holds(t, s, key, []byte("beat 2"))
		if err := swapper.Remove(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		if err := swapper.Remove(t.Context(), second); err != nil {
			t.Errorf("what is gone is removed again: %v", err)
		}
		if keys := Keys(t, s, ".locks/"); len(keys) > 0 {
			t.Errorf("%q is left", keys)
		}
		if second.Version != "" {
			// The S3 server of these tests judges a condition on what is
			// behind a delete marker by the object before it.
			return
		}
		_, err = swapper.Swap(t.Context(), second, []byte("fourth"))
		refused(t, err, storage.ErrNotExist, key)
		if err := absent(key); err != nil {
			t.Errorf("store what was removed: %v", err)
		}
	})
	t.Run("keys that may not be", func(t *testing.T) {
		for _, key := range []string{"", "/abs", "../up", "a//b"} {
			if _, err := swapper.Swap(t.Context(), storage.Object{Key: key, Revision: "r"}, nil); err == nil {
				t.Errorf("swapped %q", key)
			}
			if err := swapper.Remove(t.Context(), storage.Object{Key: key, Revision: "r"}); err == nil {
				t.Errorf("removed %q", key)
			}
		}
	})
	t.Run("race", func(t *testing.T) {
		for round := range 3 {
			raceSwaps(t, s, swapper, fmt.Sprintf(".locks/race-%d.json", round))
		}
	})
	t.Run("clock", func(t *testing.T) {
		clock, ok := storage.As[storage.Clock](s)
		if !ok {
			return
		}
		before, err := clock.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		Put(t, s, ".locks/time", "x")
		stat, err := s.Stat(t.Context(), ".locks/time")
		if err != nil {
			t.Fatal(err)
		}
		after, err := clock.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Services round to seconds, up or down.
		if stat.Modified.Before(before.Add(-time.Second)) || stat.Modified.After(after.Add(time.Second)) {
			t.Errorf("modified %v, by a clock that said %v before and %v after", stat.Modified, before, after)
		}
		for o, err := range s.List(t.Context(), "") {
			if err != nil || !strings.HasPrefix(o.Key, ".locks/") {
				t.Errorf("asking the time leaves %s, %v", o.Key, err)
			}
		}
	})
}

// raceSwaps lets several replace one revision: one of them wins.
func raceSwaps(t *testing.T, s storage.Store, swapper storage.Swapper, key string) {
	t.Helper()
	const racers = 8
	first := Put(t, s, key, "first")
	var start, done sync.WaitGroup
	errs := make([]error, racers)
	start.Add(1)
	for i := range racers {
		done.Go(func() {
			start.Wait()
			_, errs[i] = swapper.Swap(context.Background(), first, fmt.Appendf(nil, "racer %d", i))
		})
	}
	start.Done()
	done.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d have both won", winner, i)
		case err == nil:
			winner = i
		default:
			refused(t, err, storage.ErrChanged, key)
		}
	}
	if winner < 0 {
		t.Fatal("nobody has won")
	}
	holds(t, s, key, fmt.Appendf(nil, "racer %d", winner))
}
