package push

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"comeback/durable"
	"comeback/recovery"
)

// SpoolIn is the spool of a component's log in a state directory. No name of a system or of a
// component has a plus sign in it: it is that of no other.
func SpoolIn(state, system, component string) string {
	return filepath.Join(state, "spool", system+"+"+component, "log")
}

// FormerSpoolIn is where earlier versions had it. The names of two systems and of their
// components may give the same.
func FormerSpoolIn(state, system, component string) string {
	return filepath.Join(state, "spool", system+"-"+component)
}

// ReceivedBeside is where what is received lies until it is pushed, beside a spool.
func ReceivedBeside(spool string) string { return spool + "-received" }

// MoveSpool brings what earlier versions have left to where the spool of a component is now,
// unless there is one. What may be another system's stays where it is as long as it is for
// copies that are none of these.
func MoveSpool(ctx context.Context, state, system, component string, copies []string) error {
	from, to := FormerSpoolIn(state, system, component), SpoolIn(state, system, component)
	if there, err := moves(from, to); !there || err != nil {
		return err
	}
	if strings.Count(filepath.Base(from), "-") > 1 {
		waiting, _ := Backlogs(from) // what cannot be read is told of by whoever brings the rest
		if slices.ContainsFunc(waiting, func(b Backlog) bool { return !slices.Contains(copies, b.Copy) }) {
			return nil
		}
	}
	lock, err := lockFile(ctx, filepath.Join(from, "lock"))
	if err != nil {
		return unlessFull(err)
	}
	defer lock.Close()
	return unlessFull(move(from, to))
}

// unlessFull lets a disk that takes nothing keep no push from the copies.
func unlessFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) {
		return nil
	}
	return err
}

// MoveReceived does the same with what an earlier version has received. It is refused while
// that is at work.
func MoveReceived(state, system, component string) error {
	from, to := ReceivedBeside(FormerSpoolIn(state, system, component)), ReceivedBeside(SpoolIn(state, system, component))
	if there, err := moves(from, to); !there || err != nil {
		return err
	}
	hold, err := holdDir(from)
	if err != nil {
		return err
	}
	defer hold.Close()
	return move(from, to)
}

// moves reports whether a directory is there, and not yet where it is to be.
func moves(from, to string) (bool, error) {
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	_, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func move(from, to string) error {
	err := mkdirDurably(filepath.Dir(to))
	if err == nil {
		err = os.Rename(from, to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else has moved it
	}
	if err == nil {
		err = errors.Join(durable.SyncDir(filepath.Dir(to)), durable.SyncDir(filepath.Dir(from)))
	}
	if err != nil {
		return recovery.Errorf("run it as the user who archives the log", "move what waits for the copies to where it lies now: %w", err)
	}
	return nil
}
