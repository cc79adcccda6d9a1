package pitr

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// Name is the engine's name in a runbook, where backups are of the native form.
const Name = "pitr"

const nativeKind = "native"

// nativeForm opens what pg_basebackup and archive_command leave behind.
type nativeForm struct{ read storage.ReadOptions }

func (nativeForm) Name() string { return Name }

func (nativeForm) Keys() []recovery.Key {
	return []recovery.Key{
		{Name: "prefix", Doc: "where base backups and WAL lie in the copy; if it is missing, base/ and wal/ for those that comeback takes, and all that is no other component's is looked at", Example: "pg/main"},
		{Name: "backups", Doc: "where base backups lie in the copy, instead of prefix", Example: "base"},
		{Name: "wal", Doc: "where the WAL archive lies in the copy, instead of prefix", Example: "wal"},
		{Name: "backup", Doc: "what comeback backup takes: dump, base; all that fits if it is missing, none for nothing", Example: "base", List: true},
		{Name: "incremental", Doc: "how many incremental base backups follow a full one, each of what has changed since the one before: from PostgreSQL 17 on, with summarize_wal on; none if it is missing", Example: "6", Check: recovery.Number(0, maxIncrementals)},
		{Name: "record", Doc: "whether base backups record the number and the digest of each table's rows, which reads all of them: yes if it is missing, or no", Example: "no", Check: recovery.OneOf("yes", "no")},
		{Name: "receiver", Doc: "the replication slot from which comeback wal receive takes the log, where archive_command cannot be set", Example: "comeback"},
		{Name: "quorum", Doc: "in how many copies a segment must be durable before comeback wal push tells the server so; 1 if it is missing", Example: "2", Check: recovery.Number(1, math.MaxInt)},
	}
}

// Find opens a copy as the component's settings say.
func (f nativeForm) Find(_ context.Context, c recovery.Component, _ recovery.Copy, a Access) (Repository, error) {
	return f.in(c, a.Store), nil
}

func (f nativeForm) in(c recovery.Component, store storage.Store) *native {
	return &native{store: store, backups: prefixOf(c, "backups"), wal: prefixOf(c, "wal"), read: f.read}
}

func (f nativeForm) Open(l Layout, a Access) (Repository, error) {
	if l.Kind != nativeKind {
		return nil, unknownForm(l)
	}
	return &native{store: a.Store, places: l.Places, others: l.Others, read: f.read}, nil
}

// native opens a copy in the native form as the component's settings say.
func (e nativeEngine) native(c recovery.Component, store storage.Store) *native {
	return nativeForm{e.Read}.in(c, store)
}

// native is what pg_basebackup and archive_command leave behind: base backups
// as tar files or as a tree, and segments under PostgreSQL's own names.
type native struct {
	store storage.Store
	// backups and wal are the prefixes to look under; empty is everywhere.
	backups, wal string
	// places are where WAL lies, once that is known, and others what of it is of other
	// clusters than the one that is asked for.
	places []Place
	others []foreign
	read   storage.ReadOptions
}

// Place is a directory of a WAL archive.
type Place struct {
	// Dir ends with a slash, or is empty.
	Dir string `json:"dir"`
	// Nested says that the first sixteen digits of a segment's name are a
	// directory of their own.
	Nested bool `json:"nested,omitempty"`
}

// key is what the keys of files begin with whose names begin with prefix.
func (p Place) key(prefix string) string {
	if !p.Nested || len(prefix) < 16 || strings.HasSuffix(prefix, ".history") {
		return p.Dir + prefix
	}
	return p.Dir + prefix[:16] + "/" + prefix
}

func (n *native) Layout() Layout { return Layout{Kind: nativeKind, Places: n.places} }

func (n *native) Contents(ctx context.Context) (Contents, error) {
	found, err := n.list(ctx)
	if err != nil {
		return Contents{}, err
	}
	var c Contents
	if c.Bases, err = n.bases(ctx, found); err != nil {
		return Contents{}, err
	}
	if c.Archives, err = n.archives(ctx, found, &c); err != nil {
		return Contents{}, err
	}
	for _, a := range c.Archives {
		for _, p := range a.Places {
			if !slices.Contains(n.places, p) {
				n.places = append(n.places, p)
			}
		}
	}
	if found.walg != nil && (len(c.Bases) == 0 || len(c.Archives) == 0) {
		c.Findings = append(c.Findings, recovery.Finding{Object: *found.walg,
			Says: "what lies in basebackups_005/ and wal_005/ is a storage of WAL-G, from which a component is restored that says `with: wal-g`"})
	}
	return c, nil
}

