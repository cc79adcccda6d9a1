package files

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

const (
	// looks is how many archives of one pattern of names a survey opens, the
	// newest first; the others are judged by them. looksInAll bounds all.
	looks      = 12
	looksInAll = 200
	// looksAtOnce is how many are opened side by side.
	looksAtOnce = 8
)

var (
	archiveName = pattern.New(`\.(tar|tgz|tzst|tbz2?|txz|tar\.(gz|gzip|zst|zstd|bz2|xz|lz4|age|gpg))$`)
	sealedName  = pattern.New(`\.(tar|tgz|tzst|tar\.(gz|zst|bz2))\.age$`)
	digits      = pattern.New(`\d+`)
	// serverName is a file of a base backup.
	serverName = pattern.New(`^(base|pg_wal|\d+)\.tar(\.|$)`)
)

// Survey lists the archives that a copy holds for a component. It opens the
// newest of each pattern of names and reads their beginnings; what turns out to
// be of a database, or broken, is left out or named.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: e.name, At: e.Now(), Live: e.livePaths(c)}
	patterns := map[string][]storage.Object{}
	var snapshots []storage.Object
	parts, archived := map[string]int64{}, map[string]storage.Object{}
	for o, err := range store.List(ctx, c.Settings.Text("prefix")) {
		if err != nil {
			return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
		}
		if m := snapshotKey.FindStringSubmatch(o.Key); m != nil {
			snapshots = append(snapshots, o)
			continue
		}
		if isPart.MatchString(o.Key) {
			if parts[o.Key] = o.Size; o.Archived != "" {
				archived[o.Key] = o
			}
			continue
		}
		if e.sealed() {
			if sealedName.MatchString(path.Base(o.Key)) {
				s.Backups = append(s.Backups, sealedArchive(c, o).backup(s))
			}
			continue
		}
		if name := path.Base(o.Key); archiveName.MatchString(name) && !serverName.MatchString(name) {
			p := patternOf(o.Key)
			patterns[p] = append(patterns[p], o)
		}
	}
	found, err := look(ctx, store, c, patterns)
	if err != nil {
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	if err := surveySnapshots(ctx, store, snapshots, inventory{under: c.Settings.Text("prefix"), sizes: parts, archived: archived, gone: new(sync.Map)}, &s, e.sealed()); err != nil {
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	for _, f := range found {
		switch {
		case f.finding != "":
			s.Findings = append(s.Findings, recovery.Finding{Object: f.object.Key, Says: f.finding, Do: "look at what writes it, or move it out of the copy"})
		case !f.foreign:
			s.Backups = append(s.Backups, f.backup(s))
		}
	}
	slices.SortFunc(s.Findings, func(a, b recovery.Finding) int { return cmp.Compare(a.Object, b.Object) })
	slices.SortFunc(s.Backups, older)
	return s, nil
}

// patternOf is what the names of archives have in common that are made alike.
func patternOf(key string) string { return digits.ReplaceAllString(key, "#") }

// older orders backups by the latest that their moments can be.
func older(a, b recovery.Backup) int {
	return cmp.Or(a.Taken.To.Compare(b.Taken.To), a.Taken.From.Compare(b.Taken.From), cmp.Compare(a.ID, b.ID))
}

// sealedArchive is an archive that cannot be looked into: which directory of it is the tree
// shows when it is decrypted.
func sealedArchive(c recovery.Component, o storage.Object) found {
	f := found{object: o, facts: facts{Form: archiveForm, Sealed: true}}
	if root := c.Settings.Text("root"); root != "" {
		f.facts.Root, f.facts.Rooted = rootOf(c, ""), true
	}
	if o.Size == 0 {
		f.problem = empty
	}
	return f
}

// found is what a survey says about an archive.
type found struct {
	object  storage.Object
	facts   facts
	problem string
	// finding is set for what is no archive, foreign for one that is another
	// engine's.
	finding string
	foreign bool
}

func (f found) backup(s recovery.Survey) recovery.Backup {
	b := recovery.Backup{ID: f.object.Key, Component: s.Component, Copy: s.Copy, Engine: s.Engine, Form: f.facts.says(),
		Objects: []storage.Object{f.object}, Problem: f.problem, Facts: encode(f.facts), Details: map[string]string{},
		Taken: recovery.Span{To: f.object.Modified.UTC()}.NarrowedByName(path.Base(f.object.Key))}
	// A name tells when an archive was begun; its files are read until it ends.
	b.Taken.To = f.object.Modified.UTC()
	if f.facts.ByName {
		b.Details["judged"] = "by its name, like newer ones that were opened"
	}
	if f.facts.Root != "" {
		b.Details["tree"] = f.facts.Root
	}
	b.Holds = recovery.Holds{Bytes: f.object.Size, Series: strings.Join([]string{b.Form, patternOf(f.object.Key), f.facts.Root}, " ")}
	return b
}

// look opens the newest archives of each pattern.
func look(ctx context.Context, store storage.Store, c recovery.Component, patterns map[string][]storage.Object) ([]found, error) {
	groups := make([][]storage.Object, 0, len(patterns))
	for _, g := range patterns {
		slices.SortFunc(g, func(a, b storage.Object) int {
			return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(b.Key, a.Key))
		})
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b []storage.Object) int {
		return cmp.Or(b[0].Modified.Compare(a[0].Modified), cmp.Compare(a[0].Key, b[0].Key))
	})
	results := make([][]found, len(groups))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looksAtOnce)
	left := looksInAll
	for i, objects := range groups {
		n := min(len(objects), looks, left)
		left -= n
		results[i] = make([]found, n)
		if n == 0 {
			results[i] = []found{{object: objects[0], finding: "not looked at: the copy has more kinds of names than a survey opens; set prefix to where the archives lie"}}
		}
		for j := range n {
			g.Go(func() (err error) {
				results[i][j], err = lookAt(gctx, store, c, objects[j])
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all []found
	for i, objects := range groups {
		all = append(all, results[i]...)
		all = append(all, byName(results[i], objects)...)
	}
	return all, nil
}

// byName lists the archives that were not opened, where all that were opened of
// their pattern are alike.
func byName(opened []found, objects []storage.Object) []found {
	like := opened[0]
	if len(opened) == len(objects) || like.finding != "" || like.foreign ||
		slices.ContainsFunc(opened, func(f found) bool {
			return f.problem == "" && (f.facts.Packing != like.facts.Packing || f.facts.Root != like.facts.Root) || f.finding != ""
		}) {
		return nil
	}
	var all []found
	for _, o := range objects[len(opened):] {
		f := found{object: o, facts: like.facts}
		f.facts.ByName = true
		if o.Size == 0 {
			f.problem = empty
		}
		all = append(all, f)
	}
	return all
}

// opened looks into an archive that the survey has judged by its name.
func opened(ctx context.Context, b recovery.Backup, store storage.Store) (recovery.Backup, error) {
	f, err := factsOf(b)
	if err != nil || b.Problem != "" {
		return b, err
	}
	if f.Form == snapshotForm {
		return openedSnapshot(ctx, b, store)
	}
	if !f.ByName {
		return b, nil
	}
	l, err := lookAt(ctx, store, recovery.Component{Settings: recovery.Settings{"root": {f.Root}}}, b.Objects[0])
	switch {
	case err != nil:
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	case l.finding != "", l.foreign:
		b.Problem = "it is not an archive of a tree, though its name is like one's"
		return b, nil
	}
	return l.backup(recovery.Survey{Component: b.Component, Copy: b.Copy, Engine: b.Engine}), nil
}

// empty is the problem of an object without bytes.
const empty = "it is empty: the program that archives failed and nobody noticed"

// cutOff is the problem of an archive without its end.
const cutOff = "it is cut off: the program that archives was stopped in the middle"

// headBytes is how much of an archive is read: more than one block of any packing.
const headBytes = 256 << 10

// lookAt judges one archive by its first bytes and, where it is not packed, its
// last. The error means that the copy cannot be read.
func lookAt(ctx context.Context, store storage.Store, c recovery.Component, o storage.Object) (found, error) {
	f := found{object: o, facts: facts{Form: archiveForm}}
	if o.Size == 0 {
		f.problem = empty
		return f, nil
	}
	head, err := readPart(ctx, store, o, 0)
	if problem, ok := own(err); ok {
		f.problem = problem
		return f, nil
	} else if err != nil {
		return f, err
	}
	if says := unreadable(head); says != "" {
		f.finding = "cannot be restored: " + says
		return f, nil
	}
	f.facts.Packing = packingOf(head)
	whole := int64(len(head)) == o.Size
	first, err := firstEntry(f.facts.Packing, head, whole)
	switch {
	case err != nil && whole && errors.Is(err, errCutOff):
		f.problem = cutOff
		return f, nil
	case err != nil:
		f.finding = fmt.Sprintf("is not a tar archive that can be read: %v", err)
		return f, nil
	case ofDatabase(first):
		f.foreign = true
		return f, nil
	}
	f.facts.Root = rootOf(c, first)
	if f.facts.Packing != plain {
		return f, nil
	}
	end, err := readPart(ctx, store, o, max(0, o.Size-2*blockSize))
	if problem, ok := own(err); ok {
		f.problem = problem
		return f, nil
	}
	if err == nil && len(bytes.TrimLeft(end, "\x00")) > 0 {
		f.problem = "it is cut off: the empty blocks at the end of a tar archive are missing"
	}
	return f, err
}

// own sorts out failures that are one object's, not the copy's.
func own(err error) (problem string, ok bool) {
	switch {
	case errors.Is(err, storage.ErrNotExist):
		return "it was removed while the copy was surveyed", true
	case errors.Is(err, storage.ErrChanged):
		return "it was being written while the copy was surveyed", true
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrArchived):
		return err.Error(), true
	}
	return "", false
}

func readPart(ctx context.Context, store storage.Store, o storage.Object, from int64) ([]byte, error) {
	r := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3, From: from})
	defer r.Close()
	b := make([]byte, min(headBytes, o.Size-from))
	n, err := fill(r, b)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// fill reads until b is full or r has ended; its error is r's own.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

// ofDatabase reports whether an archive's first entry is one of a database.
func ofDatabase(first string) bool {
	switch name := clean(first); {
	case name == "toc.dat", name == "backup_label", name == "PG_VERSION", name == "tablespace_map", name == "restore.sql":
		return true
	case strings.HasPrefix(name, "base/1/"), strings.HasPrefix(name, "pg_wal/"), name == "pg_wal":
		return true
	}
	return false
}

// rootOf finds the directory of an archive that is the tree: what the runbook
// says, or the longest end of the live path that the first entry lies in.
func rootOf(c recovery.Component, first string) string {
	if root := c.Settings.Text("root"); root != "" {
		return strings.Trim(path.Clean("/"+root), "/")
	}
	return rootFor(c.Settings.Text("path"), first)
}

// rootFor is the longest end of a live directory that an archive's first entry is or lies in;
// "" where that is none.
func rootFor(live, first string) string {
	live, name := strings.Trim(path.Clean("/"+live), "/"), clean(first)
	for live != "" {
		if _, ok := within(live, name); ok || strings.HasPrefix(live, name+"/") && strings.Count(live, "/") > 0 {
			return live
		}
		_, live, _ = strings.Cut(live, "/")
	}
	return ""
}
