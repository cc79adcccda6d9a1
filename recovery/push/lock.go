package push

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"comeback/recovery"
)

// lockPoll is how often a lock that somebody has is tried.
const lockPoll = 20 * time.Millisecond

// holds is where the locks of copies lie.
func (s *spool) holds() string { return filepath.Join(s.dir, "catching-up") }

// hold keeps other pushes from the spool until its result is closed, and clears away what
// killed ones have left.
func (s *spool) hold(ctx context.Context) (*os.File, error) {
	lock, err := lockFile(ctx, filepath.Join(s.dir, "lock"))
	if ctx.Err() != nil && err != nil {
		return nil, fmt.Errorf("lock the spool, on which another push is at work: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := s.changing(func() error { s.clear(); return nil }); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// clearUnheld clears away what killed pushes have left, unless a push is at work: that
// one has.
func (s *spool) clearUnheld() error {
	lock, err := tryLock(filepath.Join(s.dir, "lock"))
	if lock == nil {
		return err
	}
	defer lock.Close()
	return s.changing(func() error { s.clear(); return nil })
}

// holdCopy keeps others from bringing a copy what the spool holds for it, until its
// result is closed. Where others are at it, it waits for so long, or gives nil at once.
func (s *spool) holdCopy(ctx context.Context, copy string, wait bool, patience time.Duration) (*os.File, error) {
	file := filepath.Join(s.holds(), copy)
	if !wait {
		return tryLock(file)
	}
	ctx, stop := context.WithTimeoutCause(ctx, patience, recovery.Errorf("see whether what holds the copy hangs, and which comeback wal push or receive is at work",
		"something else is bringing it what it lacks, for more than %s", recovery.FormatSpan(patience)))
	defer stop()
	return lockFile(ctx, file)
}

// changing lets nobody else change records and the files that they tell of. It takes a
// moment: nobody may ask a copy meanwhile.
func (s *spool) changing(change func() error) error {
	lock, err := openLock(filepath.Join(s.dir, "changing"))
	if err != nil {
		return err
	}
	defer lock.Close()
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return fmt.Errorf("lock the spool: %w", err)
	}
	return change()
}

// lockFile locks a file as soon as nobody else has it locked.
func lockFile(ctx context.Context, file string) (*os.File, error) {
	for {
		lock, err := tryLock(file)
		if lock != nil || err != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// tryLock locks a file, or gives nil where somebody else has it locked.
func tryLock(file string) (*os.File, error) {
	lock, err := openLock(file)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", file, err)
}

func openLock(file string) (*os.File, error) {
	lock, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) { // a lock needs no writing
		if lock, err = os.Open(file); errors.Is(err, fs.ErrNotExist) {
			lock, err = os.Open(filepath.Dir(file))
		}
	}
	if err != nil {
		return nil, recovery.Errorf("let --spool be a directory that the server's user may write to", "open the spool: %w", err).WithExit(recovery.Usage)
	}
	return lock, nil
}
