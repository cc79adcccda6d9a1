package exclusive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// lease is a target's lock in a copy: an object that is written only while it
// is the revision that this holder has written last.
type lease struct {
	store   storage.Store
	swapper storage.Swapper
	now     func() time.Time
	target  string
	length  time.Duration

	mu     sync.Mutex // guards what follows
	mine   record
	object storage.Object // as this holder wrote it last
	lost   *lostError
	over   bool // released

	// sent is when the last writing that succeeded began, by this host's clock; it can be
	// read while a copy that gives no answer is written.
	sent atomic.Pointer[time.Time]
}

// errNoConditions says that a copy cannot hold a lease.
var errNoConditions = errors.New("it takes no conditional writes")

// lostError says that somebody else has the target.
type lostError struct{ refusal error }

func (l *lostError) Error() string { return l.refusal.Error() }

// leaseTries bounds how often a lease that changes hands is tried.
const leaseTries = 5

// takeLease takes a lease that nobody has. A *recovery.Error is a refusal;
// every other error says that the copy cannot hold one now.
func takeLease(ctx context.Context, store storage.Store, mine record, now func() time.Time) (*lease, error) {
	swapper, ok := storage.As[storage.Swapper](store)
	if !ok {
		return nil, errNoConditions
	}
	l := &lease{store: store, swapper: swapper, mine: mine, now: now, target: mine.Target, length: time.Duration(mine.Lease)}
	err := l.take(ctx)
	if err == nil {
		err = l.prove(ctx)
	}
	if err == nil {
		return l, nil
	}
	if l.object.Revision != "" {
		// What cannot be given back now ends by itself.
		_ = l.release(context.WithoutCancel(ctx))
	}
	return nil, err
}

func (l *lease) take(ctx context.Context) error {
	var last error
	for range leaseTries {
		if last = l.create(ctx); !errors.Is(last, storage.ErrExist) {
			return last
		}
		seen, by, err := l.read(ctx)
		if errors.Is(err, storage.ErrNotExist) || errors.Is(err, storage.ErrChanged) {
			last = err
			continue
		}
		if err != nil {
			return err
		}
		if by.Token == l.mine.Token { // an answer was lost
			l.object = seen
			return nil
		}
		if err := l.await(ctx, seen, by); err != nil {
			return err
		}
		l.object = seen
		if last = l.write(ctx); last == nil {
			return nil
		}
		l.object = storage.Object{}
		if !errors.Is(last, storage.ErrChanged) && !errors.Is(last, storage.ErrNotExist) {
			return last
		}
	}
	return fmt.Errorf("it changed hands %d times meanwhile: %w", leaseTries, last)
}

// prove tries each condition once when it must not hold: a service that does
// not know them would let two take the same lease.
func (l *lease) prove(ctx context.Context) error {
	before := l.object
	if err := l.write(ctx); err != nil {
		return err
	}
	mine := l.object
	switch err := l.create(ctx); {
	case err == nil:
		return errNoConditions
	case !errors.Is(err, storage.ErrExist):
		return err
	}
	l.object = before
	switch err := l.write(ctx); {
	case err == nil:
		return errNoConditions
	case !errors.Is(err, storage.ErrChanged):
		return err
	}
	l.object = mine
	return nil
}

// create stores the record where there is none.
func (l *lease) create(ctx context.Context) error {
	return l.put(func(body []byte) (storage.Object, error) {
		return l.store.Put(ctx, lockKey(l.mine.Target), bytes.NewReader(body), storage.PutOptions{IfAbsent: true, Size: int64(len(body))})
	})
}

// write replaces the revision that was written last.
func (l *lease) write(ctx context.Context) error {
	return l.put(func(body []byte) (storage.Object, error) { return l.swapper.Swap(ctx, l.object, body) })
}

// put writes the record as bytes that were never written before, and
// remembers when that began.
func (l *lease) put(do func([]byte) (storage.Object, error)) error {
	l.mine.Beat++
	body, err := l.mine.bytes()
	if err != nil {
		return err
	}
	sent := l.now()
	o, err := do(body)
	if err != nil {
		return err
	}
	l.object = o
	l.sent.Store(&sent)
	return nil
}

// read reads what is there, at one revision.
func (l *lease) read(ctx context.Context) (storage.Object, record, error) {
	o, err := l.store.Stat(ctx, lockKey(l.mine.Target))
	if err != nil {
		return o, record{}, err
	}
	body, err := l.store.Open(ctx, o, 0)
	if err != nil {
		return o, record{}, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxRecord+1))
	return o, parse(b), err
}

// renew writes the record again, which proves that nobody else has. A writing
// whose answer was lost is recognized by its token; an object that somebody
// removed is made again.
func (l *lease) renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return l.lost
	}
	return l.rewrite(ctx, true)
}

func (l *lease) rewrite(ctx context.Context, again bool) error {
	var err error
	for range leaseTries {
		err = l.write(ctx)
		if again && errors.Is(err, storage.ErrNotExist) {
			err = l.create(ctx)
		}
		if !errors.Is(err, storage.ErrChanged) && !errors.Is(err, storage.ErrExist) {
			return err
		}
		o, by, readErr := l.read(ctx)
		switch {
		case errors.Is(readErr, storage.ErrNotExist), errors.Is(readErr, storage.ErrChanged):
			continue
		case readErr != nil:
			return readErr
		case by.Token != l.mine.Token:
			l.lost = &lostError{l.lostTo(by)}
			return l.lost
		}
		l.object = o
	}
	return err
}

// lostTo is the refusal of a run that has lost its target.
func (l *lease) lostTo(by record) error {
	if by.Released {
		return recovery.Errorf("see that the other run is over, then stop this one and resume it: comeback resume "+l.mine.Run,
			"refused: %s on %s had taken %s over meanwhile", by, by.Host, l.mine.Target).WithExit(recovery.Refused)
	}
	return recovery.Errorf(fmt.Sprintf("stop this run: comeback stop %s; the other one: comeback status %s on %s", l.mine.Run, by.Run, by.Host),
		"refused: %s has taken %s over at %s (process %d on %s)", by, l.mine.Target, clock(by.Since, l.now()), by.PID, by.Host).WithExit(recovery.Refused)
}

// lasts reports whether nobody can have taken the lease yet, whatever the copy
// says: it was written less than its length ago.
func (l *lease) lasts() bool { return elapsed(l.now(), *l.sent.Load()) < l.length }

// elapsed is the longer of what the monotonic and the wall clock say.
func elapsed(now, since time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// release says that nobody holds the lease, by the same condition, and removes
// it then where nothing of it would be kept anyway.
func (l *lease) release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.lost != nil {
		return nil
	}
	l.mine.Released = true
	err := l.rewrite(ctx, false)
	switch {
	case l.lost != nil, errors.Is(err, storage.ErrNotExist):
		l.over = true
		return nil
	case err != nil:
		return err
	}
	l.over = true
	if l.object.Version != "" {
		return nil
	}
	err = l.swapper.Remove(ctx, l.object)
	for _, harmless := range []error{storage.ErrChanged, storage.ErrDenied, storage.ErrConfig} {
		if errors.Is(err, harmless) {
			return nil // somebody has it already, or the record says that nobody has
		}
	}
	return err
}
