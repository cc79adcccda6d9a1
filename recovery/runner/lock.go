package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"comeback/recovery"

	"golang.org/x/sys/unix"
)

// The lock of a journal belongs to an open file: it ends with the process that
// holds it, however that dies. It can be asked for without being taken, so that
// who only looks at a run never keeps a runner from beginning.

// lock holds a journal for this process; closing the file gives it up.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock its journal: %w", err)
	}
	return f, nil
}

// locked reports whether a runner holds the journal.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_RDLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) == nil && l.Type != unix.F_UNLCK
}

// refused is why a file of a run, its journal or its log, could not be had, for people.
func refused(run, path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		hint := "ask whoever started it to take it up"
		if info, err := os.Stat(path); err == nil && uidOf(info) >= 0 {
			hint = fmt.Sprintf("ask %s to take it up, or as %[1]s: %s", operatorOf(uint32(uidOf(info)), ""), as(uidOf(info), "comeback resume "+run))
		}
		return recovery.Errorf(hint, "run %s belongs to another user: %w", run, err).WithExit(recovery.Refused)
	}
	return recovery.Errorf("watch it with: comeback attach "+run, "run %s has a runner: %w", run, err).WithExit(recovery.Refused)
}
