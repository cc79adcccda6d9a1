package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/storage"
)

// Finish makes the links and dresses the directories of a tree whose files are
// all there, and brings the files that were put aside. It goes through the records in
// their order, and then once more. It may be repeated: what an earlier attempt has made
// stays, or is made again.
func (t *Writer) Finish(late func() iter.Seq2[Record, error], o *Order) error {
	if err := o.look(late); err != nil {
		return err
	}
	n, aside := int64(0), false
	for r, err := range late() {
		if err != nil {
			return err
		}
		n++
		aside = aside || r.Type == File
		made, err := o.turn(n, r)
		if err == nil && !made {
			err = t.make(n, r, o)
		}
		if err != nil {
			return err
		}
	}
	if aside {
		if err := t.clearAside(n, o); err != nil {
			return err
		}
	}
	return t.dressAll(late, o)
}

// make brings what a record describes into the tree, in the place of what came before.
func (t *Writer) make(n int64, r Record, o *Order) error {
	switch r.Type {
	case Directory:
		if err := t.directory(r, o); err != nil {
			return fmt.Errorf("make directory %s: %w", Show(r.Path), err)
		}
	case File:
		free, err := t.vacate(n, r, "a file", o)
		if err == nil && free {
			err = t.fromAside(r)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", Show(r.Path), err)
		}
	default:
		free, err := t.vacate(n, r, "a link", o)
		if err == nil && free {
			err = t.link(r)
		}
		if err != nil {
			return fmt.Errorf("link %s to %s: %w", Show(r.Path), Show(r.Link), err)
		}
	}
	return nil
}

// dressAll dresses the directories last, when nothing is made in them any more. A directory
// that its own user may not enter is closed after those in it.
func (t *Writer) dressAll(late func() iter.Seq2[Record, error], o *Order) error {
	var closed []Record
	n := int64(0)
	for r, err := range late() {
		n++
		switch {
		case err != nil:
			return err
		case o.replaced(n, r.Path):
		case r.Type == Symlink && leadsOut(r):
			t.outside.Add(1)
			says := Show(r.Path) + " to " + Show(r.Link)
			t.leads.CompareAndSwap(nil, &says)
		case r.Type != Directory:
		case !t.give && r.Mode&0o300 != 0o300:
			closed = append(closed, r)
		default:
			if err := t.dressDirectory(r); err != nil {
				return err
			}
		}
	}
	for i := range closed {
		if err := t.dressDirectory(closed[len(closed)-1-i]); err != nil {
			return err
		}
	}
	return nil
}

// directory makes a directory, in the place of a file or a link that came before it.
func (t *Writer) directory(r Record, o *Order) error {
	if err := t.reach(path.Dir(r.Path)); err != nil {
		return err
	}
	info, err := t.root.Lstat(r.Path)
	if err == nil && !info.IsDir() && o != nil {
		if err := t.root.Remove(r.Path); err != nil {
			return err
		}
	}
	return t.mkdir(r.Path)
}

// reach makes a directory and those above it, and sees that each of them is one: a link is
// not followed, wherever it leads.
func (t *Writer) reach(name string) error {
	if name == "." || name == t.reached || strings.HasPrefix(t.reached, name+"/") {
		return nil
	}
	if err := t.reach(path.Dir(name)); err != nil {
		return err
	}
	if err := t.mkdir(name); err != nil {
		return err
	}
	t.reached = name
	return nil
}

// vacate makes room for a file or a link: whatever came before it under its name goes. A
// directory with something in it stays, which is right where a later record wants another
// thing there: then the name is not free.
func (t *Writer) vacate(n int64, r Record, what string, o *Order) (free bool, err error) {
	if err := t.reach(path.Dir(r.Path)); err != nil {
		return false, err
	}
	info, err := t.root.Lstat(r.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return true, t.root.Remove(r.Path)
	case o.again(r.Path):
		t.reached = ""
		err := t.root.Remove(r.Path)
		if err == nil || !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			return err == nil, err
		}
		if o.replaced(n, r.Path) {
			return false, nil
		}
	}
	return false, fmt.Errorf("%w: it is %s and a directory", storage.ErrCorrupt, what)
}

func (t *Writer) dressDirectory(r Record) error {
	err := t.own(r, func(uid, gid int) error { return t.root.Lchown(r.Path, uid, gid) })
	var group *uint32
	if err == nil && len(r.Attributes) > 0 {
		group, err = t.attributeDirectory(r)
	}
	if err == nil {
		err = t.root.Chmod(r.Path, r.without(group).permissions())
	}
	if err == nil {
		err = t.root.Chtimes(r.Path, time.Time{}, r.Modified)
	}
	if err != nil {
		return fmt.Errorf("make directory %s: %w", Show(r.Path), err)
	}
	return nil
}

// link makes a symbolic or a hard link.
func (t *Writer) link(r Record) error {
	if r.Type == HardLink {
		if r.Link == r.Path {
			return fmt.Errorf("%w: it is a link to itself", storage.ErrCorrupt)
		}
		err := t.root.Link(r.Link, r.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: what it leads to is not in the tree", storage.ErrCorrupt)
		}
		return err
	}
	if err := t.root.Symlink(r.Link, r.Path); err != nil {
		return err
	}
	if err := t.own(r, func(uid, gid int) error { return t.root.Lchown(r.Path, uid, gid) }); err != nil {
		return err
	}
	return t.dateLink(r)
}

// dateLink gives a symbolic link its time.
func (t *Writer) dateLink(r Record) error {
	at, err := unix.TimeToTimespec(r.Modified)
	if err != nil {
		return fmt.Errorf("set the time of a link: %w", err)
	}
	dir, err := t.root.Open(path.Dir(r.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.UtimesNanoAt(int(dir.Fd()), path.Base(r.Path), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, at}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &fs.PathError{Op: "set the time", Path: r.Path, Err: err}
	}
	return nil
}

// leadsOut reports whether a symbolic link leads out of its tree by its text.
func leadsOut(r Record) bool {
	to := path.Join(path.Dir(r.Path), r.Link)
	return path.IsAbs(r.Link) || to == ".." || strings.HasPrefix(to, "../")
}
