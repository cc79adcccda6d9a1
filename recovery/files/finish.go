package files

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"

	"comeback/storage"
)

// finish makes the links and dresses the directories of a tree whose files are
// all there. It goes three times through the records, in any order, and may be
// repeated: what an earlier attempt has made stays.
func (t *tree) finish(late func() iter.Seq2[Record, error]) error {
	for _, pass := range []func(Record) error{t.directory, t.link} {
		for r, err := range late() {
			if err == nil {
				err = pass(r)
			}
			if err != nil {
				return err
			}
		}
	}
	// Last, when nothing is made in them any more. A directory that its own
	// user may not enter is closed after those in it.
	var closed []Record
	for r, err := range late() {
		switch {
		case err != nil:
			return err
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

func (t *tree) directory(r Record) error {
	if r.Type != Directory {
		return nil
	}
	if err := t.mkdir(r.Path); err != nil {
		return fmt.Errorf("make directory %s: %w", show(r.Path), err)
	}
	return nil
}

func (t *tree) dressDirectory(r Record) error {
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
		return fmt.Errorf("make directory %s: %w", show(r.Path), err)
	}
	return nil
}

// link makes a symbolic or a hard link, unless it is there.
func (t *tree) link(r Record) error {
	if r.Type == Directory {
		return nil
	}
	if err := t.mkdir(path.Dir(r.Path)); err != nil {
		return fmt.Errorf("link %s: %w", show(r.Path), err)
	}
	if err := t.makeLink(r); err != nil {
		return fmt.Errorf("link %s to %s: %w", show(r.Path), show(r.Link), err)
	}
	return nil
}

func (t *tree) makeLink(r Record) error {
	info, err := t.root.Lstat(r.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%w: it is a link and a directory", storage.ErrCorrupt)
	default:
		if err := t.root.Remove(r.Path); err != nil {
			return err
		}
	}
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
	if leadsOut(r) {
		t.outside.Add(1)
		says := show(r.Path) + " to " + show(r.Link)
		t.leads.CompareAndSwap(nil, &says)
	}
	return t.own(r, func(uid, gid int) error { return t.root.Lchown(r.Path, uid, gid) })
}

// leadsOut reports whether a symbolic link leads out of its tree by its text.
func leadsOut(r Record) bool {
	to := path.Join(path.Dir(r.Path), r.Link)
	return path.IsAbs(r.Link) || to == ".." || strings.HasPrefix(to, "../")
}