// listing is what the names of objects tell.
type listing struct {
	wal map[Place]*pile
	// tars holds, by directory, the parts of backups in tar format; trees the
	// directories of those in plain format.
	tars  map[string]*tarParts
	trees map[string]*treeParts
	// others are tar files under names of their own.
	others []storage.Object
	// marks are notes about timelines, by the directory that they are of.
	marks map[string][]storage.Object
	// odd counts WAL files by a packing that is not read, with an example; oddWALG those
	// of WAL-G.
	odd, oddWALG map[Packing]oddFiles
	// walg is where a storage of WAL-G lies, if one was seen that no setting names.
	walg *string
	// last is where the last file of the log lay.
	last *holder
}

// pile is many files: a slice that grows would hold them twice, and what it has left.
type pile struct{ parts [][]File }

// pileOf is how many files a part holds.
const pileOf = 8192

func (p *pile) add(f File) {
	n := len(p.parts)
	switch {
	case n == 0:
		p.parts = [][]File{{f}} // most places hold few
		return
	case len(p.parts[n-1]) >= pileOf:
		p.parts, n = append(p.parts, make([]File, 0, pileOf)), n+1
	}
	p.parts[n-1] = append(p.parts[n-1], f)
}

// files are all of them, in the order in which they came.
func (p *pile) files() []File {
	if len(p.parts) > 1 {
		all := make([]File, 0, (len(p.parts)-1)*pileOf+cap(p.parts[0]))
		for i, part := range p.parts {
			all = append(all, part...)
			p.parts[i] = nil
		}
		p.parts = [][]File{all}
	}
	if len(p.parts) == 0 {
		return nil
	}
	return p.parts[0]
}

type oddFiles struct {
	count   int
	example string
}

// tarParts are the objects of one backup in tar format.
type tarParts struct {
	base, wal, manifest storage.Object
	spaces              map[string]storage.Object // tablespaces by oid
}

// treeParts are the objects that tell a data directory from others.
type treeParts struct{ label, version, control, manifest storage.Object }

var tarName = pattern.New(`^(base|pg_wal|\d+)\.tar$`)

// list goes through the copy once.
func (n *native) list(ctx context.Context) (*listing, error) {
	l := &listing{wal: map[Place]*pile{}, tars: map[string]*tarParts{}, trees: map[string]*treeParts{}, marks: map[string][]storage.Object{}, odd: map[Packing]oddFiles{}, oddWALG: map[Packing]oddFiles{}}
	for _, prefix := range prefixes(n.backups, n.wal) {
		for o, err := range n.store.List(ctx, prefix) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", n.store.URL(), err)
			}
			at, log := walgStorage(o.Key, n.wal)
			if log != "" {
				l.walg = &at
			}
			// A part of a backup of WAL-G begins as a base backup does.
			_, theirs := walgStorage(o.Key, n.backups)
			l.add(o, strings.HasPrefix(o.Key, n.backups) && theirs == "", strings.HasPrefix(o.Key, n.wal) && log != walgBackups, log != "")
		}
	}
	// A tree brings its own pg_wal, which is not the archive.
	for dir, parts := range l.trees {
		if parts.label.Key == "" || parts.control.Key == "" {
			delete(l.trees, dir)
		}
	}
	for p := range l.wal {
		for dir := range l.trees {
			if strings.HasPrefix(p.Dir, dir) {
				delete(l.wal, p)
			}
		}
	}
	return l, nil
}

// The folders of a storage of WAL-G.
const (
	walgBackups = "basebackups_005/"
	walgLog     = "wal_005/"
)

// walgStorage says below a prefix of a setting in which folder of WAL-G's a key lies,
// and where that storage is; what the setting names itself is not looked at.
func walgStorage(key, prefix string) (storage, folder string) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", ""
	}
	for _, folder := range []string{walgBackups, walgLog} {
		if i := strings.Index("/"+rest, "/"+folder); i >= 0 {
			return prefix + rest[:i], folder
		}
	}
	return "", ""
}

// prefixes lists what must be listed to see both.
func prefixes(a, b string) []string {
	switch {
	case strings.HasPrefix(a, b):
		return []string{b}
	case strings.HasPrefix(b, a):
		return []string{a}
	}
	return []string{a, b}
}

