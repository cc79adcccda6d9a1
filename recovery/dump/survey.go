package dump

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// How much a survey looks into: nightly dumps of years differ in their dates
// alone, and a copy may hold a million uploads beside them.
const (
	// looksPerPattern is how many objects of each pattern of names are opened,
	// the newest first. The others are judged by them.
	looksPerPattern = 24
	// looksInAll bounds the objects that are opened in one survey, beside one of each
	// directory archive.
	looksInAll = 600
	// looksAtOnce is how many are opened side by side.
	looksAtOnce = 8
	// maxFindings is how many objects of one sort are named.
	maxFindings = 10
)

// onlyRoles is what is said of what is stored beside dumps, so that their owners can
// be made.
const onlyRoles = "holds only roles and tablespaces (pg_dumpall --globals-only)"

// Survey lists the dumps that a copy holds for a component: those under its
// prefix, without those that name another database than its own. It opens the
// newest objects of each pattern of names and reads their first bytes, and of
// plain scripts the last; the older ones are listed by their names, and looked
// at when one of them is chosen.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	l := newListing()
	for o, err := range store.List(ctx, c.Settings.Text("prefix")) {
		if err != nil {
			return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
		}
		l.add(o)
	}
	found, err := look(ctx, store, l)
	if err != nil {
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	odd := map[string][]string{} // by what is said of them
	beside := map[string]bool{}  // what belongs to a backup
	for _, f := range found {
		switch {
		case f.finding != "":
			odd[f.finding] = append(odd[f.finding], f.key)
		case belongs(f.head, c.Settings.Text("database")):
			b := f.backup(s)
			if key := rolesOf(b.ID); l.roles[key] {
				b.Details[detailRoles] = key
				beside[key] = true
			}
			s.Backups = append(s.Backups, b)
		}
	}
	odd[onlyRoles] = slices.DeleteFunc(odd[onlyRoles], func(key string) bool { return beside[key] })
	for says, keys := range odd {
		do := "look at what writes it, or move it out of the copy"
		if says == onlyRoles && len(s.Backups) > 0 {
			do = "" // it belongs beside dumps, which have no roles of their own
		}
		for i, key := range keys {
			if i == maxFindings {
				s.Findings = append(s.Findings, recovery.Finding{Object: key, Says: fmt.Sprintf("%s (and %d more like it)", says, len(keys)-i-1)})
				break
			}
			s.Findings = append(s.Findings, recovery.Finding{Object: key, Says: says, Do: do})
		}
	}
	slices.SortFunc(s.Findings, func(a, b recovery.Finding) int { return cmp.Compare(a.Object, b.Object) })
	slices.SortFunc(s.Backups, older)
	return s, nil
}

// older orders backups by the latest that their moments can be.
func older(a, b recovery.Backup) int {
	return cmp.Or(a.Taken.To.Compare(b.Taken.To), a.Taken.From.Compare(b.Taken.From), cmp.Compare(a.ID, b.ID))
}

// belongs reports whether a dump can be of a component's database.
func belongs(h head, database string) bool {
	return database == "" || h.Database == "" || h.Database == database
}

// found is what a survey says about an object, or a directory of them.
type found struct {
	key     string
	objects []storage.Object
	head    head
	problem string
	// finding is set for what is no dump.
	finding string
}

// backup is a dump as a survey lists it.
func (f found) backup(s recovery.Survey) recovery.Backup {
	facts, err := json.Marshal(f.head)
	if err != nil {
		panic("dump: marshal what a dump tells: " + err.Error()) // strings and numbers
	}
	details := map[string]string{}
	for name, value := range map[string]string{
		recovery.ServerVersion: f.head.Server, "pg_dump version": f.head.Dumper, "database": f.head.Database,
	} {
		if value != "" {
			details[name] = value
		}
	}
	if f.head.ByName {
		details["judged"] = "by its name, like newer ones that were opened"
	}
	if n := len(f.objects); n > 1 {
		details["files"] = strconv.Itoa(n)
	}
	newest := slices.MaxFunc(f.objects, func(a, b storage.Object) int { return a.Modified.Compare(b.Modified) })
	newest.Key = f.key
	taken := takenOf(f.head, newest)
	return recovery.Backup{ID: f.key, Component: s.Component, Copy: s.Copy, Engine: Name,
		Form: f.head.Form.says(f.head.Packing), Objects: f.objects, Taken: taken, Contradicts: taken.Contradicted(newest.Modified.UTC()),
		Details: details, Problem: f.problem, Holds: f.holds(), Facts: facts}
}

