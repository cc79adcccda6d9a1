package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

var _ Sweeper = (*dir)(nil)

// Sweep removes the reserved files that nobody locks and the directories that are
// empty, below the directories whose names begin with prefix and in the one that
// holds them.
func (d *dir) Sweep(ctx context.Context, prefix string) error {
	root, err := d.open("sweep", prefix)
	if err != nil {
		return err
	}
	defer root.Close()
	parent := path.Dir(prefix + "x")
	if err := sweep(root, parent); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	} else if err != nil {
		return d.refusal("sweep", prefix, err)
	}
	names, err := namesIn(root, parent, func(base string) bool { return strings.HasPrefix(path.Join(parent, base), prefix) })
	if err != nil {
		return d.refusal("sweep", prefix, err)
	}
	for _, base := range names {
		name := path.Join(parent, base)
		info, err := root.Lstat(name)
		if err != nil || !info.IsDir() || reserved(name) {
			continue
		}
		if err := sweepTree(ctx, root, name); err != nil {
			return d.refusal("sweep", name, err)
		}
	}
	// The directory that has the prefix for its own name.
	if strings.HasSuffix(prefix, "/") && parent != "." {
		err = removeEmpty(root, parent)
	}
	if err != nil {
		return d.refusal("sweep", prefix, err)
	}
	return nil
}

// sweepTree sweeps a directory and those below it, and removes those that are empty.
func sweepTree(ctx context.Context, root *os.Root, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := sweep(root, name); err != nil {
		return err
	}
	names, err := namesIn(root, name, everyName)
	if err != nil {
		return err
	}
	for _, base := range names {
		below := path.Join(name, base)
		if info, err := root.Lstat(below); err != nil || !info.IsDir() {
			continue
		}
		if err := sweepTree(ctx, root, below); err != nil {
			return err
		}
	}
	return removeEmpty(root, name)
}

// removeEmpty removes a directory that is empty.
func removeEmpty(root *os.Root, name string) error {
	names, err := namesIn(root, name, everyName)
	if err != nil || len(names) > 0 {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// everyName wants all.
func everyName(string) bool { return true }

// namesIn reads the names in a directory that are wanted.
func namesIn(root *os.Root, name string, wanted func(base string) bool) ([]string, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return namesOf(context.Background(), f, wanted)
}
