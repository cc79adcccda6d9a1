package exclusive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
)

// fileLock is a target's lock on this host: a file that is locked as long as it
// is open. It has its name only when it is whole and locked, so whoever finds it
// can read who holds it.
type fileLock struct {
	file   *os.File
	path   string
	target string
}

// tempPrefix begins the names of lock files in the making.
const tempPrefix = ".taking-"

// How often a lock that is held is tried before that is believed: another taker
// may just be removing what a dead one left.
const (
	fileTries = 5
	fileRetry = 20 * time.Millisecond
)

// waitRetry is how often a lock that is waited for is tried.
const waitRetry = 500 * time.Millisecond

// lockFile locks a target, or gives the record of the living process that has it.
func lockFile(ctx context.Context, dir string, mine record) (*fileLock, *record, error) {
	refuse := func(err error) error {
		return recovery.Errorf(dirHint(dir), "lock %s: %w", mine.Target, err)
	}
	path := filepath.Join(dir, digest(mine.Target)+".json")
	body, err := mine.bytes()
	if err != nil {
		return nil, nil, err
	}
	temp, err := newFile(dir, body)
	if err != nil {
		return nil, nil, refuse(err)
	}
	defer os.Remove(temp.Name()) // it has its other name, or none
	held := 0
	for {
		err := os.Link(temp.Name(), path)
		if err == nil {
			return &fileLock{file: temp, path: path, target: mine.Target}, nil, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			temp.Close()
			return nil, nil, refuse(err)
		}
		by, err := bury(path)
		if err == nil && by == nil && ctx.Err() == nil {
			continue // nobody held it, and it is gone
		}
		if held++; err != nil || by != nil && held == fileTries {
			temp.Close()
			if err != nil {
				return nil, nil, refuse(err)
			}
			return nil, by, nil
		}
		select {
		case <-ctx.Done():
			temp.Close()
			return nil, nil, fmt.Errorf("lock %s: %w", mine.Target, context.Cause(ctx))
		case <-time.After(fileRetry):
		}
	}
}

// bury removes the lock file of a dead holder, or gives the record of a living
// one.
func bury(path string) (*record, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
		if err != nil {
			return nil, err
		}
		by := parse(b)
		return &by, nil
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// Only who has locked a file removes its name, so nobody else's is hit.
	if named(path, f) {
		return nil, os.Remove(path)
	}
	return nil, nil
}

// lock locks a target, and waits for who has it as long as the options say.
func (h *Hold) lock(ctx context.Context, mine record) (*fileLock, error) {
	var begun, until time.Time
	token := ""
	for {
		f, by, err := lockFile(ctx, h.options.Dir, mine)
		if by == nil {
			return f, err
		}
		if begun.IsZero() {
			begun, until = time.Now(), time.Now()
		}
		if h.options.Waits != nil && by.Token != token {
			token, until = by.Token, begun.Add(h.options.Waits(mine.Target, by.Holder, by.Since))
		}
		left := time.Until(until)
		if left <= 0 {
			return nil, taken(mine.Target, *by, h.options.Now())
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", mine.Target, context.Cause(ctx))
		case <-time.After(min(left, waitRetry)):
		}
		mine.Since = h.options.Now().UTC()
	}
}

// taken is the refusal of a target that a process on this host is at work on.
func taken(target string, by record, now time.Time) error {
	next := "look at it: comeback status " + by.Run
	switch {
	case by.Run == "" && by.Work == "":
		return recovery.Errorf("see with comeback runs what is at work on this host", "refused: somebody holds the lock of %s and does not say who", target).WithExit(recovery.Refused)
	case by.Run == "":
		next = "let it end, then do this again; ps -fp " + strconv.Itoa(by.PID) + " shows it"
	}
	return recovery.Errorf(next, "refused: %s has been at work on %s since %s (process %d)",
		by, target, clock(by.Since, now), by.PID).WithExit(recovery.Refused)
}

// check reports whether the lock still has its name: a file that somebody
// removed keeps nobody out.
func (l *fileLock) check() error {
	if named(l.path, l.file) {
		return nil
	}
	return recovery.Errorf("see with comeback runs that no other run is at work on it, then stop this one and resume it",
		"refused: the lock of %s was removed or replaced: %s", l.target, l.path).WithExit(recovery.Refused)
}

// release removes the file and unlocks it, in this order.
func (l *fileLock) release() error {
	if l.file == nil {
		return nil
	}
	var err error
	if named(l.path, l.file) {
		err = os.Remove(l.path)
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	if err != nil {
		return fmt.Errorf("unlock %s: %w", l.target, err)
	}
	return nil
}

// named reports whether an open file has a name.
func named(path string, f *os.File) bool {
	if f == nil {
		return false
	}
	here, err := os.Lstat(path)
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(here, mine)
}

// newFile makes a file that is locked and holds b.
func newFile(dir string, b []byte) (*os.File, error) {
	for {
		f, err := os.OpenFile(filepath.Join(dir, tempPrefix+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil && shared(dir) {
			err = f.Chmod(0o640)
		}
		if err == nil {
			_, err = f.Write(b)
		}
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			return nil, err
		}
		// A sweep may have had the lock first.
		if named(f.Name(), f) {
			return f, nil
		}
		f.Close()
	}
}

// placeOf names a directory of lock files, which it makes where it is missing,
// unlike any other of any host: its holder can be proven dead by a lock in it
// alone. What crashed takers left in it is removed.
func placeOf(dir, host string) (string, error) {
	hint := dirHint(dir)
	if err := makeDir(dir); err != nil {
		return "", recovery.Errorf(hint, "make the directory of locks: %w", err)
	}
	path := filepath.Join(dir, "place")
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			sweep(dir)
			return host + "/" + strings.TrimSpace(string(b)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", recovery.Errorf(hint, "read the directory of locks: %w", err)
		}
		f, err := newFile(dir, []byte(rand.Text()+"\n"))
		if err != nil {
			return "", recovery.Errorf(hint, "write the directory of locks: %w", err)
		}
		err = os.Link(f.Name(), path)
		os.Remove(f.Name())
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", recovery.Errorf(hint, "write the directory of locks: %w", err)
		}
	}
}

func dirHint(dir string) string {
	return "let " + dir + " be a directory that you may write to, on a disk of this host"
}

// makeDir makes a directory that is open to the group where the one above is.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if shared(filepath.Dir(dir)) {
		return os.Chmod(dir, 0o770|fs.ModeSetgid)
	}
	return nil
}

// shared reports whether a directory is shared by its group.
func shared(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode()&fs.ModeSetgid != 0 && info.Mode().Perm()&0o070 == 0o070
}

// sweep removes lock files in the making whose maker has died.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	for _, path := range left {
		_, _ = bury(path)
	}
}
