package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dir is a local directory. Nothing is held between calls, so that a file
// system below it can be unmounted; each call proves first that the directory
// is still the one that was opened, because an unmounted disk leaves an empty
// directory that looks like a copy without backups.
type dir struct {
	path     string
	identity os.FileInfo
	swept    sync.Map // directories whose leftovers were removed
}

// OpenDir opens a directory as a store. Its objects are the regular files in
// it, and the links that lead to regular files in it: a link `latest` is an
// object with the revision of its target. Links to directories, links that
// lead out of the directory, what is neither file nor directory, the file
// system's own lost+found and the files of an unfinished Put are no objects.
//
// A missing directory is ErrNotExist and ErrConfig.
func OpenDir(path string) (Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d := &dir{path: path}
	root, err := d.open("open", "")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return d, nil
}

// OpenDirWithin is OpenDir for a directory that may lie elsewhere: where it does not answer,
// as that of a file server that has gone does not, it is ErrUnavailable after a while, or
// the end of ctx. Who asked it waits on, and ends with the process: nothing else ends that.
func OpenDirWithin(ctx context.Context, path string, within time.Duration) (Store, error) {
	type opened struct {
		store Store
		err   error
	}
	answer := make(chan opened, 1)
	go func() {
		s, err := OpenDir(path)
		answer <- opened{s, err}
	}()
	late := time.NewTimer(within)
	defer late.Stop()
	refusal := &Error{Op: "open", Object: (&dir{path: path}).URL()}
	select {
	case a := <-answer:
		return a.store, a.err
	case <-ctx.Done():
		refusal.Kind = ctx.Err()
	case <-late.C:
		refusal.Kind, refusal.Says = ErrUnavailable, fmt.Sprintf("the directory has not answered for %v; is the file server that it is mounted from there?", within)
	}
	return nil, refusal
}

func (d *dir) URL() string { return "file://" + (&url.URL{Path: d.path}).EscapedPath() }

// open opens the directory for one operation on key.
func (d *dir) open(op, key string) (*os.Root, error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		refusal := &Error{Op: op, Object: d.name(key), Kind: ErrConfig,
			Says: "the directory " + d.path + " does not exist"}
		if key == "" {
			refusal.Err = ErrNotExist
		}
		return nil, refusal
	case err != nil:
		return nil, d.refusal(op, "", err)
	case !info.IsDir():
		return nil, &Error{Op: op, Object: d.name(key), Kind: ErrConfig, Says: d.path + " is not a directory"}
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, d.refusal(op, "", err)
	}
	if info, err = root.Stat("."); err != nil {
		root.Close()
		return nil, d.refusal(op, "", err)
	}
	if d.identity == nil {
		d.identity = info
	}
	if !os.SameFile(info, d.identity) {
		root.Close()
		return nil, &Error{Op: op, Object: d.name(key), Kind: ErrUnavailable,
			Says: d.path + " is another directory now than when it was opened; was a file system mounted or unmounted?"}
	}
	return root, nil
}

// name is the URL of an object, for people.
func (d *dir) name(key string) string {
	if key == "" {
		return d.URL()
	}
	return d.URL() + "/" + key
}

// refusal is err in this package's terms.
func (d *dir) refusal(op, key string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Op: op, Object: d.name(key), Says: err.Error(), Err: err}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		e.Says = errno.Error()
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Says = err, ""
	case errors.Is(err, ErrCorrupt):
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e.Kind = ErrNotExist
	case errors.Is(err, fs.ErrExist):
		e.Kind = ErrExist
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Kind = ErrDenied
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		e.Kind = ErrConfig
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT):
		e.Kind = ErrUnavailable
	case strings.HasSuffix(err.Error(), "path escapes from parent"): // os.Root's own, which it does not export
		e.Kind, e.Says = ErrDenied, "it is a link that leads out of the directory"
	}
	return e
}

func (d *dir) checkKey(op, key string) error {
	if err := CheckKey(key); err != nil {
		return &Error{Op: op, Object: d.URL(), Says: err.Error(), Err: err}
	}
	if reserved(key) {
		return &Error{Op: op, Object: d.name(key), Kind: ErrConfig, Says: "the name is reserved"}
	}
	return nil
}

// object is what a file is to a caller.
func object(key string, info os.FileInfo) Object {
	inode := info.Sys().(*syscall.Stat_t).Ino
	return Object{
		Key:      key,
		Size:     info.Size(),
		Modified: info.ModTime().UTC(),
		Revision: fmt.Sprintf("%x-%x-%x", inode, info.Size(), info.ModTime().UnixNano()),
	}
}

func (d *dir) Stat(ctx context.Context, key string) (Object, error) {
	if err := ctx.Err(); err != nil {
		return Object{}, d.refusal("stat", key, err)
	}
	if err := d.checkKey("stat", key); err != nil {
		return Object{}, err
	}
	root, err := d.open("stat", key)
	if err != nil {
		return Object{}, err
	}
	defer root.Close()
	info, err := root.Stat(key)
	if err != nil {
		return Object{}, d.refusal("stat", key, err)
	}
	if !info.Mode().IsRegular() {
		return Object{}, d.notFile("stat", key)
	}
	return object(key, info), nil
}

func (d *dir) notFile(op, key string) error {
	return &Error{Op: op, Object: d.name(key), Kind: ErrNotExist, Says: "what has this name is not a file"}
}

func (d *dir) Open(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.refusal("open", o.Key, err)
	}
	if err := d.checkKey("open", o.Key); err != nil {
		return nil, err
	}
	root, err := d.open("open", o.Key)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// O_NONBLOCK: a FIFO must not block; it does nothing to a file.
	f, err := root.OpenFile(o.Key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, d.refusal("open", o.Key, err)
	}
	s := &dirStream{ctx: ctx, dir: d, file: f, object: o}
	if err := s.prepare(offset); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}
