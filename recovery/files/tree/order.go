package tree

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// An archive that was appended to has names more than once, and the last counts: a file that
// was a link, a link that was a file. Files are written as they come, and links and
// directories at the end; so a file that comes after one of those under the same name is put
// aside, spooled as they are, and brought to its place when its turn comes.

// Repeats are the names in a spool, by their hashes: two that have the same are taken for
// one, which costs a detour and changes nothing.
type Repeats struct {
	seed maphash.Seed
	// named are the paths of records and what hard links lead to, twice those of them that
	// a later record has again.
	named, twice map[uint64]struct{}
}

// NewRepeats are those of an empty spool.
func NewRepeats() Repeats {
	return Repeats{seed: maphash.MakeSeed(), named: map[uint64]struct{}{}, twice: map[uint64]struct{}{}}
}

// Note takes in a record that is spooled.
func (p *Repeats) Note(r Record) {
	name := maphash.String(p.seed, r.Path)
	if _, ok := p.named[name]; ok {
		p.twice[name] = struct{}{}
	}
	p.named[name] = struct{}{}
	if r.Type == HardLink {
		p.named[maphash.String(p.seed, r.Link)] = struct{}{}
	}
}

// Names reports whether a spooled record has this path, or is a hard link to it.
func (p *Repeats) Names(path string) bool {
	_, ok := p.named[maphash.String(p.seed, path)]
	return ok
}

// Order is what Finish must know of an archive whose names may come more than once; nil is
// of a tree that has each of them once.
type Order struct {
	repeats *Repeats
	// last is the number of the last record of each path that comes again.
	last map[string]int64
	// done are so many records that an earlier attempt has made for good, made notes how
	// many are, and linked are the paths that hard links lead to since.
	done   int64
	made   func(int64) error
	linked map[string]bool
}

// NewOrder is that of a tree whose late records have these names, of which an earlier attempt
// has made so many for good; made notes how many are.
func NewOrder(names *Repeats, done int64, made func(int64) error) *Order {
	return &Order{repeats: names, last: map[string]int64{}, linked: map[string]bool{}, done: done, made: made}
}

// again reports whether a path may come more than once.
func (o *Order) again(path string) bool {
	if o == nil || len(o.repeats.twice) == 0 {
		return false
	}
	_, ok := o.repeats.twice[maphash.String(o.repeats.seed, path)]
	return ok
}

// look finds out which record of each path is the last.
func (o *Order) look(late func() iter.Seq2[Record, error]) error {
	if o == nil || len(o.repeats.twice) == 0 {
		return nil
	}
	n := int64(0)
	for r, err := range late() {
		if err != nil {
			return err
		}
		if n++; o.again(r.Path) {
			o.last[r.Path] = n
		}
	}
	return nil
}

// replaced reports whether a later record has the same path.
func (o *Order) replaced(n int64, path string) bool { return o.again(path) && o.last[path] > n }

// turn says before a record's turn whether an earlier attempt has made it for good. Where
// what a hard link was made to is about to go, that is noted of all that came before: made
// anew after it, the link would lead to what comes now.
func (o *Order) turn(n int64, r Record) (made bool, err error) {
	if o == nil || n <= o.done {
		return o != nil, nil
	}
	if o.linked[r.Path] {
		if err := o.made(n - 1); err != nil {
			return false, err
		}
		clear(o.linked)
	}
	if r.Type == HardLink && o.again(r.Link) {
		o.linked[r.Link] = true
	}
	return false, nil
}

// PutAside writes a file aside, under the number of its record.
func (t *Writer) PutAside(r Record, body io.Reader) error {
	out, err := t.createAside(asideName(r))
	if err != nil {
		return fmt.Errorf("put %s aside: %w", Show(r.Path), err)
	}
	return t.fill(out, t.aside, asideName(r), r, body)
}

func asideName(r Record) string { return strconv.FormatInt(r.At, 10) }

func (t *Writer) createAside(name string) (*os.File, error) {
	if t.aside == nil {
		err := os.Mkdir(t.asidePath, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if t.aside, err = os.OpenRoot(t.asidePath); err != nil {
			return nil, err
		}
	}
	if err := t.aside.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return t.aside.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// fromAside gives a file that waits aside its place. Its number stays as another name of
// it, so that this may be repeated.
func (t *Writer) fromAside(r Record) error {
	dir, err := t.root.Open(path.Dir(r.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	aside, err := os.Open(t.asidePath)
	if err != nil {
		return err
	}
	defer aside.Close()
	return unix.Linkat(int(aside.Fd()), asideName(r), int(dir.Fd()), path.Base(r.Path), 0)
}

// clearAside takes the files' other names away, when all that was made is noted.
func (t *Writer) clearAside(n int64, o *Order) error {
	if n > o.done {
		if err := o.made(n); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(t.asidePath); err != nil {
		return fmt.Errorf("remove where files waited: %w", err)
	}
	return nil
}