// add sorts an object in, that may be of a backup or of the log, or of the log that WAL-G
// keeps.
func (l *listing) add(o storage.Object, backup, wal, walg bool) {
	dir, name := path.Split(o.Key)
	if wal && markName.MatchString(name) {
		l.marks[dir] = append(l.marks[dir], o)
		return
	}
	if wal {
		if f, ok := ParseFileName(name); ok {
			if !f.Packing.Readable() {
				odd := l.odd
				if walg {
					odd = l.oddWALG // which WAL-G reads
				}
				odd[f.Packing] = oddFiles{odd[f.Packing].count + 1, o.Key}
				return
			}
			if l.last == nil || dir != l.last.dir {
				l.last = &holder{dir: strings.Clone(dir)}
			}
			f.lie(l.last, o)
			p := Place{Dir: dir}
			if last := path.Base(dir); len(last) == 16 && f.Kind != walfile.History && last == f.Name()[:16] {
				p = Place{Dir: strings.TrimSuffix(dir, last+"/"), Nested: true}
			}
			if l.wal[p] == nil {
				l.wal[p] = &pile{}
			}
			l.wal[p].add(f)
			return
		}
	}
	if !backup {
		return
	}
	switch bare, _ := cutPacking(name); {
	case name == "backup_label":
		l.tree(dir).label = o
	case name == "PG_VERSION":
		l.tree(dir).version = o
	case name == "backup_manifest":
		l.tree(dir).manifest = o
		l.tar(dir).manifest = o
	case name == "pg_control" && path.Base(dir) == "global":
		l.tree(strings.TrimSuffix(dir, "global/")).control = o
	case tarName.MatchString(bare):
		switch part, _ := strings.CutSuffix(bare, ".tar"); part {
		case "base":
			l.tar(dir).base = o
		case "pg_wal":
			l.tar(dir).wal = o
		default:
			l.tar(dir).spaces[part] = o
		}
	case strings.HasSuffix(bare, ".tar") || strings.HasSuffix(name, ".tgz"):
		l.others = append(l.others, o)
	}
}

func (l *listing) tree(dir string) *treeParts {
	if l.trees[dir] == nil {
		l.trees[dir] = &treeParts{}
	}
	return l.trees[dir]
}

func (l *listing) tar(dir string) *tarParts {
	if l.tars[dir] == nil {
		l.tars[dir] = &tarParts{spaces: map[string]storage.Object{}}
	}
	return l.tars[dir]
}

