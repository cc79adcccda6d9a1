package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
)

// List walks the directory. Of each directory on the way the names are held,
// not those of the whole tree. A file that vanishes meanwhile is left out; a
// directory that may not be read is an error, since a list that silently lacks
// backups is worse than none.
func (d *dir) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		root, err := d.open("list", "")
		if err != nil {
			yield(Object{}, err)
			return
		}
		defer root.Close()
		w := walk{ctx: ctx, dir: d, root: root, prefix: prefix, yield: yield}
		w.walk(".")
	}
}

type walk struct {
	ctx    context.Context
	dir    *dir
	root   *os.Root
	prefix string
	yield  func(Object, error) bool
}

// entry is a name in a directory; the names of directories end in a slash.
type entry struct {
	name string
	link bool
}

// walk yields what lies in one directory, and reports whether to go on.
func (w *walk) walk(at string) bool {
	entries, err := w.read(at)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && at != "." {
			return true
		}
		w.yield(Object{}, w.dir.refusal("list", strings.TrimPrefix(at, "."), err))
		return false
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			w.yield(Object{}, w.dir.refusal("list", "", err))
			return false
		}
		key := path.Join(at, e.name)
		if strings.HasSuffix(e.name, "/") {
			if w.leads(key+"/") && !w.walk(key) {
				return false
			}
			continue
		}
		if !strings.HasPrefix(key, w.prefix) {
			continue
		}
		o, ok, err := w.object(key, e.link)
		if err != nil {
			w.yield(Object{}, w.dir.refusal("list", key, err))
			return false
		}
		if ok && !w.yield(o, nil) {
			return false
		}
	}
	return true
}

// leads reports whether keys under a directory can have the prefix.
func (w *walk) leads(directory string) bool {
	return strings.HasPrefix(directory, w.prefix) || strings.HasPrefix(w.prefix, directory)
}

// read gives the names of a directory that keys with the prefix can have, in the
// byte order of the keys under them, which is the order of the names with a slash
// after directories: "a.txt" comes before "a/b".
func (w *walk) read(at string) ([]entry, error) {
	f, err := w.root.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []fs.DirEntry
	if rest := w.below(at); rest == "" {
		found, err = f.ReadDir(-1)
	} else {
		found, err = w.few(f, at, rest)
	}
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		if reserved(path.Join(at, e.Name())) {
			continue
		}
		switch e.Type() {
		case fs.ModeDir:
			entries = append(entries, entry{name: e.Name() + "/"})
		case 0, fs.ModeSymlink:
			entries = append(entries, entry{name: e.Name(), link: e.Type() != 0})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

// below is what of the prefix the names in a directory have to begin with, or lead to.
// It is nothing where all of them do.
func (w *walk) below(at string) string {
	if at == "." {
		return w.prefix
	}
	rest, _ := strings.CutPrefix(w.prefix, at+"/")
	if rest == w.prefix {
		return "" // the prefix has ended above
	}
	return rest
}

// few finds what in a directory begins with rest or leads to it. A million names are
// looked through, and only those are asked for what they are.
func (w *walk) few(f *os.File, at, rest string) ([]fs.DirEntry, error) {
	first, _, deeper := strings.Cut(rest, "/")
	names, err := namesOf(w.ctx, f, func(name string) bool {
		return strings.HasPrefix(name, rest) || deeper && name == first
	})
	if err != nil {
		return nil, err
	}
	found := make([]fs.DirEntry, 0, len(names))
	for _, name := range names {
		info, err := w.root.Lstat(path.Join(at, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, fs.FileInfoToDirEntry(info))
	}
	return found, nil
}

// namesAtOnce is how many names of a directory are held that are not wanted.
const namesAtOnce = 1024

// namesOf reads the names in a directory that are wanted.
func namesOf(ctx context.Context, f *os.File, wanted func(name string) bool) ([]string, error) {
	var names []string
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some, err := f.Readdirnames(namesAtOnce)
		for _, name := range some {
			if wanted(name) {
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// object describes a file. It is not one where it vanished, or where it is a
// link to something else than a file in this directory.
func (w *walk) object(key string, link bool) (Object, bool, error) {
	info, err := w.root.Stat(key)
	switch {
	case err == nil && info.Mode().IsRegular():
		return object(key, info), true, nil
	case err == nil, link, errors.Is(err, fs.ErrNotExist):
		return Object{}, false, nil
	}
	return Object{}, false, err
}
