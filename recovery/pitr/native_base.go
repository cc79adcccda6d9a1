package pitr

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

const (
	// atOnce is how many objects are looked into at a time.
	atOnce = 8
	// maxOthers is how many tar files under names of their own are looked
	// into, the last by name first.
	maxOthers = 100
	// smallRead bounds what is read of an object to describe a backup.
	smallRead = 64 << 10
)

// bases describes the base backups.
func (n *native) bases(ctx context.Context, l *listing) ([]Base, error) {
	var looks []func(context.Context) (*Base, error)
	for _, dir := range slices.Sorted(maps.Keys(l.tars)) {
		parts := l.tars[dir]
		if parts.base.Key == "" && parts.wal.Key == "" { // a manifest alone: of a tree, or of nothing
			continue
		}
		looks = append(looks, func(ctx context.Context) (*Base, error) { return n.tarBase(ctx, dir, parts) })
	}
	for _, dir := range slices.Sorted(maps.Keys(l.trees)) {
		looks = append(looks, func(ctx context.Context) (*Base, error) { return n.treeBase(ctx, dir, l.trees[dir]) })
	}
	others := l.others
	slices.SortFunc(others, func(a, b storage.Object) int { return strings.Compare(b.Key, a.Key) })
	for _, o := range others[:min(len(others), maxOthers)] {
		looks = append(looks, func(ctx context.Context) (*Base, error) { return n.otherBase(ctx, o) })
	}
	found := make([]*Base, len(looks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, look := range looks {
		group.Go(func() (err error) {
			found[i], err = look(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []Base
	for _, b := range found {
		if b != nil {
			all = append(all, *b)
		}
	}
	linkChains(all)
	return all, nil
}

// tarBase describes base.tar with what stands beside it.
func (n *native) tarBase(ctx context.Context, dir string, parts *tarParts) (*Base, error) {
	b := &Base{ID: strings.TrimSuffix(dir, "/"), Format: "tar", Root: dir, Manifest: parts.manifest.Key, OwnWAL: parts.wal.Key != ""}
	if b.ID == "" {
		b.ID = parts.base.Key
	}
	for _, o := range []storage.Object{parts.base, parts.wal, parts.manifest} {
		if o.Key != "" {
			b.Objects = append(b.Objects, o)
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(parts.spaces)) {
		b.Objects = append(b.Objects, parts.spaces[oid])
	}
	if parts.base.Key == "" {
		err := n.readManifestEnds(ctx, b, parts.manifest) // which backups follow it
		b.Problem = "base.tar is missing"
		return b, err
	}
	head, err := n.tarHead(ctx, b, parts.base)
	if err != nil || b.Problem != "" {
		return b, err
	}
	for _, oid := range head.spaces {
		if parts.spaces[oid].Key == "" {
			b.Problem = fmt.Sprintf("%s.tar, a tablespace, is missing", oid)
			return b, nil
		}
	}
	if err := n.readManifestEnds(ctx, b, parts.manifest); err != nil || b.Problem != "" {
		return b, err
	}
	if parts.wal.Key == "" {
		return b, nil
	}
	h, err := n.tarWALHeader(ctx, parts.wal)
	switch {
	case err == nil:
		b.learn(h)
	case broken(ctx, err):
		return nil, fmt.Errorf("look into %s: %w", parts.wal.Key, err)
	default:
		b.Problem = fmt.Sprintf("%s holds no log: %v", path.Base(parts.wal.Key), err)
	}
	return b, nil
}

// otherBase looks whether a tar file is a base backup; nil if not.
func (n *native) otherBase(ctx context.Context, o storage.Object) (*Base, error) {
	b := &Base{ID: o.Key, Format: "tar", Root: o.Key, Objects: []storage.Object{o}}
	if _, err := n.tarHead(ctx, b, o); err != nil || b.Problem != "" {
		return nil, err
	}
	return b, nil
}

// learn takes over what a header of the backup's own log says.
func (b *Base) learn(h xlog.Header) {
	b.System, b.Major, b.SegmentSize, b.PageSize = h.System, h.Major, h.SegmentSize, h.PageSize
}

// tarHead is what stands before the data in base.tar.
type tarHead struct {
	label  label
	spaces []string
}

// tarHead reads the first entries of base.tar into b.
func (n *native) tarHead(ctx context.Context, b *Base, o storage.Object) (tarHead, error) {
	var head tarHead
	name := o.Key
	if strings.HasSuffix(name, ".tgz") {
		b.Packing = Gzip
	} else {
		_, b.Packing = cutPacking(name)
	}
	if !b.Packing.Readable() {
		b.Problem = fmt.Sprintf("it is compressed with %s, which is not read", b.Packing)
		return head, nil
	}
	in, err := n.open(ctx, o, b.Packing, nil)
	if err != nil {
		return head, b.unreadable(ctx, o, err)
	}
	defer in.Close()
	t := tar.NewReader(io.LimitReader(in, smallRead))
	for first := true; ; first = false {
		h, err := t.Next()
		if err != nil {
			if first {
				return head, b.unreadable(ctx, o, err)
			}
			break
		}
		text, err := io.ReadAll(io.LimitReader(t, smallRead))
		if err != nil {
			return head, b.unreadable(ctx, o, err)
		}
		switch {
		case first && h.Name != "backup_label":
			b.Problem = fmt.Sprintf("%s is not what pg_basebackup writes: it begins with %s", path.Base(o.Key), h.Name)
			return head, nil
		case first:
			if head.label, err = parseLabel(string(text)); err != nil {
				b.Problem = fmt.Sprintf("backup_label in %s: %v", path.Base(o.Key), err)
				return head, nil
			}
			b.fromLabel(head.label, h.ModTime)
		case h.Name == "tablespace_map":
			for line := range strings.Lines(string(text)) {
				if oid, _, ok := strings.Cut(line, " "); ok {
					head.spaces = append(head.spaces, oid)
				}
			}
			b.Tablespaces = head.spaces
			return head, nil
		default:
			return head, nil
		}
	}
	return head, nil
}

// unreadable turns damage into the backup's problem; what the store could not
// give is an error.
func (b *Base) unreadable(ctx context.Context, o storage.Object, err error) error {
	if broken(ctx, err) {
		return fmt.Errorf("look into %s: %w", o.Key, err)
	}
	b.Problem = fmt.Sprintf("%s cannot be read: %v", path.Base(o.Key), err)
	return nil
}

// fromLabel takes over what backup_label says.
func (b *Base) fromLabel(l label, written time.Time) {
	b.Start, b.Timeline, b.Name, b.From = l.Start, l.Timeline, l.Name, l.From
	b.Started = written.UTC()
	b.Before = l.Incremental
}

// tarWALHeader reads the header of the first segment in pg_wal.tar.
func (n *native) tarWALHeader(ctx context.Context, o storage.Object) (xlog.Header, error) {
	_, p := cutPacking(o.Key)
	in, err := n.open(ctx, o, p, nil)
	if err != nil {
		return xlog.Header{}, err
	}
	defer in.Close()
	t := tar.NewReader(in)
	for range 100 { // .history files and archive_status may come first
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return xlog.Header{}, err
		}
		if f, ok := ParseFileName(path.Base(h.Name)); ok && f.Kind == walfile.Segment && h.Typeflag == tar.TypeReg && h.Size >= xlog.LongHeaderSize {
			return headerOf(t)
		}
	}
	return xlog.Header{}, errors.New("there is no segment in it")
}

// readManifestEnds reads the first and the last bytes of a manifest: where the
// backup ends, and from 17 on which system it is of. The whole is read, and
// proven, when the backup is restored.
func (n *native) readManifestEnds(ctx context.Context, b *Base, o storage.Object) error {
	if o.Key == "" {
		return nil
	}
	head, err := n.part(ctx, o, 0)
	if err != nil {
		return b.unreadable(ctx, o, err)
	}
	tail := head
	if o.Size > smallRead {
		if tail, err = n.part(ctx, o, o.Size-smallRead); err != nil {
			return b.unreadable(ctx, o, err)
		}
	}
	i := bytes.LastIndex(tail, []byte(`"WAL-Ranges"`))
	if i < 0 || !bytes.HasSuffix(bytes.TrimSpace(tail), []byte("}")) {
		b.Problem = "backup_manifest is not complete: the backup was broken off, or its upload"
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(tail[i+len(`"WAL-Ranges":`):]))
	r, err := decodeRanges(d)
	if err != nil {
		b.Problem = fmt.Sprintf("backup_manifest cannot be read: %v", err)
		return nil
	}
	b.Stop = r.Stop
	if b.Start == 0 {
		b.Start, b.Timeline = r.Start, r.Timeline
	}
	if _, after, ok := bytes.Cut(head, []byte(`"System-Identifier":`)); ok {
		digits, _, _ := bytes.Cut(after, []byte(","))
		b.System = strings.TrimSpace(string(digits))
	}
	return nil
}

// part reads up to smallRead bytes of an object.
func (n *native) part(ctx context.Context, o storage.Object, from int64) ([]byte, error) {
	read := n.read
	read.From = from
	in := storage.NewReader(ctx, n.store, o, read)
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, smallRead))
}

// labelWritten finds when the server wrote backup_label, in the first part of
// a manifest.
func labelWritten(head []byte) time.Time {
	for line := range bytes.Lines(head) {
		if !bytes.Contains(line, []byte(`"Path": "backup_label"`)) {
			continue
		}
		_, after, _ := bytes.Cut(line, []byte(`"Last-Modified": "`))
		text, _, _ := bytes.Cut(after, []byte(`"`))
		if t, err := time.Parse("2006-01-02 15:04:05 GMT", string(text)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// treeBase describes a data directory as pg_basebackup writes it in plain
// format.
func (n *native) treeBase(ctx context.Context, dir string, parts *treeParts) (*Base, error) {
	b := &Base{ID: strings.TrimSuffix(dir, "/"), Format: "plain", Root: dir, Manifest: parts.manifest.Key}
	if b.ID == "" {
		b.ID = "backup_label"
	}
	text, err := n.part(ctx, parts.label, 0)
	if err != nil {
		return b, b.unreadable(ctx, parts.label, err)
	}
	l, err := parseLabel(string(text))
	if err != nil {
		b.Problem = fmt.Sprintf("backup_label: %v", err)
		return b, nil
	}
	var written time.Time
	if parts.manifest.Key != "" {
		head, err := n.part(ctx, parts.manifest, 0)
		if err != nil {
			return b, b.unreadable(ctx, parts.manifest, err)
		}
		written = labelWritten(head)
	}
	if written.IsZero() {
		written, _ = instant(l.StartTime)
	}
	b.fromLabel(l, written)
	if b.Problem != "" {
		return b, nil
	}
	if err := n.readManifestEnds(ctx, b, parts.manifest); err != nil || b.Problem != "" {
		return b, err
	}
	if parts.version.Key != "" {
		text, err := n.part(ctx, parts.version, 0)
		if err != nil {
			return b, b.unreadable(ctx, parts.version, err)
		}
		b.Major, _ = strconv.Atoi(strings.TrimSpace(string(text))) // 9.6 stays 0, and is refused as unknown
	}
	return b, n.treeObjects(ctx, b, parts)
}

// treeObjects lists what belongs to a tree, and learns from its own log.
func (n *native) treeObjects(ctx context.Context, b *Base, parts *treeParts) error {
	own := map[string]File{}
	var first *File
	var spaces storage.Object
	for o, err := range n.store.List(ctx, b.Root) {
		if err != nil {
			return fmt.Errorf("list %s: %w", n.store.URL(), err)
		}
		b.Objects = append(b.Objects, o)
		rel := strings.TrimPrefix(o.Key, b.Root)
		if dir, name := path.Split(rel); dir == "pg_wal/" {
			if f, ok := ParseFileName(name); ok && f.Kind == walfile.Segment && f.Packing == Plain && o.Size > 0 {
				f.Hold(o)
				own[f.Name()] = f
				if first == nil {
					first = &f
				}
			}
		}
		if rest, ok := strings.CutPrefix(rel, "pg_tblspc/"); ok {
			if oid, _, inside := strings.Cut(rest, "/"); inside && !slices.Contains(b.Tablespaces, oid) {
				b.Tablespaces = append(b.Tablespaces, oid)
			}
		}
		if rel == "tablespace_map" {
			spaces = o
		}
	}
	if err := n.outside(ctx, b, spaces, parts.manifest); err != nil || b.Problem != "" {
		return err
	}
	if first == nil {
		return nil
	}
	h, err := readHeader(ctx, n, *first)
	if err != nil {
		return b.unreadable(ctx, first.Object(), err)
	}
	b.learn(h)
	b.OwnWAL = b.Stop != 0
	for seg := walfile.Number(b.Start, h.SegmentSize); b.OwnWAL && walfile.Start(seg, h.SegmentSize) < b.Stop; seg++ {
		_, b.OwnWAL = own[walfile.SegmentName(b.Timeline, seg, h.SegmentSize)]
	}
	return nil
}

// readLabelFile reads a .backup file of the archive.
func readLabelFile(ctx context.Context, r Repository, f File) (label, error) {
	in, err := r.Open(ctx, f)
	if err != nil {
		return label{}, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(in), smallRead))
	if err != nil {
		return label{}, err
	}
	return parseLabel(string(text))
}
