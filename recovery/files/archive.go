package files

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/attributes"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// archive is one tar archive on its way into a tree. What an attempt has
// written the next one does not write again: an archive that is not compressed
// is taken up where the last attempt stood, a compressed one is read again and
// what is there is passed over.
type archive struct {
	*scratch
	env  recovery.Env
	tree *tree.Writer
	log  *position
	late *spool
	sum  hash.Hash // over the object's bytes; nil where not all are read

	entries  int64 // that were read, those of earlier attempts included
	absolute int64 // names that began with a slash
	attrs    int64 // files with attributes that are not restored
	foreign  tree.Foreign
	leftOut  []string
	private  []string // directories that it does not describe

	// root is the directory of it that is the tree, once rooted says that it is known, and of
	// the live directory that this is a copy of, "" where that is not known.
	root, of string
	rooted   bool
}

// restoreArchive writes the archive's entries and makes the tree whole.
func restoreArchive(ctx context.Context, env recovery.Env, s *scratch, t *tree.Writer) (*archive, error) {
	a := &archive{scratch: s, env: env, tree: t}
	t.Room = s.room // how large it is shows only while it is unpacked
	var err error
	if a.log, err = s.openPosition(); err != nil {
		return nil, err
	}
	defer a.log.Close()
	a.knowRoot()
	a.leftOut, a.absolute, a.attrs, a.foreign = a.log.past.LeftOut, a.log.past.Absolute, a.log.past.Attrs, a.log.past.Foreign
	if a.late, err = openSpool(s.Path(lateFile), a.log.past.Late); err != nil {
		return nil, err
	}
	defer a.late.Close()
	if !a.log.past.All {
		if err := a.read(ctx); err != nil {
			return nil, err
		}
	}
	env.Meter().Phase("make links, dress directories", 0, recovery.NoUnit)
	if err := t.Finish(a.late.records, tree.NewOrder(&a.late.Repeats, a.log.past.Made, a.log.made)); err != nil {
		return nil, err
	}
	if a.private, err = s.undescribed(a.late.records); err != nil {
		return nil, err
	}
	return a, a.log.whole(a.tree)
}

// read streams the archive's object from where the last attempt stood.
func (a *archive) read(ctx context.Context) error {
	o, past, meter := a.args.Objects[0], a.log.past, a.env.Meter()
	store, err := a.env.Store(ctx, a.args.Copy)
	if err != nil {
		return err
	}
	meter.Phase("restore "+path.Base(o.Key), o.Size, recovery.InBytes)
	options := storage.ReadOptions{Ahead: storage.Wide, Progress: func(n int) { meter.Add(int64(n)) }}
	if a.takeUp() {
		options.From = past.Offset
		meter.Add(past.Offset)
	} else if past.Entries > 0 {
		meter.Log("comeback: the archive is read again from its beginning, because it is compressed; what is there is not written again")
	}
	object := storage.NewReader(ctx, store, o, options)
	defer object.Close()
	var in io.Reader = object
	if options.From == 0 {
		a.sum = sha256.New()
		in = io.TeeReader(object, a.sum)
	} else {
		a.entries = past.Entries
		meter.Log(fmt.Sprintf("comeback: goes on after %d entries, at byte %d", past.Entries, past.Offset))
	}
	packing, content := a.args.Facts.Packing, in
	if a.unseal != nil {
		if packing, content, err = unsealed(a.unseal, in); err != nil {
			return err
		}
	}
	unpacked, err := unpack(packing, content)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	if err := a.unpack(ctx, &tail{r: unpacked, at: options.From}); err != nil {
		return err
	}
	// To the object's own end, where its checksum is compared.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return a.log.all(ctx, a)
}

// takeUp reports whether the archive can be read from its middle.
func (a *archive) takeUp() bool { return a.args.Facts.Packing == plain && !a.args.Facts.Sealed }

// unsealed decrypts an archive and sees how it is packed.
func unsealed(unseal func(io.Reader) (io.Reader, error), in io.Reader) (packing, io.Reader, error) {
	clear, err := unseal(in)
	if err != nil {
		return plain, nil, err
	}
	b := bufio.NewReaderSize(clear, 64<<10)
	head, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return plain, nil, err
	}
	return packingOf(head), b, nil
}

// unpack writes the entries that are not there yet.
func (a *archive) unpack(ctx context.Context, in *tail) error {
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return tarDamage(err)
		}
		a.entries++
		a.findRoot(h)
		if a.entries <= a.log.past.Entries {
			continue
		}
		body := in.at
		if err := a.entry(h, r); err != nil {
			return err
		}
		next := int64(0)
		if h.Typeflag == tar.TypeReg && !isSparse(h) {
			next = body + (h.Size+blockSize-1)/blockSize*blockSize
		}
		if err := a.log.passed(ctx, a, next, h.Size); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if in.zeros < 2*blockSize {
		return fmt.Errorf("%w: it is cut off: the empty blocks at the end of a tar archive are missing", storage.ErrCorrupt)
	}
	return nil
}

