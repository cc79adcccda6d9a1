package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

// Exchangeable refuses a live data directory that could not be exchanged as a
// whole, before anything is restored: a mount point or a link, one with its log or
// a tablespace elsewhere, one with a file system inside, a file system that cannot
// exchange names. It returns the directory in which the restored one must lie.
func Exchangeable(data string) (beside string, err error) {
	info, err := os.Lstat(data)
	if err != nil {
		return "", fmt.Errorf("look at the data directory: %w", err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(data)
		if err != nil {
			return "", fmt.Errorf("look at the data directory: %w", err)
		}
		return "", otherwise("%s is a symbolic link to %s", data, target)
	}
	data, err = filepath.EvalSymlinks(data)
	if err != nil {
		return "", fmt.Errorf("look at the data directory: %w", err)
	}
	owner, _, err := ownerOf(data)
	if err != nil {
		return "", err
	}
	if err := mayServe(owner, data); err != nil {
		return "", err
	}
	if err := self(data); err != nil {
		return "", err
	}
	beside = filepath.Dir(data)
	if err := exchange.Try(beside); err != nil {
		return "", err
	}
	return beside, nil
}

// otherwise refuses an exchange and says what can be done instead.
func otherwise(format string, args ...any) error {
	return recovery.Errorf("restore single databases into the running server, or hand the restored server over instead of exchanging the directory",
		"refused: "+format, args...).WithExit(recovery.Refused)
}

// self refuses a data directory of which a part lies elsewhere. Links to files of
// the configuration, such as a certificate, are the server's own affair and stay
// links.
func self(data string) error {
	root, err := mount(data)
	if err != nil {
		return err
	}
	if root.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return otherwise("the data directory %s is a mount point", data)
	}
	return filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != data {
			return nil // a server works in it
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		switch {
		case e.Type() == fs.ModeSymlink:
			return outside(data, name)
		case e.IsDir():
			st, err := mount(path)
			if err != nil {
				return err
			}
			if st.Mnt_id != root.Mnt_id {
				return otherwise("%s, in the data directory, is a mount point", path)
			}
		}
		return nil
	})
}

// outside judges a symbolic link inside a data directory.
func outside(data, name string) error {
	path := filepath.Join(data, name)
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		if target, err = os.Readlink(path); err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
	}
	rel, err := filepath.Rel(data, target)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return nil
	}
	switch {
	case name == "pg_wal":
		return otherwise("the server's log, pg_wal, lies outside of the data directory, in %s", target)
	case filepath.Dir(name) == "pg_tblspc":
		return otherwise("tablespace %s lies outside of the data directory, in %s", filepath.Base(name), target)
	case filepath.Dir(name) == "." && !ofPostgres(name):
		return nil
	}
	return otherwise("%s leads out of the data directory, to %s", path, target)
}

func mount(path string) (unix.Statx_t, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return st, fmt.Errorf("look at %s: %w", path, err)
	}
	return st, nil
}
