package storage

import (
	"context"
	"time"
)

// Locker is a store that can keep objects from being deleted by anybody, until a
// time.
type Locker interface {
	// Locking says whether the place locks new objects by itself.
	Locking(ctx context.Context) (Locking, error)
	// Retention says until when this version of an object is locked; zero where it
	// is not.
	Retention(ctx context.Context, o Object) (Retention, error)
	// Destroy deletes this version of an object for good, as far as the caller
	// may: it is how a lock is tried, on an object of one's own. ErrDenied means
	// that it is still there.
	Destroy(ctx context.Context, o Object) error
}

// Protector is a Locker that locks an object when it is asked to, also where the place
// locks none by itself.
type Protector interface {
	// Protect keeps this version of an object until a time from being deleted by
	// anybody who may not lift locks. It returns when the lock is there.
	Protect(ctx context.Context, o Object, until time.Time) error
}

// Prolonger is a Locker that lets a lock last longer.
type Prolonger interface {
	// Prolong lets this version of an object be locked no shorter than r says, in the mode
	// that it has or, where it has none, in that of r. It returns when that is so.
	Prolong(ctx context.Context, o Object, r Retention) error
}

// Locking is how a place locks new objects.
type Locking struct {
	// Able says that objects can be locked, On that new ones are.
	Able, On bool
	// Mode is "COMPLIANCE", which nobody can lift, or "GOVERNANCE", which some
	// may.
	Mode string
	// For is how long a new object is locked.
	For time.Duration
}

// Retention is the lock of one version of an object.
type Retention struct {
	Mode  string
	Until time.Time
	// Hold is a legal hold, which has no end of its own.
	Hold bool
}
