package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// reservedPrefix begins the names of files that a Put has not finished.
const reservedPrefix = ".comeback-put-"

// reserved reports whether a key is none of the store's objects.
func reserved(key string) bool {
	first, _, _ := strings.Cut(key, "/")
	if first == "lost+found" {
		return true
	}
	for part := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(part, reservedPrefix) {
			return true
		}
	}
	return false
}

// Put writes a file beside its final name, makes it durable and gives it the
// name last. An interruption leaves a file with a reserved name, which the
// next process that stores something in that directory removes, and perhaps
// empty directories.
func (d *dir) Put(ctx context.Context, key string, r io.Reader, options PutOptions) (Object, error) {
	if err := ctx.Err(); err != nil {
		return Object{}, d.refusal("put", key, err)
	}
	if err := d.checkKey("put", key); err != nil {
		return Object{}, err
	}
	root, err := d.open("put", key)
	if err != nil {
		return Object{}, err
	}
	defer root.Close()
	o, err := d.put(ctx, root, key, r, options)
	if err != nil {
		return Object{}, d.putRefusal(key, err)
	}
	return o, nil
}

func (d *dir) put(ctx context.Context, root *os.Root, key string, r io.Reader, options PutOptions) (Object, error) {
	// A look before 80 GB are copied; Link and Rename decide.
	fresh := false
	switch info, err := root.Lstat(key); {
	case err != nil:
		fresh = errors.Is(err, fs.ErrNotExist)
	case info.IsDir():
		return Object{}, syscall.EISDIR
	case options.IfAbsent:
		return Object{}, os.ErrExist
	}
	parent := path.Dir(key)
	if err := makeDir(root, parent); err != nil {
		return Object{}, err
	}
	if _, done := d.swept.LoadOrStore(parent, true); !done {
		if err := sweep(root, parent); err != nil {
			return Object{}, err
		}
	}
	temp, err := createTemp(root, parent)
	if err != nil {
		return Object{}, err
	}
	defer temp.Close()
	name := path.Join(parent, path.Base(temp.Name()))
	defer root.Remove(name) // after Rename it is gone already

	from := &source{ctx: ctx, r: Exactly(r, options.Size)}
	if _, err := io.Copy(temp, from); from.err != nil {
		return Object{}, &Error{Op: "put", Object: d.name(key), Says: from.err.Error(), Err: from.err}
	} else if err != nil {
		return Object{}, err
	}
	if err := temp.Sync(); err != nil {
		return Object{}, err
	}
	info, err := temp.Stat()
	if err != nil {
		return Object{}, err
	}
	publish := root.Rename
	if options.IfAbsent {
		publish = root.Link
	}
	if err := publish(name, key); err != nil {
		return Object{}, err
	}
	if err := syncDir(root, parent); err != nil {
		if fresh { // a failed Put leaves none that was not there
			err = errors.Join(err, root.Remove(key))
		}
		return Object{}, err
	}
	return object(key, info), nil
}

// Settle makes a file and its name durable.
func (d *dir) Settle(_ context.Context, o Object) error {
	if err := d.checkKey("settle", o.Key); err != nil {
		return err
	}
	root, err := d.open("settle", o.Key)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.Open(o.Key)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err == nil {
		err = syncDir(root, path.Dir(o.Key))
	}
	if err != nil {
		return d.refusal("settle", o.Key, err)
	}
	return nil
}

// putRefusal tells a key that cannot be (a directory has its name, a file has
// the name of its directory) from one that is taken.
func (d *dir) putRefusal(key string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return &Error{Op: "put", Object: d.name(key), Kind: ErrConfig, Err: err,
			Says: "a directory cannot hold both a file and a directory of the same name"}
	case errors.Is(err, syscall.EPERM) && strings.HasPrefix(err.Error(), "linkat "):
		return &Error{Op: "put", Object: d.name(key), Kind: ErrConfig, Err: err,
			Says: "this file system has no hard links, without which nothing can be stored only if it is absent"}
	}
	return d.refusal("put", key, err)
}

// source reads what is stored. It ends with its context, and keeps its error
// apart from those of the directory.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// makeDir makes a directory and those above it, and their names durable.
func makeDir(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	info, err := root.Stat(name)
	if err == nil {
		if !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := path.Dir(name)
	if err := makeDir(root, parent); err != nil {
		return err
	}
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(root, parent)
}

func syncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// createTemp creates a file with a reserved name and locks it for as long as
// it is open. Where the file system has no locks it goes without: then nobody
// can prove that the file is a leftover, and nobody removes it.
func createTemp(root *os.Root, parent string) (*os.File, error) {
	for range 100 {
		name := path.Join(parent, reservedPrefix+rand.Text())
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		// A sweep may have had the lock first and removed the file.
		if isFile(root, name, f) {
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("create a file in %s: it was removed again and again", parent)
}

// sweep removes what interrupted Puts left: reserved files that nobody locks.
func sweep(root *os.Root, parent string) error {
	names, err := namesIn(root, parent, func(base string) bool { return strings.HasPrefix(base, reservedPrefix) })
	if err != nil {
		return err
	}
	for _, base := range names {
		if err := sweepOne(root, path.Join(parent, base)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sweepOne removes a reserved file that nobody locks. It is opened for writing, without
// which NFS gives no exclusive lock. One of another user that may not be opened is his: it
// may be under way, and is no reason to store nothing beside it.
func sweepOne(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return root.Remove(name)
}
