package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/recovery"
	"comeback/recovery/attributes"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// CaptureOptions say what is to be kept, and where.
type CaptureOptions struct {
	// Dir is the tree; Store and Prefix are where its snapshots lie, "uploads/".
	Dir string
	// Paths are those below Dir that are kept, with the directories that lead
	// to them; empty is all.
	Paths  []string
	Store  storage.Store
	Prefix string
	// Temp is a directory for the manifest until it is stored; "" is the
	// system's.
	Temp string
	// Now is the clock.
	Now func() time.Time
	// PackSize is about how large a pack becomes, Large from which size on a
	// file has one of its own; zero means 32 and 16 MB.
	PackSize, Large int64
	// Seal encrypts what is stored; nil stores it in clear. With it every
	// snapshot has all of its content anew, because the manifests before
	// cannot be read.
	Seal func(w io.Writer) (io.WriteCloser, error)
	// Meter may be nil.
	Meter recovery.Meter
	// Begin, where it is not nil, records what is about to be stored before anything
	// is.
	Begin func(context.Context, recovery.Beginning) error
}

// Captured is what a snapshot holds.
type Captured struct {
	// Key is that of its .snapshot, and so the backup's id.
	Key          string
	Begun, Ended time.Time
	Files, Bytes int64
	// New is how much of the content was stored by this snapshot, Reused are the keys of
	// the packs that have the rest.
	New    int64
	Reused []string
	// LeftOut are names that are no files, and files that vanished meanwhile.
	LeftOut []string
	// Exceptions tell of files that were written to whenever they were read, and are as
	// the snapshot before has them, or missing.
	Exceptions []string
}

// Capture stores a snapshot of a tree: content that the newest snapshot before
// does not have, then the manifest, and last what makes it a snapshot. An
// interruption leaves packs that no snapshot names, under the prefixes that Begin was
// told. Files that change while they
// are read are read again, and where they change each time the snapshot does without
// what they are now, and says so; the tree is not frozen, so a snapshot is of a stretch
// of time.
func Capture(ctx context.Context, o CaptureOptions) (Captured, error) {
	c, err := newCapture(ctx, o)
	if err != nil {
		return Captured{}, fmt.Errorf("snapshot %s: %w", o.Dir, err)
	}
	defer c.close()
	if err := c.run(ctx); err != nil {
		return Captured{}, fmt.Errorf("snapshot %s: %w", o.Dir, err)
	}
	return c.done, nil
}

// capture is one snapshot under way.
type capture struct {
	CaptureOptions
	id   string
	root *os.Root
	// openDirectory opens a directory that leads to what is kept.
	openDirectory func(string) (*os.File, error)
	manifest      *os.File
	records       *bufio.Writer
	zip           *zstd.Encoder
	count         int64
	packs         *packer
	before        *earlier
	links         map[[2]uint64]string // first names of files with several
	holes         int64                // bytes that are in holes of files
	excepted      []excepted
	// attributed says that a record has attributes; others counts names with some that are
	// not kept, of which other is one.
	attributed bool
	others     int64
	other      string
	done       Captured
}

