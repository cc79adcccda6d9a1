// Package room looks how much room there is on disks, and how much of it is taken.
//
// It counts what this user could still write and what the kernel has given to files, which
// is less than their length where they have holes. A place need not be there yet: it lies
// where the nearest directory above it does. It changes nothing.
package room

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Free is how many bytes are free for this user where a place lies, or will lie once it is
// made, and on which device that is.
func Free(place string) (bytes int64, device uint64, err error) {
	s, device, err := nearest(place)
	return int64(s.Bavail) * s.Bsize, device, err
}

// Total is how many bytes the file system has in all on which a place lies, or will lie once
// it is made.
func Total(place string) (int64, error) {
	s, _, err := nearest(place)
	return int64(s.Blocks) * s.Bsize, err
}

// nearest looks at a place, or at the nearest directory above it that is there.
func nearest(place string) (s unix.Statfs_t, device uint64, err error) {
	for dir := place; ; dir = filepath.Dir(dir) {
		s, device, err = look(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return s, device, err
		}
	}
}

// On is Free for a place that must be there; the error wraps fs.ErrNotExist where it is not.
func On(place string) (bytes int64, device uint64, err error) {
	s, device, err := look(place)
	return int64(s.Bavail) * s.Bsize, device, err
}

func look(place string) (s unix.Statfs_t, device uint64, err error) {
	var st unix.Stat_t
	if err = unix.Statfs(place, &s); err == nil {
		err = unix.Stat(place, &st)
	}
	if err != nil {
		return unix.Statfs_t{}, 0, fmt.Errorf("look for room in %s: %w", place, err)
	}
	return s, st.Dev, nil
}

// Taken is how many bytes of disk a directory takes with all that lies in it; none if it is
// not there. What vanishes meanwhile does not count. Beside an error stands what could be
// looked at.
func Taken(dir string) (bytes int64, err error) {
	var unseen error
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if err == nil {
			bytes += st.Blocks * 512
		} else if !errors.Is(err, fs.ErrNotExist) {
			unseen = cmp.Or(unseen, err)
		}
		return nil
	})
	if err = errors.Join(err, unseen); err != nil {
		return bytes, fmt.Errorf("look how much lies in %s: %w", dir, err)
	}
	return bytes, nil
}
