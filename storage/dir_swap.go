package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"syscall"
	"time"
)

var (
	_ Swapper = (*dir)(nil)
	_ Clock   = (*dir)(nil)
)

// Swap replaces a file under a lock of its directory, which every Swap and
// Remove takes: link and rename alone cannot compare. Where the file system has
// no locks it is refused.
func (d *dir) Swap(ctx context.Context, old Object, body []byte) (Object, error) {
	var o Object
	err := d.locked(ctx, "swap", old, func(root *os.Root) (err error) {
		o, err = d.put(ctx, root, old.Key, bytes.NewReader(body), PutOptions{Size: int64(len(body))})
		return err
	})
	return o, err
}

// Remove removes a file under the same lock; its directory stays.
func (d *dir) Remove(ctx context.Context, old Object) error {
	err := d.locked(ctx, "remove", old, func(root *os.Root) error {
		if err := root.Remove(old.Key); err != nil {
			return err
		}
		return syncDir(root, path.Dir(old.Key))
	})
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	return err
}

// locked does something to an object that is the revision old, and keeps others
// from it meanwhile.
func (d *dir) locked(ctx context.Context, op string, old Object, do func(*os.Root) error) error {
	if err := ctx.Err(); err != nil {
		return d.refusal(op, old.Key, err)
	}
	if err := d.checkKey(op, old.Key); err != nil {
		return err
	}
	root, err := d.open(op, old.Key)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := lockDir(ctx, root, path.Dir(old.Key))
	if errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return &Error{Op: op, Object: d.name(old.Key), Kind: ErrConfig, Err: err,
			Says: "this file system has no locks, without which nothing can be replaced only if it is unchanged"}
	}
	if err != nil {
		return d.refusal(op, old.Key, err)
	}
	defer unlock()
	info, err := root.Stat(old.Key)
	if err != nil {
		return d.refusal(op, old.Key, err)
	}
	if now := object(old.Key, info); now.Revision != old.Revision {
		return &Error{Op: op, Object: d.name(old.Key), Kind: ErrChanged}
	}
	if err := do(root); err != nil {
		return d.refusal(op, old.Key, err)
	}
	return nil
}

// lockRetry is how often a lock that another process holds is tried.
const lockRetry = 2 * time.Millisecond

// lockDir locks a directory by a file with a reserved name, which is removed
// with the lock; one that a crash leaves is no lock any more, and the next Put
// removes it.
func lockDir(ctx context.Context, root *os.Root, parent string) (unlock func(), err error) {
	name := path.Join(parent, reservedPrefix+"lock")
	for {
		f, err := root.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isFile(root, name, f) {
			return func() { root.Remove(name); f.Close() }, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

// isFile reports whether an open file still has a name.
func isFile(root *os.Root, name string, f *os.File) bool {
	here, err := root.Lstat(name)
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(here, mine)
}

// Now is the clock of the file system: for one that is mounted from another
// host, that host's.
func (d *dir) Now(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, d.refusal("ask the time of", "", err)
	}
	root, err := d.open("ask the time of", "")
	if err != nil {
		return time.Time{}, err
	}
	defer root.Close()
	f, err := createTemp(root, ".")
	if err != nil {
		return time.Time{}, d.refusal("ask the time of", "", err)
	}
	defer f.Close()
	defer root.Remove(path.Base(f.Name()))
	// What is written now is modified now, by the clock of whoever keeps it.
	if _, err := f.Write([]byte{0}); err != nil {
		return time.Time{}, d.refusal("ask the time of", "", err)
	}
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, d.refusal("ask the time of", "", err)
	}
	return info.ModTime().UTC(), nil
}