// entry writes a file, and keeps everything else for the end.
func (a *archive) entry(h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, ok, err := a.name(h.Name)
	if err != nil || !ok {
		return err
	}
	if h.Uid < 0 || h.Gid < 0 {
		return fmt.Errorf("%w: %s belongs to nobody: user %d, group %d", storage.ErrCorrupt, tree.Show(h.Name), h.Uid, h.Gid)
	}
	r := tree.Record{Path: name, Link: h.Linkname, Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid, Modified: h.ModTime, Size: h.Size}
	if r.Attributes, ok = attributesOf(h.PAXRecords); !ok {
		a.attrs++
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		r.Type = tree.File
		if name == "." {
			return fmt.Errorf("%w: %s is a file and the tree itself", storage.ErrCorrupt, tree.Show(h.Name))
		}
		a.foreign.See(name, r.UID, r.GID)
		return tarDamage(a.file(r, body))
	case tar.TypeDir:
		r.Type = tree.Directory
	case tar.TypeSymlink:
		r.Type = tree.Symlink
		if len(r.Attributes) > 0 { // those of a link are not restored
			if ok {
				a.attrs++
			}
			r.Attributes = nil
		}
	case tar.TypeLink:
		r.Type = tree.HardLink
		if r.Link, ok, err = a.name(h.Linkname); err != nil {
			return err
		}
		if !ok {
			a.leaveOut(h.Name, "a link to what lies outside of the tree")
			return nil
		}
	default:
		a.leaveOut(h.Name, map[byte]string{tar.TypeChar: "a device", tar.TypeBlock: "a device", tar.TypeFifo: "a pipe"}[h.Typeflag])
		return nil
	}
	if r.Type != tree.Directory && (name == "." || r.Link == "") {
		return fmt.Errorf("%w: %s leads nowhere", storage.ErrCorrupt, tree.Show(h.Name))
	}
	if r.Type != tree.HardLink {
		a.foreign.See(name, r.UID, r.GID)
	}
	return a.late.add(r)
}

// file writes a file, or puts it aside until its turn comes: where a link or a directory
// came before it under its name, a hard link leads to what its name was, or what it lies in
// was a file. Whatever the archive has twice, as one does that was appended to, is in the end
// what tar would have made of it.
func (a *archive) file(r tree.Record, body io.Reader) error {
	if !a.late.Names(r.Path) {
		if err := a.tree.Put(r, body); !errors.Is(err, tree.ErrOther) {
			return err
		}
	}
	r.At = a.entries
	if err := a.tree.PutAside(r, body); err != nil {
		return err
	}
	return a.late.add(r)
}

// largestAttribute is how large Linux lets one be.
const largestAttribute = 64 << 10

// attributesOf are the attributes that an archive has of an entry; all is false where it has
// others that are not restored.
func attributesOf(records map[string]string) (kept []attributes.Attribute, all bool) {
	all = true
	of, others := map[string]string{}, []string{}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		name, ok := strings.CutPrefix(key, inPAX)
		name = fromPAX.Replace(name)
		switch {
		case ok && attributes.Kept(name) && len(records[key]) <= largestAttribute:
			of[name] = records[key]
		case ok, strings.HasPrefix(key, "SCHILY.acl."):
			all = false
		}
		// bsdtar writes most attributes twice, and the other way with its name escaped.
		if escaped, ok := strings.CutPrefix(key, "LIBARCHIVE.xattr."); ok {
			name, err := url.PathUnescape(escaped)
			if err != nil {
				name = escaped
			}
			others = append(others, name)
		}
	}
	for _, name := range others {
		if _, ok := of[name]; !ok {
			all = false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		kept = append(kept, attributes.Attribute{Name: name, Value: []byte(of[name])})
	}
	return kept, all
}

// name is where in the tree an entry belongs; ok is false for what lies outside
// of the directory that is restored. A name that leads out is refused.
func (a *archive) name(name string) (inside string, ok bool, err error) {
	if slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsRune(name, 0) || name == "" {
		return "", false, recovery.Errorf("do not use this archive: whatever wrote it is broken, or somebody has prepared it",
			"refused: %w: the name %s leads out of the tree", storage.ErrCorrupt, tree.Show(name))
	}
	if strings.HasPrefix(name, "/") {
		a.absolute++
	}
	inside, ok = within(a.root, clean(name))
	if !ok && !strings.HasPrefix(a.root, clean(name)+"/") && clean(name) != "." {
		a.leaveOut(name, "it lies outside of "+a.root)
	}
	return inside, ok, nil
}

// clean is a tar name as a path: relative, without "./" and a final slash.
func clean(name string) string { return path.Clean(strings.TrimLeft(name, "/") + "/.") }

// within is a path below a directory of the archive, "" for all of it.
func within(root, name string) (string, bool) {
	if root == "" {
		return name, true
	}
	if name == root {
		return ".", true
	}
	return strings.CutPrefix(name, root+"/")
}

// maxLeftOut bounds how many names an outcome lists.
const maxLeftOut = 20

func (a *archive) leaveOut(name, why string) {
	switch n := len(a.leftOut); {
	case n < maxLeftOut:
		a.leftOut = append(a.leftOut, fmt.Sprintf("left out: %s: %s", tree.Show(name), orElse(why, "no kind of file that is known")))
	case n == maxLeftOut:
		a.leftOut = append(a.leftOut, "left out: and more")
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// digest is the SHA-256 of the object, where all of it was read.
func (a *archive) digest() string {
	if a.sum == nil {
		return ""
	}
	return hex.EncodeToString(a.sum.Sum(nil))
}

func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// blockSize is what everything in a tar archive is a multiple of.
const blockSize = 512

// tarDamage tells what package tar finds wrong from what could not be read.
func tarDamage(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: as a tar archive: %w", storage.ErrCorrupt, err)
	}
	return err
}

// tail knows where in the archive the reader is, and counts the zeros at its end.
type tail struct {
	r         io.Reader
	at, zeros int64
}

func (t *tail) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.at += int64(n)
	i := n
	for i > 0 && b[i-1] == 0 {
		i--
	}
	if i > 0 {
		t.zeros = 0
	}
	t.zeros += int64(n - i)
	return n, err
}