func newCapture(ctx context.Context, o CaptureOptions) (*capture, error) {
	if o.PackSize == 0 {
		o.PackSize = 32 << 20
	}
	if o.Large == 0 {
		o.Large = o.PackSize / 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &capture{CaptureOptions: o, links: map[[2]uint64]string{}}
	c.done.Begun = o.Now().UTC().Truncate(time.Microsecond)
	c.id = c.done.Begun.Format(idLayout)
	var err error
	if c.root, err = os.OpenRoot(o.Dir); err != nil {
		return nil, err
	}
	c.openDirectory = c.root.Open
	if c.manifest, err = os.CreateTemp(o.Temp, "comeback-manifest-"); err != nil {
		return nil, errors.Join(err, c.root.Close())
	}
	// It has no name, so that nothing of it is left whatever happens.
	if err = os.Remove(c.manifest.Name()); err == nil {
		c.zip, err = zstd.NewWriter(c.manifest)
	}
	if err == nil {
		c.records = bufio.NewWriterSize(c.zip, 64<<10)
		c.packs, err = newPacker(ctx, c)
	}
	if err == nil && o.Seal == nil {
		c.before, err = newestBefore(ctx, o.Store, o.Prefix)
		if errors.Is(err, errFormat) {
			c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("all content is stored anew: %v", err))
			err = nil
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *capture) close() {
	if c.before != nil {
		c.before.close()
	}
	c.manifest.Close() // it has no name any more
	c.root.Close()
}

func (c *capture) run(ctx context.Context) error {
	c.done.Key = inPrefix(c.Prefix, "snapshots/"+c.id+".snapshot")
	if c.Begin != nil {
		prefixes := []string{inPrefix(c.Prefix, "packs/"+c.id+"-"), inPrefix(c.Prefix, "snapshots/"+c.id+".")}
		if err := c.Begin(ctx, recovery.Beginning{ID: c.done.Key, Prefixes: prefixes, Last: c.done.Key}); err != nil {
			return err
		}
	}
	err := c.walk(ctx)
	parts, errPacks := c.packs.finish(err == nil)
	if err == nil || errPacks != nil && errors.Is(err, context.Canceled) {
		err = errPacks
	}
	if err != nil {
		return err
	}
	end := fmt.Sprintf("end %d\x00", c.count)
	_, err = c.records.WriteString(end)
	if err := errors.Join(err, c.records.Flush(), c.zip.Close()); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	s := snapshot{ID: c.id, Dir: c.Dir, Begun: c.done.Begun, Files: c.done.Files, Bytes: c.done.Bytes, Packs: parts, Excepted: c.excepted, Attributed: c.attributed}
	if c.holes >= muchOfHoles {
		s.Holes = c.holes
	}
	if s.Manifest, err = c.storeManifest(ctx); err != nil {
		return err
	}
	s.Ended = c.Now().UTC()
	if c.others > 0 {
		c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("%s with attributes that are not kept: %s", recovery.FormatCount(c.others, "name"), c.other))
	}
	c.done.Ended, c.done.Reused, c.done.Exceptions = s.Ended, c.packs.reused(), exceptions(c.excepted)
	text := s.text()
	_, err = c.Store.Put(ctx, c.done.Key, strings.NewReader(string(text)), storage.PutOptions{IfAbsent: true, Size: int64(len(text))})
	return err
}

// walk goes through the tree, or through the paths of it that are asked for.
func (c *capture) walk(ctx context.Context) error {
	if len(c.Paths) == 0 {
		return c.directory(ctx, ".")
	}
	paths := make([]string, len(c.Paths))
	for i, p := range c.Paths {
		paths[i] = strings.Trim(path.Clean("/"+p), "/")
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(walkOrder(a), walkOrder(b)) })
	led := map[string]bool{}
	for i, p := range paths {
		if i > 0 && (p == paths[i-1] || strings.HasPrefix(p, paths[i-1]+"/")) {
			return fmt.Errorf("%s lies in another path that is kept", tree.Show(p))
		}
		if err := c.lead(path.Dir(p), led); err != nil {
			return err
		}
		info, err := c.root.Lstat(p)
		if err != nil {
			return err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("%s is a link, and is kept as one: what it leads to is not in the backup, unless that is named, too", tree.Show(p)))
		}
		if err := c.entry(ctx, p, fs.FileInfoToDirEntry(info)); err != nil {
			return err
		}
	}
	return nil
}

// lead records the directories that lead to a path.
func (c *capture) lead(dir string, led map[string]bool) error {
	if led[dir] {
		return nil
	}
	led[dir] = true
	if dir != "." {
		if err := c.lead(path.Dir(dir), led); err != nil {
			return err
		}
	}
	r, err := c.leading(dir)
	if err != nil {
		return err
	}
	return c.add(r)
}

// leading is the record of a directory that leads to a path. One that this user may only
// pass through cannot be opened, which its attributes need.
func (c *capture) leading(dir string) (tree.Record, error) {
	f, err := c.openDirectory(dir)
	if errors.Is(err, fs.ErrPermission) {
		info, err := c.root.Stat(dir)
		if err != nil {
			return tree.Record{}, err
		}
		c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("the attributes of %s, and its access control list: this user may only pass through it", tree.Show(dir)))
		return recordOf(dir, info, tree.Directory), nil
	}
	if err != nil {
		return tree.Record{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return tree.Record{}, err
	}
	return c.described(dir, f, info, tree.Directory)
}

// described is the record of an open file or directory, with its attributes.
func (c *capture) described(name string, f *os.File, info fs.FileInfo, t tree.Type) (tree.Record, error) {
	r := recordOf(name, info, t)
	kept, others, err := attributes.Read(f)
	if err != nil {
		return r, err
	}
	var large []string
	r.Attributes, large = packable(kept)
	c.lack(name, append(large, others...))
	return r, nil
}

// lack counts a name with attributes that are not kept.
func (c *capture) lack(name string, others []string) {
	if len(others) == 0 {
		return
	}
	if c.others++; c.other == "" {
		c.other = fmt.Sprintf("%q of %s", others[0], tree.Show(name))
	}
}

func (c *capture) storeManifest(ctx context.Context) (part, error) {
	size, err := c.manifest.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = c.manifest.Seek(0, io.SeekStart)
	}
	if err != nil {
		return part{}, err
	}
	return c.packs.store(ctx, "snapshots/"+c.id+".manifest.zst", packedAtMost(size), func(w io.Writer) error {
		_, err := io.Copy(w, c.manifest)
		return err
	})
}

