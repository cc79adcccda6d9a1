package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the names of the directories in which backups lie until they are
// stored.
const tempPrefix = "comeback-backup-"

// makeTemp makes a directory of one backup's own below dir; leave removes it. It is
// locked for as long as this process lives, so that what killed ones have left is
// known, and removed here.
func makeTemp(dir string) (temp string, leave func() error, err error) {
	sweepTemps(dir)
	for range 100 {
		temp, err := os.MkdirTemp(dir, tempPrefix)
		if err != nil {
			return "", nil, err
		}
		lock, err := lockTemp(temp)
		if err != nil { // some file systems lock no directory; nobody takes it for left there, either
			return temp, func() error { return os.RemoveAll(temp) }, nil
		}
		if lock != nil {
			return temp, func() error { return errors.Join(os.RemoveAll(temp), lock.Close()) }, nil
		}
	}
	return "", nil, fmt.Errorf("make a directory in %s: it was removed again and again", dir)
}

// lockTemp locks a directory; nil says that it is locked by somebody, or gone.
func lockTemp(temp string) (*os.File, error) {
	f, err := os.Open(temp)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	here, errHere := os.Lstat(temp)
	mine, errMine := f.Stat()
	if err == nil && (errHere != nil || errMine != nil || !os.SameFile(here, mine)) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", temp, err), f.Close())
	}
	return f, nil
}

// sweepTemps removes the directories that nobody locks any more. Those of other users
// are theirs. What cannot be removed now is met by the next backup.
func sweepTemps(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // making one tells why
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) || !e.IsDir() || !own(e) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		if lock, err := lockTemp(name); err == nil && lock != nil {
			_ = os.RemoveAll(name)
			lock.Close()
		}
	}
}

// own reports whether this user has made a directory.
func own(e os.DirEntry) bool {
	info, err := e.Info()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
