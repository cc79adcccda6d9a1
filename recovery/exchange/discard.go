package exchange

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// leaving is what a directory is called while it is removed.
const leaving = ".comeback-removing"

// Standing is which directory stands at a path, or is being removed from there;
// zero where there is none.
func Standing(path string) (Identity, error) {
	id, err := identify(path)
	if err != nil || id != (Identity{}) {
		return id, err
	}
	return identify(path + leaving)
}

// Discard removes a directory for good: the one that is meant, and no other that
// stands in its place. It is taken out of its place in one step before anything in
// it is removed, so that nobody finds half of it there. It may be repeated; a
// directory that is gone is no error.
func Discard(path string, which Identity) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || filepath.Dir(path) == "/" || which == (Identity{}) {
		return fmt.Errorf("remove %q: it is not known which directory is meant", path)
	}
	at, err := identify(path)
	if err != nil {
		return err
	}
	gone := path + leaving
	switch {
	case at.Is(which):
		if err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, gone, unix.RENAME_NOREPLACE); err != nil {
			return recovery.Errorf("look what stands at "+gone, "remove %s: %w", path, err)
		}
	case at != (Identity{}):
		return recovery.Errorf("find out what it is; it was left alone", "refused: at %s is another directory than the one to be removed", path).WithExit(recovery.Refused)
	}
	if at, err = identify(gone); err != nil || at == (Identity{}) {
		return err
	}
	if !at.Is(which) {
		return recovery.Errorf("find out what it is; it was left alone", "refused: %s is another directory than the one to be removed", gone).WithExit(recovery.Refused)
	}
	if err := NothingMounted(gone); err != nil {
		return err
	}
	err = os.RemoveAll(gone)
	if errors.Is(err, fs.ErrPermission) {
		// A restored tree may hold directories that their owner may not write to.
		err = errors.Join(openDirectories(gone), os.RemoveAll(gone))
	}
	if err != nil {
		return recovery.Errorf("remove it by hand", "remove %s: %w", path, err)
	}
	if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %s is still there", path, gone)
	}
	return nil
}

// openDirectories lets the owner of a tree remove what is in it. Links are not
// followed.
func openDirectories(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		// A directory is told of before it is read.
		if e == nil || !e.IsDir() || err != nil {
			return err
		}
		return os.Chmod(path, 0o700)
	})
}