// archives sorts what the places hold by the cluster that wrote it.
func (n *native) archives(ctx context.Context, l *listing, c *Contents) ([]Archive, error) {
	var all []Archive
	var unknown []Place
	add := func(i int, p Place, of ofCluster) {
		all[i].Places, all[i].Others = append(all[i].Places, p), append(all[i].Others, of.others...)
		if all[i].Files == nil {
			all[i].Files = of.files
		} else {
			all[i].Files = append(all[i].Files, of.files...)
		}
	}
	walg := func(p Place) bool { _, folder := walgStorage(p.Dir, n.wal); return folder != "" }
	places := slices.SortedFunc(maps.Keys(l.wal), comparePlaces)
	kept := slices.DeleteFunc(slices.Clone(places), walg)
	needed := func(system string) bool { // by a base backup
		return slices.ContainsFunc(c.Bases, func(b Base) bool { return b.System == system || b.System == "" && len(kept) == 0 })
	}
	for _, p := range append(kept, slices.DeleteFunc(places, func(p Place) bool { return !walg(p) })...) {
		clusters, err := n.clusters(ctx, p, l.wal[p].files(), c.Bases)
		if err != nil {
			return nil, err
		}
		for _, of := range clusters {
			h := of.header
			i := slices.IndexFunc(all, func(a Archive) bool { return a.System == h.System })
			switch {
			// WAL-G's log may be encrypted, and follow only its own backups.
			case walg(p) && (h.System == "" || i < 0 && !needed(h.System)):
				continue
			case h.System == "" && len(clusters) > 1: // what cannot be read is of no use to any
				continue
			case h.System == "":
				unknown = append(unknown, p)
				continue
			}
			if i < 0 {
				all = append(all, Archive{System: h.System, Major: h.Major, SegmentSize: h.SegmentSize, PageSize: h.PageSize})
				i = len(all) - 1
			}
			add(i, p, of)
		}
	}
	// A place without a readable segment, such as one of .history files alone,
	// belongs to the archive around it.
	for _, p := range unknown {
		i := slices.IndexFunc(all, func(a Archive) bool {
			return slices.ContainsFunc(a.Places, func(other Place) bool { return other.Dir == p.Dir })
		})
		if i < 0 && len(all) == 0 {
			all = append(all, Archive{})
		}
		if i < 0 && len(all) == 1 {
			i = 0
		}
		if i >= 0 {
			add(i, p, ofCluster{files: l.wal[p].files()})
			continue
		}
		c.Findings = append(c.Findings, recovery.Finding{Object: p.Dir,
			Says: "its WAL files tell nothing about the cluster that they belong to", Do: "name the right directory with the setting wal"})
	}
	if len(all) == 0 && len(c.Bases) > 0 {
		maps.Copy(l.odd, l.oddWALG) // it may be their log
	}
	for _, p := range slices.Sorted(maps.Keys(l.odd)) {
		odd := l.odd[p]
		c.Findings = append(c.Findings, recovery.Finding{Object: odd.example,
			Says: fmt.Sprintf("%d files of the WAL archive are compressed with %s, which is not read", odd.count, p),
			Do:   "compress with gzip or zstd, or keep segments as they are"})
	}
	for i := range all {
		var objects []storage.Object
		for _, p := range all[i].Places {
			objects = append(objects, l.marks[p.Dir]...)
		}
		if err := readMarks(ctx, n.store, n.read, objects, &all[i], c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func comparePlaces(a, b Place) int {
	if a.Dir == b.Dir && a.Nested != b.Nested {
		if a.Nested {
			return 1
		}
		return -1
	}
	return strings.Compare(a.Dir, b.Dir)
}

// headerTries is how many segments are tried to learn what an archive is of.
const headerTries = 5

// anyHeader reads the header of the first segment that has one. A zero header
// means that none has; an error that the store could not be read.
func anyHeader(ctx context.Context, r Repository, files []File) (xlog.Header, error) {
	tries := 0
	for _, f := range files {
		if f.Kind != walfile.Segment || f.empty() {
			continue
		}
		if tries++; tries > headerTries {
			break
		}
		h, err := readHeader(ctx, r, f)
		if err == nil {
			return h, nil
		}
		if broken(ctx, err) {
			return xlog.Header{}, fmt.Errorf("look into %s: %w", f.Object().Key, err)
		}
	}
	return xlog.Header{}, nil
}

// readHeader reads the first bytes of a segment.
func readHeader(ctx context.Context, r Repository, f File) (xlog.Header, error) {
	in, err := r.Open(ctx, f)
	if err != nil {
		return xlog.Header{}, err
	}
	defer in.Close()
	return headerOf(in)
}

func headerOf(in io.Reader) (xlog.Header, error) {
	var b [xlog.LongHeaderSize]byte
	n, err := io.ReadFull(in, b[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return xlog.Header{}, err
	}
	return xlog.ParseHeader(b[:n])
}

// broken reports whether an error says nothing about the object itself: the
// store could not be read, or nobody waits any more.
func broken(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrExpired) ||
		errors.Is(err, storage.ErrConfig) || errors.Is(err, storage.ErrUnavailable)
}

func (n *native) Files(ctx context.Context, prefix string) ([]File, error) {
	var files []File
	for _, p := range n.places {
		for o, err := range n.store.List(ctx, p.key(prefix)) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", n.store.URL(), err)
			}
			dir, name := path.Split(o.Key)
			f, ok := ParseFileName(name)
			inPlace := dir == p.Dir
			if ok && p.Nested {
				inPlace = dir == p.Dir+f.Name()[:min(16, len(f.Name()))]+"/"
			}
			if ok && inPlace && f.Packing.Readable() && !n.foreign(p, f) {
				f.Hold(o)
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// foreign reports whether a segment in a place is another cluster's.
func (n *native) foreign(p Place, f File) bool {
	return f.Kind == walfile.Segment && len(n.others) > 0 && slices.ContainsFunc(n.others, func(r foreign) bool { return r.has(p.Dir, f.Name()) })
}

func (n *native) Absent(ctx context.Context, name string) (bool, error) {
	files, err := n.Files(ctx, name)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if f.Name() == name {
			return false, nil
		}
	}
	wanted, ok := ParseFileName(name)
	for _, p := range n.places {
		if ok && n.foreign(p, wanted) {
			continue
		}
		suffixes := []string{""}
		for _, p := range packings {
			if p.packing.Readable() {
				suffixes = append(suffixes, p.suffix)
			}
		}
		for _, suffix := range suffixes {
			_, err := n.store.Stat(ctx, p.key(name)+suffix)
			if !errors.Is(err, storage.ErrNotExist) {
				return false, err
			}
		}
	}
	return true, nil
}

func (n *native) Open(ctx context.Context, f File) (io.ReadCloser, error) {
	in, err := n.open(ctx, f.Object(), f.Packing, nil)
	if err != nil || !f.inside() {
		return in, err
	}
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("%s: %w in %s", f.Name(), storage.ErrNotExist, f.Object().Key)
			return nil, errors.Join(err, in.Close())
		case err != nil:
			return nil, errors.Join(tarDamage(err), in.Close())
		case h.Typeflag == tar.TypeReg && path.Clean(h.Name) == f.Name():
			return &member{Reader: t, Closer: in}, nil
		}
	}
}

// member is one file in a tar file.
type member struct {
	io.Reader
	io.Closer
}

// open streams an object, decompressed.
func (n *native) open(ctx context.Context, o storage.Object, p Packing, progress func(int)) (io.ReadCloser, error) {
	read := n.read
	read.Progress = progress
	return unpacked(storage.NewReader(ctx, n.store, o, read), p)
}
