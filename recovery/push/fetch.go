package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/storage"
)

// Fetch brings a file of the log from the first copy that has it to a path, as
// restore_command asks for it: whole or not at all. found is false only where
// every copy is proven not to have it; a copy that could not be asked is an error.
func Fetch(ctx context.Context, o Options, name, to string) (found bool, err error) {
	f, ok := pitr.ParseFileName(name)
	if !ok || f.Name() != name {
		return false, recovery.Errorf("it is for restore_command only: comeback wal fetch RUNBOOK %%f %%p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	prefix := pitr.WALPrefix(o.Component)
	var failed []error
	for _, c := range o.Copies {
		found, err := fetchFrom(ctx, c, prefix, name, to)
		if found {
			return true, nil
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return false, errors.Join(failed...)
}

func fetchFrom(ctx context.Context, c Copy, prefix, name, to string) (found bool, err error) {
	store, err := c.Open(ctx)
	if err != nil {
		return false, err
	}
	for o, err := range store.List(ctx, prefix+name) {
		if err != nil {
			return false, err
		}
		f, ok := pitr.ParseFileName(path.Base(o.Key))
		if ok && f.Name() == name && path.Dir(o.Key)+"/" == prefix {
			err := fetchObject(ctx, store, o, f.Packing, to)
			return err == nil, err
		}
	}
	return false, nil
}

// fetching begins the names of files that are being fetched.
const fetching = ".comeback-fetch-"

// fetchObject writes an object's content beside its place, and gives it its name
// when it is whole. What a killed fetch has left there goes.
func fetchObject(ctx context.Context, store storage.Store, o storage.Object, packing pitr.Packing, to string) error {
	in, err := pitr.Unpacked(storage.NewReader(ctx, store, o, storage.ReadOptions{}), packing)
	if err != nil {
		return err
	}
	defer in.Close()
	sweepFetched(filepath.Dir(to))
	out, err := os.CreateTemp(filepath.Dir(to), fetching)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", o.Key, err)
	}
	// Without the lock another fetch may remove it, and the rename fails.
	_ = unix.Flock(int(out.Fd()), unix.LOCK_EX)
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Sync())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("fetch %s: %w", o.Key, err), os.Remove(out.Name()))
	}
	return nil
}

// sweepFetched removes the files that nobody is fetching any more. What cannot be
// removed disturbs nothing.
func sweepFetched(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // making one tells why
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), fetching) {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(f.Name())
		}
		f.Close()
	}
}
