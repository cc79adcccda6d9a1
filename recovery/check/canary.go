package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// Tried is how a copy was tried, with the credentials of whoever asks: those that
// production has, where production asks.
type Tried struct {
	// Deleted says that the canary is gone, Refused that the copy did not let it go,
	// Unplaced that it did not take one; none of them, that it was not tried, and Err
	// may say why.
	Deleted, Refused, Unplaced bool
	// By is who tried.
	By string
	// Mode and Until are the canary's own lock.
	Mode  string
	Until time.Time
	Err   error
}

// canaries is where a copy's canaries lie.
const canaries = "comeback/canary/"

// canaryText is all that a canary holds, canaryName how one is called: nothing else is
// ever taken for one.
const (
	canaryText = "comeback tries with this object whether backups here can be deleted.\n"
	canaryTime = "20060102T150405.000Z"
)

var canaryName = pattern.New(`^comeback/canary/[0-9]{8}T[0-9]{6}\.[0-9]{3}Z$`)

// Canary stores an object of its own in a copy and tries to delete it for good, which
// a lock refuses; a delete marker is no deletion. Where it is refused the canary stays,
// and is the one that is tried the next time, so that there is never more than one. One
// that goes although it was kept the last time was let go by the end of its lock, and
// tells nothing: another one is tried.
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
	var left []string
	for o, err := range s.List(ctx, canaries) {
		if err != nil {
			return fmt.Errorf("look for a canary: %w", err)
		}
		if canaryName.MatchString(o.Key) && o.Size == int64(len(canaryText)) {
			left = append(left, o.Key)
		}
	}
	for _, key := range left {
		if err := t.delete(ctx, s, key); err != nil {
			return err
		}
		if t.Refused {
			return nil
		}
		t.Deleted = false // its lock has ended
	}
	key := canaries + now.UTC().Format(canaryTime)
	_, err := s.Put(ctx, key, strings.NewReader(canaryText), storage.PutOptions{IfAbsent: true, Size: int64(len(canaryText))})
	if err != nil {
		t.Unplaced = errors.Is(err, storage.ErrDenied)
		return recovery.Errorf("let the key store objects under "+canaries, "store a canary: %w", err)
	}
	return t.delete(ctx, s, key)
}

// delete tries to delete a canary for good.
func (t *Tried) delete(ctx context.Context, s storage.Store, key string) error {
	o, err := s.Stat(ctx, key) // with its version
	if err != nil {
		return fmt.Errorf("look at the canary: %w", err)
	}
	t.Mode, t.Until = "", time.Time{}
	if locker, ok := storage.As[storage.Locker](s); ok {
		r, errLock := locker.Retention(ctx, o)
		if errLock != nil && !errors.Is(errLock, storage.ErrDenied) { // not every key may ask
			return fmt.Errorf("ask for the canary's lock: %w", errLock)
		}
		t.Mode, t.Until = r.Mode, r.Until
		err = locker.Destroy(ctx, o)
	} else if swapper, ok := storage.As[storage.Swapper](s); ok {
		err = swapper.Remove(ctx, o)
	} else {
		return nil // nobody deletes in it
	}
	switch {
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