// holds is how much is in a dump that was looked at, as it is stored. Those are compared that
// the same pg_dump has written in the same way, of the same database.
func (f found) holds() recovery.Holds {
	if f.head.ByName {
		return recovery.Holds{}
	}
	h := recovery.Holds{Series: fmt.Sprintf("%s %s of %s by %d", f.head.Form.says(f.head.Packing), patternOf(f.key), f.head.Database, postgres.Major(f.head.Dumper))}
	for _, o := range f.objects {
		h.Bytes += o.Size
	}
	return h
}

// look opens what is worth it.
func look(ctx context.Context, store storage.Store, l *listing) ([]found, error) {
	groups := map[string][]storage.Object{}
	for _, o := range l.candidates() {
		p := patternOf(o.Key)
		groups[p] = append(groups[p], o)
	}
	patterns := make([][]storage.Object, 0, len(groups))
	for _, g := range groups {
		slices.SortFunc(g, func(a, b storage.Object) int {
			return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(b.Key, a.Key))
		})
		patterns = append(patterns, g)
	}
	slices.SortFunc(patterns, func(a, b []storage.Object) int {
		return cmp.Or(b[0].Modified.Compare(a[0].Modified), cmp.Compare(a[0].Key, b[0].Key))
	})
	results := make([][]found, len(patterns))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looksAtOnce)
	left := looksInAll
	for i, objects := range patterns {
		n := min(len(objects), looksPerPattern, max(left, 1))
		if left <= 0 {
			if likeDump(objects[0].Key) == dumpish {
				results[i] = []found{{key: objects[0].Key, finding: "not looked at: the copy has more kinds of names than a survey opens; set prefix to where the dumps lie"}}
			}
			continue
		}
		left -= n
		results[i] = make([]found, n)
		for j := range n {
			g.Go(func() (err error) {
				results[i][j], err = lookAt(gctx, store, objects[j])
				return err
			})
		}
	}
	names := slices.Sorted(maps.Keys(l.directories))
	directories := make([]found, len(names))
	for i, dir := range names {
		g.Go(func() (err error) {
			directories[i], err = lookAtDirectory(gctx, store, dir, l.directories[dir])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all []found
	for i, objects := range patterns {
		all = append(all, results[i]...)
		all = append(all, judgeByName(results[i], objects)...)
	}
	all = append(all, directories...)
	return slices.DeleteFunc(all, func(f found) bool { return f.key == "" }), nil
}

// judgeByName lists the objects that were not opened, where all that were opened
// of their pattern are dumps of one form.
func judgeByName(opened []found, objects []storage.Object) []found {
	var like head
	for _, f := range opened {
		if f.finding != "" || f.key == "" {
			return nil
		}
		if f.head.Form == "" { // empty
			continue
		}
		if like.Form != "" && (like.Form != f.head.Form || like.Packing != f.head.Packing) {
			return nil
		}
		like = f.head
	}
	if like.Form == "" {
		return nil
	}
	var all []found
	for _, o := range objects[len(opened):] {
		f := found{key: o.Key, objects: []storage.Object{o}, head: head{Form: like.Form, Packing: like.Packing, ByName: true}}
		if o.Size == 0 {
			f.problem = empty
		}
		all = append(all, f)
	}
	return all
}

// lookAtDirectory judges a directory archive by its table of contents. One
// without is what an interrupted pg_dump leaves: it writes that last.
func lookAtDirectory(ctx context.Context, store storage.Store, dir string, objects []storage.Object) (found, error) {
	f := found{key: path.Clean(dir), objects: objects}
	i := slices.IndexFunc(objects, func(o storage.Object) bool { return path.Base(o.Key) == tocFile })
	if i < 0 {
		if len(objects) < 2 || !strings.Contains(objects[0].Key, ".dat") {
			return found{}, nil
		}
		f.finding = "looks like a directory archive of pg_dump without its toc.dat: the dump did not end"
		return f, nil
	}
	raw, err := readBeginning(ctx, store, objects[i], headBytes)
	if problem, ok := own(err); ok {
		f.head.Form, f.problem = directoryArchive, problem
		return f, nil
	}
	if err != nil {
		return found{}, err
	}
	a, err := readArchiveHeader(raw)
	if err != nil {
		return found{}, nil // somebody else's toc.dat
	}
	f.head.archive(a)
	f.head.Form = directoryArchive
	if i := slices.IndexFunc(objects, func(o storage.Object) bool { return o.Size == 0 && rowsFile.MatchString(path.Base(o.Key)) }); i >= 0 {
		f.problem = path.Base(objects[i].Key) + " is empty, which no table's file is: the dump was not written or not stored to its end"
	}
	return f, nil
}
