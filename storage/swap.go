package storage

import (
	"context"
	"time"
)

// Swapper is a store that replaces and removes an object only while it is the
// revision that the caller has seen, as one act: of several who try it with the
// same revision, one succeeds. It is for small objects that several hosts write,
// not for backups.
//
// Where a store's answer is lost its own next try meets what the one before has
// done: ErrChanged and ErrUnavailable do not say that nothing happened. Whoever
// needs to know writes something unique and compares.
type Swapper interface {
	// Swap stores body under the key of old and returns when it is durable.
	// It must give ErrChanged where another revision is there, and
	// ErrNotExist where none is.
	Swap(ctx context.Context, old Object, body []byte) (Object, error)
	// Remove removes old; what is gone already is no error. It must give
	// ErrChanged where another revision is there. A store that keeps versions
	// keeps those of the object behind a delete marker, and not every service
	// judges conditions on such a key rightly: versitygw 1.8.0 takes the
	// marker for the object before it.
	Remove(ctx context.Context, old Object) error
}

// Clock is a store that reports the current time on the clock that stamps Object.Modified,
// to the second or better. Compare Modified with no other clock: hosts differ.
type Clock interface {
	Now(ctx context.Context) (time.Time, error)
}
