package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Tried is how a copy's lock was tried, with the credentials of whoever asks.
type Tried struct {
	// Deleted says that the canary is gone, Refused that the service did not let
	// it go; neither, that it was not tried, and Err may say why.
	Deleted, Refused bool
	// By is who tried.
	By string
	// Mode and Until are the canary's own lock.
	Mode  string
	Until time.Time
	Err   error
}

// canaries is where a copy's canaries lie.
const canaries = "comeback/canary/"

// Canary stores an object of its own in a copy, unless one is left there from
// before, and tries to delete it for good: a lock refuses that. Where it is
// refused the canary stays, and is tried again the next time.
func Canary(ctx context.Context, s storage.Store, now time.Time) Tried {
	t := Tried{}
	if id, ok := storage.As[storage.Identifier](s); ok {
		who, _, err := id.Identity(ctx)
		if err == nil {
			t.By = shortWho(who)
		}
	}
	t.Err = t.try(ctx, s, now)
	return t
}

func (t *Tried) try(ctx context.Context, s storage.Store, now time.Time) error {
	locker, ok := storage.As[storage.Locker](s)
	if !ok {
		return nil // a directory: nobody locks anything in it
	}
	var canary storage.Object
	for o, err := range s.List(ctx, canaries) {
		if err != nil {
			return fmt.Errorf("look for a canary: %w", err)
		}
		canary = o
	}
	if canary.Key == "" {
		key := canaries + now.UTC().Format("20060102T150405.000Z")
		body := "comeback tries with this object whether backups here can be deleted.\n"
		if _, err := s.Put(ctx, key, strings.NewReader(body), storage.PutOptions{IfAbsent: true, Size: int64(len(body))}); err != nil {
			return recovery.Errorf("let the key store objects under "+canaries, "store a canary: %w", err)
		}
		canary.Key = key
	}
	canary, err := s.Stat(ctx, canary.Key) // with its version
	if err != nil {
		return fmt.Errorf("look at the canary: %w", err)
	}
	r, err := locker.Retention(ctx, canary)
	if err != nil && !errors.Is(err, storage.ErrDenied) { // not every key may ask
		return fmt.Errorf("ask for the canary's lock: %w", err)
	}
	t.Mode, t.Until = r.Mode, r.Until
	switch err := locker.Destroy(ctx, canary); {
	case err == nil:
		t.Deleted = true
	case errors.Is(err, storage.ErrDenied):
		t.Refused = true
	default:
		return fmt.Errorf("try to delete the canary: %w", err)
	}
	return nil
}

// shortWho is the end of an ARN, "user/backup-writer".
func shortWho(who string) string {
	if strings.HasPrefix(who, "arn:") {
		if i := strings.LastIndex(who, ":"); i >= 0 {
			return who[i+1:]
		}
	}
	return who
}