// directory takes a directory's record and what is in it, in the order of names.
func (c *capture) directory(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := c.open(name)
	if err != nil {
		return c.vanished(name, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if err := c.entry(ctx, path.Join(name, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// open takes the record of a directory, and lists what is in it.
func (c *capture) open(name string) ([]fs.DirEntry, error) {
	f, err := c.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.IsDir() { // it was one when it was seen
		return nil, fs.ErrNotExist
	}
	r, err := c.described(name, f, info, tree.Directory)
	if err == nil {
		err = c.add(r)
	}
	if err != nil {
		return nil, err
	}
	return f.ReadDir(-1)
}

func (c *capture) entry(ctx context.Context, name string, e fs.DirEntry) error {
	switch e.Type() {
	case fs.ModeDir:
		return c.directory(ctx, name)
	case fs.ModeSymlink:
		info, err := c.root.Lstat(name)
		if err != nil {
			return c.vanished(name, err)
		}
		r := recordOf(name, info, tree.Symlink)
		if r.Link, err = c.root.Readlink(name); err != nil {
			return c.vanished(name, err)
		}
		// It is asked for by its path, which may lead elsewhere by now: what it does not tell
		// keeps no link from being stored.
		others, err := attributes.OfLink(filepath.Join(c.root.Name(), name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			others = []string{"what else it has"}
		}
		c.lack(name, others)
		return c.add(r)
	case 0:
		return c.file(ctx, name)
	}
	c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("%s is no file", tree.Show(name)))
	return nil
}

// vanished lists a name that is gone since it was seen; everything else is a
// failure, because a snapshot that silently lacks files is worse than none.
func (c *capture) vanished(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && name != "." {
		c.done.LeftOut = append(c.done.LeftOut, fmt.Sprintf("%s vanished meanwhile", tree.Show(name)))
		return nil
	}
	return err
}

// readings is how often a file that changes meanwhile is read.
const readings = 3

// file takes a file: from the snapshot before where it is unchanged, else into
// a pack. One that is written to all the while does not keep the others from being
// stored.
func (c *capture) file(ctx context.Context, name string) error {
	for attempt := 1; ; attempt++ {
		again, err := c.readFile(ctx, name, attempt == readings)
		if !again || err != nil {
			return err
		}
	}
}

// readFile reports that the file has changed while it was read.
func (c *capture) readFile(ctx context.Context, name string, last bool) (again bool, err error) {
	f, err := c.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, c.vanished(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, c.vanished(name, fs.ErrNotExist)
	}
	r, err := c.described(name, f, info, tree.File)
	if err != nil {
		return false, err
	}
	st := info.Sys().(*syscall.Stat_t)
	inode := [2]uint64{uint64(st.Dev), st.Ino}
	if first, ok := c.links[inode]; ok && st.Nlink > 1 {
		r.Type, r.Link, r.Attributes = tree.HardLink, first, nil
		return false, c.add(r)
	}
	old, ok, err := c.before.same(r)
	if err != nil {
		return false, err
	}
	holes, err := tree.Holes(f, info)
	if err != nil {
		return false, err
	}
	if ok {
		r.SHA256, r.At = old.SHA256, old.At
		r.Pack = c.packs.known(c.before.Packs[old.Pack])
	} else {
		again, err = c.packs.add(ctx, &r, f)
		switch {
		case err != nil:
			return false, err
		case again && !last:
			return true, nil
		case again:
			old, kept := c.before.asBefore(name)
			if !kept {
				c.excepted = append(c.excepted, excepted{Path: name})
				return false, nil
			}
			c.excepted = append(c.excepted, excepted{Path: name, Kept: true, Modified: old.Modified})
			n := c.packs.known(c.before.Packs[old.Pack])
			r, r.Pack, holes = old, n, 0 // it was another file
		default:
			c.done.New += r.Size
		}
	}
	if st.Nlink > 1 {
		c.links[inode] = name
	}
	if c.Meter != nil {
		c.Meter.Add(r.Size)
	}
	c.done.Files++
	c.done.Bytes += r.Size
	c.holes += holes
	return false, c.add(r)
}

// add writes a record, and what is no file into the tree's pack as well.
func (c *capture) add(r tree.Record) error {
	if r.Type != tree.File {
		if err := c.packs.link(r); err != nil {
			return err
		}
	}
	c.count++
	c.attributed = c.attributed || len(r.Attributes) > 0
	if _, err := c.records.Write(appendRecord(nil, r)); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}

func recordOf(name string, info fs.FileInfo, t tree.Type) tree.Record {
	st := info.Sys().(*syscall.Stat_t)
	return tree.Record{Type: t, Path: name, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Modified: info.ModTime().UTC(),
		Changed: time.Unix(st.Ctim.Unix()).UTC(), Size: fileSize(info, t)}
}

func fileSize(info fs.FileInfo, t tree.Type) int64 {
	if t != tree.File {
		return 0
	}
	return info.Size()
}
