package exchange

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/mounts"
)

// Look reads which two are to change places, and refuses what could not be
// exchanged or should not: a symbolic link, a mount point, two file systems, one
// inside the other, twice the same by whatever names. Where nothing is at live
// yet, on a fresh host, New is to be moved there.
//
// It changes nothing. That the file system can exchange names is tried with two
// directories of its own, see Try.
func Look(live, beside string) (Pair, error) {
	var p Pair
	var err error
	if p.Live, err = resolve(live); err != nil {
		return Pair{}, err
	}
	if p.Beside, err = resolve(beside); err != nil {
		return Pair{}, err
	}
	at, err := describe(p.Live)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Pair{}, err
	}
	restored, err := describe(p.Beside)
	if err != nil {
		return Pair{}, err
	}
	p.Old, p.New = at.identity, restored.identity
	if p.Old == p.New {
		return Pair{}, refuse("restore to a new place", "%s and %s are the same", live, beside)
	}
	for _, f := range []found{at, restored} {
		if err := f.exchangeable(); err != nil {
			return Pair{}, err
		}
	}
	if at.path != "" && at.mode != restored.mode {
		return Pair{}, refuse("name the directory, or the file, that was restored", "%s and %s are not of the same kind", p.Live, p.Beside)
	}
	liveMount, err := mountOf(filepath.Dir(p.Live))
	if err != nil {
		return Pair{}, err
	}
	if liveMount != restored.mount {
		return Pair{}, refuse("restore beside the live one, on the same file system",
			"%s and %s are not on the same file system (or not in the same mount of it)", p.Live, p.Beside)
	}
	for _, path := range []string{p.Live, p.Beside} {
		if err := apart(path, p); err != nil {
			return Pair{}, err
		}
		if err := NothingMounted(path); err != nil {
			return Pair{}, err
		}
	}
	return p, nil
}

// Whole refuses what stands at a path, before anything is restored, if it could not be
// exchanged as a whole: a link, a mount point, what something is mounted below. Nothing
// at all is no hindrance.
func Whole(path string) error {
	path, err := resolve(path)
	if err != nil {
		return err
	}
	at, err := describe(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := at.exchangeable(); err != nil {
		return err
	}
	return NothingMounted(path)
}

// NothingMounted refuses a directory below which something is mounted: that would go
// along with it, away from where people look for it.
func NothingMounted(dir string) error {
	dir, err := resolve(dir)
	if err != nil {
		return err
	}
	err = mounts.NothingIn(dir)
	if m, mounted := errors.AsType[*mounts.Mounted](err); mounted {
		return refuse("unmount it first, or name the directories on each file system as components of their own", "%w, and would go along with it", m)
	}
	return err
}

func refuse(hint, format string, args ...any) error {
	return recovery.Errorf(hint, "exchange: "+format, args...).WithExit(recovery.Refused)
}

// resolve follows the links above a path. The last element stays as it is.
func resolve(path string) (string, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
		return "", refuse("give an absolute path", "%q cannot be exchanged", path)
	}
	path = filepath.Clean(path)
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("look at the directories above %s: %w", path, err)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// found is what stands at a path.
type found struct {
	path     string
	identity Identity
	mode     fs.FileMode // its type
	mount    uint64      // the mount that it is seen through
	root     bool        // it is the root of that mount
}

func describe(path string) (found, error) {
	st, err := statx(path)
	if err != nil {
		return found{}, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return found{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return found{path: path, identity: identityOf(st), mode: info.Mode().Type(), mount: st.Mnt_id, root: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, nil
}

// exchangeable refuses what is no plain file or directory.
func (f found) exchangeable() error {
	switch {
	case f.path == "":
		return nil
	case f.mode == fs.ModeSymlink:
		target, err := os.Readlink(f.path)
		if err != nil {
			return fmt.Errorf("look at %s: %w", f.path, err)
		}
		return refuse("name the place that it leads to, so that everybody knows what is exchanged", "%s is a symbolic link to %s", f.path, target)
	case f.mode != 0 && f.mode != fs.ModeDir:
		return refuse("name a file or a directory", "%s is neither a file nor a directory", f.path)
	case f.root:
		return refuse("restore inside that file system and use a directory in it", "%s is a mount point", f.path)
	}
	return nil
}

// apart refuses a path that lies inside one of the pair, by whatever names: a
// bind mount shows the same directory a second time.
func apart(path string, p Pair) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		id, err := Identify(dir)
		if err != nil {
			return err
		}
		if id == p.Old || id == p.New {
			return refuse("restore beside the live one, not inside", "%s lies inside what it would be exchanged with (%s)", path, dir)
		}
		if dir == "/" {
			return nil
		}
	}
}

func mountOf(dir string) (uint64, error) {
	st, err := statx(dir)
	return st.Mnt_id, err
}

// place is a name in a directory that is held open, so that what is done with it
// is done there.
type place struct {
	dir  int
	name string
}

func openParent(path string) (place, error) {
	dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, fmt.Errorf("open the directory of %s: %w", path, err)
	}
	return place{dir, filepath.Base(path)}, nil
}

func (p place) close() { _ = unix.Close(p.dir) } // nothing was written through it

// Try proves that the file system below a directory can exchange names, with two
// directories of its own that are gone when it returns.
func Try(dir string) (err error) {
	var tries []string
	defer func() {
		for _, made := range tries {
			err = errors.Join(err, os.Remove(made))
		}
	}()
	for range 2 {
		made, err := os.MkdirTemp(dir, ".comeback-exchange-")
		if err != nil {
			return fmt.Errorf("try an exchange in %s: %w", dir, err)
		}
		tries = append(tries, made)
	}
	p, err := Look(tries[0], tries[1])
	if err != nil {
		return err
	}
	return p.Exchange()
}
