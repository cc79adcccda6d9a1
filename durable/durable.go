// Package durable writes small files that are whole or not there, also after a crash or a
// loss of power.
//
// The order of work is always the same: write beside, sync, rename, sync the directory.
// When a function returns without an error, what it wrote is on disk under its name. When it
// fails, or is cut off, the file that was there before is there still, or the new one is
// already; at most the file beside it is left. None follows a link.
//
// Who must be alone with what several files say together locks their directory.
//
// It imports nothing of ours, and every package that does I/O may import it. What lies in a
// directory of a copy is written by storage itself, below an os.Root.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Beside is what the name of a file under way ends with that Replace has made.
const Beside = ".new"

// Replace makes path hold b, for its owner alone. The directory may be another user's: what
// lies under the name beside is removed, be it a link or what an earlier attempt has left.
// Two must not replace the same file at the same time.
func Replace(path string, b []byte) error {
	temp := path + Beside
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(f, b, 0o600); err != nil {
		return err
	}
	return Rename(temp, path)
}

// Publish makes path hold b, for all to read: as another user, and at any time. Several may
// do so at once, and the last one counts.
func Publish(path string, b []byte) error {
	temp, err := Temp(filepath.Dir(path), ".comeback-", 0o644, b)
	if err != nil {
		return err
	}
	return Rename(temp, path)
}

// Temp makes a file that nobody else has, with a name that begins so, in a directory, and
// gives its path. What it holds is durable, its name is not: Rename gives it one.
func Temp(dir, prefix string, mode fs.FileMode, b []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return "", err
	}
	return f.Name(), fill(f, b, mode)
}

// fill writes a new file to its end and closes it, or removes it.
func fill(f *os.File, b []byte, mode fs.FileMode) error {
	err := f.Chmod(mode)
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Rename gives a file that is on disk the name that it is for, in the same directory. Where
// that fails the file is removed.
func Rename(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable: those that were given and those that were
// taken away.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// LockDir is alone with what lies in a directory, among all who ask for that, until the file
// is closed. It waits for whoever is. The lock ends with its process.
func LockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), d.Close())
	}
	return d, nil
}
