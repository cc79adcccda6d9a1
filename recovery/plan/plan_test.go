package plan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/runbooks"
	"comeback/storage"
)

var at = time.Date(2026, 11, 23, 2, 41, 5, 0, time.UTC)

// shelf is an engine whose backups are the objects of a copy: "02:30" is a
// backup of that time. It resolves as exactly as it is told to.
type shelf struct {
	name  string
	exact recovery.Exactness
}

func (e shelf) Schema() recovery.Schema {
	return recovery.Schema{Engine: e.name, Kind: recovery.Postgres}
}
func (e shelf) Kinds() []recovery.Kind { return nil }

func (e shelf) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: cp.Name, Engine: e.name}
	for o, err := range store.List(ctx, e.name+"/") {
		if err != nil {
			return s, err
		}
		b := recovery.Backup{ID: o.Key, Component: c.Name, Copy: cp.Name, Engine: e.name, Objects: []storage.Object{o}}
		if t, err := time.Parse("15:04", filepath.Base(o.Key)); err == nil {
			taken := time.Date(2026, 11, 23, t.Hour(), t.Minute(), 0, 0, time.UTC)
			b.Taken = recovery.Span{From: taken, To: taken}
		} else {
			b.Problem = "it is no backup"
		}
		s.Backups = append(s.Backups, b)
	}
	return s, nil
}

func (e shelf) Resolve(_ context.Context, s recovery.Survey, w recovery.Want, _ storage.Store) (recovery.Point, error) {
	var best *recovery.Backup
	for i, b := range s.Backups {
		fits := b.Problem == "" && (w.Kind == recovery.WantLatest || w.Kind == recovery.WantTime && !b.Taken.To.After(w.Time) || w.Backup == b.ID)
		if fits && (best == nil || b.Taken.To.After(best.Taken.To)) {
			best = &s.Backups[i]
		}
	}
	if best == nil {
		return recovery.Point{}, recovery.Errorf("choose a later moment", "nothing that early")
	}
	return recovery.Point{Component: s.Component, Copy: s.Copy, Engine: e.name, Backup: *best, Exactness: e.exact, Time: best.Taken.To}, nil
}

func (e shelf) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	first := recovery.NewStep("copy", e.name+".copy", "copy", nil)
	first.Writes = []recovery.TargetID{t.ID}
	second := recovery.NewStep("start", e.name+".start", "start", nil)
	second.After = []string{"copy"}
	return []recovery.Step{first, second}, nil
}

const text = `---
comeback: 1
system: shop
rpo: 5m
rto: 30m
copies:
  nearby: {url: "file:///nearby"}
  offsite: {url: "file:///offsite"}
components:
  database: {kind: postgres, url: "${DATABASE_URL}"}
  stats: {kind: postgres, url: "${STATS_URL}"}
---
# Bring the shop back

## Stop the writes
Owner: on-call. Budget: 2m.

- [ ] The maintenance page is up
- [ ] Webhooks are paused

## Restore the database
Budget: 15m.

` + "```yaml\nrestore: database\n```" + `

## Check the copy
` + "```sql\n-- check: orders\n-- on: database\n-- expect: >= 1\nselect count(*) from orders;\n```\n" +
	"```sql\n-- check: stats\n-- on: stats\n-- expect: >= 1\nselect 1;\n```\n" +
	"```sh\n# run: smoke\n# in: both\npsql \"$DATABASE_URL\" -c 'select 1'\n```\n" +
	"```sh\n# run: page\n# in: rehearsal\ncurl \"$APP_URL\"\n```\n" +
	"```sh\n# run: deploy\ntrue\n```\n" + `
## Switch
` + "```yaml\nswitch: database\n```\n"

func parse(t *testing.T, s string) *runbooks.Runbook {
	t.Helper()
	rb, problems := runbooks.Parse("shop.md", []byte(s))
	if problems.Failed() {
		t.Fatal(problems)
	}
	return rb
}

// copies makes directories with one empty object a key.
func copies(t *testing.T, keys map[string][]string) catalogue.OpenStore {
	t.Helper()
	root := t.TempDir()
	for name, ks := range keys {
		for _, k := range ks {
			path := filepath.Join(root, name, k)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(_ context.Context, c recovery.Copy) (storage.Store, error) {
		return storage.OpenDir(filepath.Join(root, c.Name))
	}
}

func resolve(t *testing.T, open catalogue.OpenStore, want string, restrict plan.Wanted, engines ...recovery.Engine) (recovery.Moment, error) {
	t.Helper()
	rb := parse(t, text)
	cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
	if err != nil {
		t.Fatal(err)
	}
	w, err := recovery.ParseWant(want, at)
	if err != nil {
		t.Fatal(err)
	}
	restrict.Want = w
	return plan.Resolve(t.Context(), cat, open, rb, engines, restrict)
}

var dumps, log = shelf{"dump", recovery.ToBackup}, shelf{"pitr", recovery.ToCommit}

func TestResolve(t *testing.T) {
	open := copies(t, map[string][]string{
		"nearby":  {"dump/01:00", "dump/02:00", "pitr/02:00"},
		"offsite": {"dump/01:00", "dump/02:30", "dump/year/01:30"},
	})
	for _, c := range []struct {
		name, want      string
		restrict        plan.Wanted
		copy, engine, b string
	}{
		{"the newest anywhere", "latest", plan.Wanted{}, "offsite", "dump", "dump/02:30"},
		{"the more exact of two as new", "2026-11-23T02:10:00Z", plan.Wanted{}, "nearby", "pitr", "pitr/02:00"},
		{"one copy only", "latest", plan.Wanted{Copy: "nearby"}, "nearby", "pitr", "pitr/02:00"},
		{"one engine only", "latest", plan.Wanted{Copy: "nearby", Engine: "dump"}, "nearby", "dump", "dump/02:00"},
		{"by id", "dump/02:30", plan.Wanted{}, "offsite", "dump", "dump/02:30"},
		{"by the end of an id", "year/01:30", plan.Wanted{}, "offsite", "dump", "dump/year/01:30"},
		{"in the runbook's order of copies", "dump/01:00", plan.Wanted{}, "nearby", "dump", "dump/01:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := resolve(t, open, c.want, c.restrict, dumps, log)
			if err != nil {
				t.Fatal(err)
			}
			if p := m.Points[0]; p.Copy != c.copy || p.Engine != c.engine || p.Backup.ID != c.b || m.Anchor != "database" {
				t.Errorf("got %s of %s by %s, anchor %s", p.Backup.ID, p.Copy, p.Engine, m.Anchor)
			}
		})
	}
}

// cold is a shelf whose backups lie in an archive.
type cold struct{ shelf }

func (e cold) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := e.shelf.Resolve(ctx, s, w, store)
	p.Backup.Archived.Add(storage.Object{Key: "pack", Size: 7, Archived: "GLACIER"})
	return p, err
}

// A point whose backup lies in an archive says so, and what to do first.
func TestResolve_archived(t *testing.T) {
	open := copies(t, map[string][]string{"nearby": {"dump/02:00"}, "offsite": nil})
	m, err := resolve(t, open, "latest", plan.Wanted{Copy: "nearby"}, cold{dumps})
	if err != nil {
		t.Fatal(err)
	}
	if w := m.Points[0].Warnings; len(w) != 1 || !strings.Contains(w[0], "1 object of it, 7 B, in GLACIER") || !strings.Contains(w[0], "aws s3api restore-object") {
		t.Errorf("the warnings are %q", w)
	}
}

// torn is a shelf with log up to a time, which it refuses to follow.
type torn struct {
	shelf
	from, to string
}

func (e torn) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s, err := e.shelf.Survey(ctx, c, cp, store)
	w := recovery.Window{Component: c.Name, Copy: cp.Name, Engine: e.name, Timeline: 1}
	for at, text := range map[*recovery.Instant]string{&w.From: e.from, &w.To: e.to} {
		if t, err := time.Parse("15:04", text); err == nil {
			at.Time = time.Date(2026, 11, 23, t.Hour(), t.Minute(), 0, 0, time.UTC)
		}
	}
	s.Windows = []recovery.Window{w}
	return s, err
}

func (torn) Resolve(context.Context, recovery.Survey, recovery.Want, storage.Store) (recovery.Point, error) {
	return recovery.Point{}, recovery.Errorf("set timeline: 1", "the archive holds two histories")
}

// Where another engine refuses what would lose less, that is said, not passed over.
func TestResolve_refusesLater(t *testing.T) {
	open := copies(t, map[string][]string{"nearby": {"dump/02:00", "pitr/01:30"}, "offsite": {"dump/02:00"}})
	const says = "it could come back to a later moment by pitr in nearby, which refuses: the archive holds two histories; to get there, set timeline: 1"
	for name, c := range map[string]struct {
		want, from, to string
		than           recovery.Engine
		says           bool
	}{
		"the log goes on":                 {"latest", "01:30", "02:10", dumps, true},
		"nobody knows how far":            {"latest", "01:30", "", dumps, true},
		"the log ends before":             {"latest", "01:30", "01:50", dumps, false},
		"a time within":                   {"2026-11-23T02:05:00Z", "01:30", "02:10", dumps, true},
		"a time before the log":           {"2026-11-23T02:05:00Z", "02:07", "02:10", dumps, false},
		"the latest of another's log":     {"latest", "01:30", "02:10", shelf{"dump", recovery.ToCommit}, true},
		"… which ends nobody knows where": {"latest", "01:30", "", shelf{"dump", recovery.ToCommit}, false},
		"a time that is reached exactly":  {"2026-11-23T02:05:00Z", "01:30", "02:10", shelf{"dump", recovery.ToCommit}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := resolve(t, open, c.want, plan.Wanted{}, c.than, torn{log, c.from, c.to})
			if err != nil {
				t.Fatal(err)
			}
			if p := m.Points[0]; p.Backup.ID != "dump/02:00" || slices.Contains(p.Warnings, says) != c.says || !c.says && len(p.Warnings) > 0 {
				t.Errorf("%s, warnings %q, want %v", p.Backup.ID, p.Warnings, c.says)
			}
		})
	}
}

func TestResolve_refuses(t *testing.T) {
	full := copies(t, map[string][]string{"nearby": {"dump/02:00", "dump/a/odd"}, "offsite": {"dump/02:30", "dump/b/odd"}})
	for _, c := range []struct {
		name, want, copy, says, hint string
		open                         catalogue.OpenStore
	}{
		{"too early", "2026-11-23T01:00:00Z", "", "no copy can bring database back to 2026-11-23T01:00:00Z", "later moment", full},
		{"unknown backup", "nightly-7", "", `no copy holds a backup with the id "nightly-7"`, "comeback moments", full},
		{"ambiguous backup", "odd", "", "names several backups: dump/a/odd, dump/b/odd", "whole id", full},
		{"nothing at all", "latest", "", "no copy holds a backup of database (looked in nearby, offsite)", "prefix", copies(t, map[string][]string{"nearby": {"x"}, "offsite": {"x"}})},
		{"no copy can be read", "latest", "", "nearby: open the copy: access denied", "get-caller-identity", func(context.Context, recovery.Copy) (storage.Store, error) {
			return nil, denied{}
		}},
		{"only broken backups", "latest", "", "dump/odd in nearby: it is no backup", "prefix", copies(t, map[string][]string{"nearby": {"dump/odd"}, "offsite": {"x"}})},
		{"empty copy", "latest", "offsite", "the copy offsite holds no backup of database", "--copy", copies(t, map[string][]string{"nearby": {"dump/02:00"}, "offsite": {"x"}})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(t, c.open, c.want, plan.Wanted{Copy: c.copy}, dumps, log)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) {
				t.Errorf("%v\nhint %q\nwant %q and %q", err, recovery.HintOf(err), c.says, c.hint)
			}
		})
	}
}

// What was first backed up after the last that is known of the database comes back with
// it, where everything is asked for; where an exact moment is, or more of the database is
// known, there is no such moment.
func TestResolve_firstLater(t *testing.T) {
	book := strings.Replace(text, "restore: database", "restore: [database, uploads, config]", 1)
	book = strings.Replace(book, "  stats:", "  uploads: {kind: files, path: /srv/uploads}\n  config: {kind: config, paths: [/etc/shop]}\n  stats:", 1)
	for name, c := range map[string]struct {
		backups []string
		want    string
		still   string // until when the database is known to have been the same
		lost    string // when it changed
		points  string
		warns   bool
		says    string
	}{
		"one moment for all":       {[]string{"pitr/02:00", "files/02:05", "config/02:10", "config/02:20"}, "latest", "", "", "pitr/02:00 files/02:05 config/02:10", true, ""},
		"the newest until then":    {[]string{"pitr/02:00", "files/01:00", "files/02:05", "config/02:10"}, "latest", "", "", "pitr/02:00 files/02:05 config/02:10", true, ""},
		"all was there before":     {[]string{"pitr/02:00", "files/01:00", "files/02:05", "config/01:50", "config/02:10"}, "latest", "", "", "pitr/02:00 files/01:00 config/01:50", false, ""},
		"it is known to be idle":   {[]string{"pitr/02:00", "files/01:00", "files/02:05", "config/02:04"}, "latest", "02:06", "", "pitr/02:00 files/02:05 config/02:04", false, ""},
		"an exact moment":          {[]string{"pitr/02:00", "files/02:05", "config/01:50"}, "2026-11-23T02:02:00Z", "", "", "", false, "nothing that early"},
		"idle, and then changed":   {[]string{"pitr/02:00", "files/02:05", "config/01:50"}, "2026-11-23T02:02:00Z", "02:06", "01:59", "", false, "nothing that early"},
		"the database had changed": {[]string{"pitr/02:00", "files/02:05", "config/01:50"}, "latest", "", "02:03", "", false, "nothing that early"},
	} {
		t.Run(name, func(t *testing.T) {
			open := copies(t, map[string][]string{"nearby": c.backups, "offsite": {"x"}})
			hour := func(text string) time.Time {
				if text == "" {
					return time.Time{}
				}
				h, err := time.Parse("15:04", text)
				if err != nil {
					t.Fatal(err)
				}
				return time.Date(2026, 11, 23, h.Hour(), h.Minute(), 0, 0, time.UTC)
			}
			rb := parse(t, book)
			engines := []recovery.Engine{known{log, hour(c.still), hour(c.lost)}, kept{shelf{"files", recovery.ToBackup}, recovery.Files}, kept{shelf{"config", recovery.ToBackup}, recovery.Config}}
			cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
			if err != nil {
				t.Fatal(err)
			}
			want, err := recovery.ParseWant(c.want, at)
			if err != nil {
				t.Fatal(err)
			}
			m, err := plan.Resolve(t.Context(), cat, open, rb, engines, plan.Wanted{Want: want})
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%+v, %v", m, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var points []string
			for _, p := range m.Points {
				points = append(points, p.Backup.ID)
			}
			if got := strings.Join(points, " "); got != c.points || len(m.Points[0].Warnings) > 0 != c.warns {
				t.Errorf("%s, want %s; warnings %q", got, c.points, m.Points[0].Warnings)
			}
		})
	}
}

// clustered is a shelf whose backups tell which cluster they are of, by their directory, and
// whose copies have log until a time of their own.
type clustered struct {
	shelf
	ends map[string]time.Time
}

func (e clustered) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s, err := e.shelf.Survey(ctx, c, cp, store)
	for i, b := range s.Backups {
		s.Backups[i].Details = map[string]string{recovery.SystemIdentifier: filepath.Base(filepath.Dir(b.ID))}
	}
	return s, err
}

func (e clustered) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := e.shelf.Resolve(ctx, s, w, store)
	if p.Time = e.ends[s.Copy]; err == nil && w.Kind == recovery.WantTime {
		p.Time = w.Time
	}
	return p, err
}

// A server that was built anew is the one that comes back, also where the old one goes on
// and a copy has its log until later; a time before is the old one's.
func TestResolve_inService(t *testing.T) {
	clock := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	engine := clustered{shelf{"pitr", recovery.ToCommit}, map[string]time.Time{"nearby": clock(3), "offsite": clock(4)}}
	for name, c := range map[string]struct {
		nearby, offsite []string
		want, backup    string
		restrict        plan.Wanted
	}{
		"the newest one":                   {[]string{"pitr/2/02:00"}, []string{"pitr/1/01:00"}, "latest", "pitr/2/02:00", plan.Wanted{}},
		"at a time of it":                  {[]string{"pitr/2/02:00"}, []string{"pitr/1/01:00"}, "2026-11-23T02:30:00Z", "pitr/2/02:00", plan.Wanted{}},
		"at a time before it":              {[]string{"pitr/2/02:00"}, []string{"pitr/1/01:00"}, "2026-11-23T01:30:00Z", "pitr/1/01:00", plan.Wanted{}},
		"the other by its name":            {[]string{"pitr/2/02:00"}, []string{"pitr/1/01:00"}, "pitr/1/01:00", "pitr/1/01:00", plan.Wanted{}},
		"the other, in the copy asked for": {[]string{"pitr/2/02:00"}, []string{"pitr/1/01:00"}, "latest", "pitr/1/01:00", plan.Wanted{Copy: "offsite"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := resolve(t, copies(t, map[string][]string{"nearby": c.nearby, "offsite": c.offsite}), c.want, c.restrict, engine)
			if err != nil {
				t.Fatal(err)
			}
			if p := m.Points[0]; p.Backup.ID != c.backup || len(p.Warnings) > 0 {
				t.Errorf("%s comes back, with warnings %q", p.Backup.ID, p.Warnings)
			}
		})
	}
	t.Run("of one log the position tells, whatever the clock", func(t *testing.T) {
		m, err := resolve(t, copies(t, map[string][]string{"nearby": {"pitr/2/02:00"}, "offsite": {"pitr/2/02:00"}}), "latest", plan.Wanted{}, placed{engine})
		if err != nil {
			t.Fatal(err)
		}
		if p := m.Points[0]; p.Copy != "nearby" { // whose last commit is of an earlier time
			t.Errorf("the one in %s, at %s, comes back", p.Copy, p.Stop)
		}
	})
	t.Run("what refuses leaves the other, and says so", func(t *testing.T) {
		m, err := resolve(t, copies(t, map[string][]string{"nearby": {"pitr/2/02:00"}, "offsite": {"pitr/1/01:00"}}), "latest", plan.Wanted{}, refusing{engine, "nearby"})
		if err != nil {
			t.Fatal(err)
		}
		if p := m.Points[0]; p.Backup.ID != "pitr/1/01:00" || !strings.Contains(strings.Join(p.Warnings, " "), "of the cluster 1, and the newest base backup from before it of the cluster 2") {
			t.Errorf("%s comes back, with warnings %q", p.Backup.ID, p.Warnings)
		}
	})
}

// placed has more log in nearby than in offsite.
type placed struct{ clustered }

func (e placed) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := e.clustered.Resolve(ctx, s, w, store)
	p.Timeline, p.Stop = 1, map[string]recovery.LSN{"nearby": 0x3000000, "offsite": 0x2000000}[s.Copy]
	return p, err
}

// refusing resolves nothing in a copy.
type refusing struct {
	recovery.Engine
	copy string
}

func (e refusing) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	if s.Copy == e.copy {
		return recovery.Point{}, recovery.Errorf("look at the log", "a segment is missing")
	}
	return e.Engine.Resolve(ctx, s, w, store)
}

// A backup that only another component has makes that one decide, and the database comes back
// to what it was then; where both have one of that name, the database decides.
func TestResolve_backupOfAnother(t *testing.T) {
	book := strings.Replace(text, "restore: database", "restore: [database, uploads, config]", 1)
	book = strings.Replace(book, "  stats:", "  uploads: {kind: files, path: /srv/uploads}\n  config: {kind: config, paths: [/etc/shop]}\n  stats:", 1)
	open := copies(t, map[string][]string{"nearby": {"pitr/a/01:10", "pitr/02:00", "files/a/01:00", "files/02:10", "files/b/01:20", "config/01:00", "config/b/01:20", "files/odd/02:10"},
		"offsite": {"x"}})
	rb := parse(t, book)
	engines := []recovery.Engine{log, kept{shelf{"files", recovery.ToBackup}, recovery.Files}, kept{shelf{"config", recovery.ToBackup}, recovery.Config}}
	cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct{ points, says string }{
		"files/02:10":   {"uploads files/02:10, database pitr/02:00, config config/b/01:20", ""},
		"odd/02:10":     {"uploads files/odd/02:10, database pitr/02:00, config config/b/01:20", ""},
		"a/01:10":       {"database pitr/a/01:10, uploads files/a/01:00, config config/01:00", ""},
		"files/a/01:00": {"", "nothing that early"},
		"b/01:20":       {"", `"b/01:20" names backups of several components: uploads, config`},
		"nightly":       {"", `no copy holds a backup with the id "nightly"`},
	} {
		t.Run(want, func(t *testing.T) {
			w, err := recovery.ParseWant(want, at)
			if err != nil {
				t.Fatal(err)
			}
			m, err := plan.Resolve(t.Context(), cat, open, rb, engines, plan.Wanted{Want: w})
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" {
					t.Fatalf("%+v, %v", m, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var points []string
			for _, p := range m.Points {
				points = append(points, p.Component+" "+p.Backup.ID)
			}
			if got := strings.Join(points, ", "); got != c.points || m.Anchor != m.Points[0].Component {
				t.Errorf("%s, want %s; the anchor is %s", got, c.points, m.Anchor)
			}
		})
	}
}

// logged is a shelf that has every transaction in its log, which starts at each backup of the
// component: of one that dumps names there is none, and where it is shared all are of one cluster.
type logged struct {
	shelf
	dumps  string
	shared bool
}

func (e logged) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s, err := e.shelf.Survey(ctx, c, cp, store)
	for _, b := range s.Backups {
		w := recovery.Window{Component: c.Name, Copy: cp.Name, Engine: e.name, Backup: b.ID, From: recovery.Instant{LSN: 1, Time: b.Taken.To}}
		if !e.shared {
			w.Backup = c.Name + "/" + b.ID
		}
		if c.Name != e.dumps {
			s.Windows = append(s.Windows, w)
		}
	}
	return s, err
}

func (e logged) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	if w.OfLog() {
		w.Kind = recovery.WantLatest
	}
	return e.shelf.Resolve(ctx, s, w, store)
}

// A transaction is looked for in the log of the database that was named, and of several
// without a name in none.
func TestResolve_anchor(t *testing.T) {
	open := copies(t, map[string][]string{"nearby": {"pitr/02:00"}, "offsite": {"pitr/02:00"}})
	both := strings.Replace(text, "restore: database", "restore: [database, stats]", 1)
	for name, c := range map[string]struct {
		book, want, component string
		anchor, says, hint    string
	}{
		"the only database":           {text, "before-xid:81214", "", "database", "", ""},
		"the one that was named":      {both, "before-xid:81214", "stats", "stats", "", ""},
		"a time":                      {both, "2026-11-23T02:10:00Z", "", "database", "", ""},
		"a time of another":           {both, "2026-11-23T02:10:00Z", "stats", "stats", "", ""},
		"a backup of another":         {both, "pitr/02:00", "stats", "stats", "", ""},
		"a transaction of any":        {both, "before-xid:81214", "", "", "before-xid:81214 may be in the log of each of several databases", "--component database or --component stats"},
		"what follows a transaction":  {both, "after-xid:81214", "", "", "several databases", "--component stats"},
		"a position in any log":       {both, "lsn:3/7A21F0C8", "", "", "several databases", "--component stats"},
		"one of the only log":         {both + "database has dumps", "before-xid:81214", "", "stats", "", ""},
		"one of one cluster":          {both + "one cluster", "before-xid:81214", "", "database", "", ""},
		"one that does not come back": {text, "latest", "stats", "", `restores no component "stats"`, "choose one of: database"},
	} {
		t.Run(name, func(t *testing.T) {
			engine := logged{shelf: log, shared: strings.HasSuffix(c.book, "one cluster")}
			if strings.HasSuffix(c.book, "database has dumps") {
				engine.dumps = "database"
			}
			rb, engines := parse(t, c.book), []recovery.Engine{engine}
			cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
			if err != nil {
				t.Fatal(err)
			}
			want, err := recovery.ParseWant(c.want, at)
			if err != nil {
				t.Fatal(err)
			}
			m, err := plan.Resolve(t.Context(), cat, open, rb, engines, plan.Wanted{Want: want, Component: c.component})
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) || recovery.ExitOf(err) != recovery.Usage {
					t.Fatalf("%+v, %v, hint %q, exit %d", m, err, recovery.HintOf(err), recovery.ExitOf(err))
				}
				return
			}
			if err != nil || m.Anchor != c.anchor || m.Points[0].Component != c.anchor {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// refuses is a log with a gap before everything that is wanted.
type refuses struct{ shelf }

func (refuses) Resolve(_ context.Context, _ recovery.Survey, w recovery.Want, _ storage.Store) (recovery.Point, error) {
	return recovery.Point{}, recovery.Errorf("the nearest moment before the gap is "+w.To("after-xid:81213"), "%s cannot be reached", w).WithExit(recovery.Refused)
}

// A refusal says of which component it is where several come back, and what it tells to ask for
// instead names the database where there are several.
func TestResolve_refusalOfOne(t *testing.T) {
	open := copies(t, map[string][]string{"nearby": {"pitr/02:00"}})
	for book, c := range map[string]struct{ says, hint string }{
		text: {"2026-11-23T02:10:00Z cannot be reached", "the nearest moment before the gap is --to after-xid:81213"},
		strings.Replace(text, "restore: database", "restore: [database, stats]", 1): {
			"bring back stats: 2026-11-23T02:10:00Z cannot be reached", "the nearest moment before the gap is --to after-xid:81213 --component stats"},
	} {
		rb, engines := parse(t, book), []recovery.Engine{refuses{log}}
		cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
		if err != nil {
			t.Fatal(err)
		}
		restored := plan.Restored(rb)
		want := recovery.Want{Kind: recovery.WantTime, Time: at, Text: "2026-11-23T02:10:00Z"}
		_, err = plan.Resolve(t.Context(), cat, open, rb, engines, plan.Wanted{Want: want, Component: restored[len(restored)-1].Name})
		if err == nil || err.Error() != c.says || recovery.HintOf(err) != c.hint || recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("%v, hint %q, exit %d; not %q, %q", err, recovery.HintOf(err), recovery.ExitOf(err), c.says, c.hint)
		}
	}
}

// Another copy for one component is one for it alone: the others stay where they come
// from, as long as that can bring them back.
func TestResolve_anotherCopyOfOne(t *testing.T) {
	both := strings.Replace(text, "restore: database", "restore: [database, stats]", 1)
	for name, c := range map[string]struct {
		of, copy string
		offsite  []string
		points   string
	}{
		"of another":                   {"stats", "offsite", []string{"pitr/01:00", "dump/02:30"}, "database dump/02:00 in nearby, stats pitr/01:00 in offsite"},
		"of the anchor":                {"database", "offsite", []string{"pitr/01:00"}, "database pitr/01:00 in offsite, stats dump/01:00 in nearby"},
		"the others cannot stay there": {"database", "offsite", []string{"pitr/00:30"}, "database pitr/00:30 in offsite, stats pitr/00:30 in offsite"},
	} {
		t.Run(name, func(t *testing.T) {
			open := copies(t, map[string][]string{"nearby": {"dump/01:00", "dump/02:00"}, "offsite": c.offsite})
			rb, engines := parse(t, both), []recovery.Engine{dumps, log}
			cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: open})
			if err != nil {
				t.Fatal(err)
			}
			now := recovery.Moment{Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "dump"}, {Component: "stats", Copy: "nearby", Engine: "dump"}}}
			want := plan.Wanted{Want: recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, Component: "database", Copy: c.copy, Of: c.of, Stay: now}
			if name == "of another" {
				want.Engine = "pitr"
			}
			m, err := plan.Resolve(t.Context(), cat, open, rb, engines, want)
			if err != nil {
				t.Fatal(err)
			}
			var points []string
			for _, p := range m.Points {
				points = append(points, fmt.Sprintf("%s %s in %s", p.Component, p.Backup.ID, p.Copy))
			}
			if got := strings.Join(points, ", "); got != c.points {
				t.Errorf("%s, want %s", got, c.points)
			}
		})
	}
}

// known is a shelf that knows more of the database than its backup's time.
type known struct {
	shelf
	unchanged, lost time.Time
}

func (e known) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := e.shelf.Resolve(ctx, s, w, store)
	p.Unchanged, p.Lost.Time = e.unchanged, e.lost
	return p, err
}

// What another copy tells of the database, or may tell, counts whichever was asked for:
// nothing is said to be of one moment that is not.
func TestResolve_firstLaterSeen(t *testing.T) {
	book := strings.Replace(text, "restore: database", "restore: [database, uploads]", 1)
	book = strings.Replace(book, "  stats:", "  uploads: {kind: files, path: /srv/uploads}\n  stats:", 1)
	for name, c := range map[string]struct {
		nearby, offsite []string
		follows, shut   string // the copy that shows more, that cannot be read
		says            string // "" where they come back together
	}{
		"nothing follows":            {[]string{"pitr/02:00", "files/04:00"}, []string{"pitr/02:00"}, "", "", ""},
		"an older broken backup":     {[]string{"dump/02:00", "dump/odd", "files/04:00"}, []string{"pitr/02:00"}, "", "", ""},
		"log behind a gap":           {[]string{"pitr/02:00", "files/04:00"}, []string{"pitr/02:00"}, "nearby", "", "the copy nearby shows that more came after 2026-11-23T02:00:00Z"},
		"log behind a gap elsewhere": {[]string{"pitr/02:00", "files/04:00"}, []string{"pitr/01:00"}, "offsite", "", "the copy offsite shows that more came after 2026-11-23T01:00:00Z"},
		"a later backup elsewhere":   {[]string{"pitr/02:00", "files/04:00"}, []string{"pitr/03:00"}, "", "", "the copy offsite tells of it until 2026-11-23T03:00:00Z"},
		"a copy that cannot be read": {[]string{"pitr/02:00", "files/04:00"}, []string{"pitr/03:00"}, "", "offsite", "the copy offsite could not be judged"},
		"a later broken backup":      {[]string{"dump/02:00", "dump/late", "files/04:00"}, []string{"x"}, "", "", "the copy nearby holds a later backup that is of no use, dump/late"},
	} {
		t.Run(name, func(t *testing.T) {
			open := copies(t, map[string][]string{"nearby": c.nearby, "offsite": c.offsite})
			opened := func(ctx context.Context, cp recovery.Copy) (storage.Store, error) {
				if cp.Name == c.shut {
					return nil, denied{}
				}
				return open(ctx, cp)
			}
			rb := parse(t, book)
			engines := []recovery.Engine{aged{dumps}, gaps{log, c.follows}, kept{shelf{"files", recovery.ToBackup}, recovery.Files}}
			cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: plan.Restored(rb), Copies: plan.Copies(rb), Engines: engines, OpenStore: opened})
			if err != nil {
				t.Fatal(err)
			}
			want := plan.Wanted{Want: recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, Copy: "nearby"}
			m, err := plan.Resolve(t.Context(), cat, opened, rb, engines, want)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Refused {
					t.Fatalf("%+v, %v, hint %q", m, err, recovery.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if w := m.Points[0].Warnings; len(w) != 1 || !strings.Contains(w[0], "database comes back to 2026-11-23T02:00:00Z") || !strings.Contains(w[0], "the rest to 2026-11-23T04:00:00Z") {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// gaps is a shelf on which a copy shows more than it can bring back.
type gaps struct {
	shelf
	follows string
}

func (e gaps) Resolve(ctx context.Context, s recovery.Survey, w recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := e.shelf.Resolve(ctx, s, w, store)
	p.Follows = s.Copy == e.follows
	return p, err
}

// aged is a shelf whose backups of no use are of before all others, or "late".
type aged struct{ shelf }

func (e aged) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s, err := e.shelf.Survey(ctx, c, cp, store)
	for i, b := range s.Backups {
		if b.Problem != "" {
			taken := time.Date(2026, 11, 23, 0, 30, 0, 0, time.UTC)
			if filepath.Base(b.ID) == "late" {
				taken = taken.Add(3 * time.Hour)
			}
			s.Backups[i].Taken = recovery.Span{From: taken, To: taken}
		}
	}
	return s, err
}

// kept is a shelf of another kind of components.
type kept struct {
	shelf
	kind recovery.ComponentKind
}

func (e kept) Schema() recovery.Schema {
	return recovery.Schema{Engine: e.name, Kind: e.kind}
}

type denied struct{}

func (denied) Error() string        { return "open the copy: access denied" }
func (denied) Is(target error) bool { return target == storage.ErrDenied }

func makePlan(t *testing.T, change func(*plan.Options)) (*recovery.Plan, error) {
	t.Helper()
	open := copies(t, map[string][]string{"nearby": {"dump/02:00"}, "offsite": {"x"}})
	m, err := resolve(t, open, "latest", plan.Wanted{}, dumps)
	if err != nil {
		t.Fatal(err)
	}
	o := plan.Options{Runbook: parse(t, text), Source: recovery.Source{Path: "/shop.md", SHA256: "aa"}, Engines: []recovery.Engine{dumps}, Mode: recovery.Rehearsal,
		Moment: m, Run: "7c31", Number: 4, Scratch: "/var/tmp", Created: at,
		Expected: func(s recovery.Step) time.Duration { return 7 * time.Second }}
	if change != nil {
		change(&o)
	}
	return plan.Make(o)
}

func TestMake(t *testing.T) {
	p, err := makePlan(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]string{}
	for _, s := range p.Steps {
		after[s.ID] = strings.Join(s.After, " ")
		if time.Duration(s.Expected) != 7*time.Second {
			t.Errorf("%s has no expectation", s.ID)
		}
	}
	// The restore begins at once; what keeps the document's order waits.
	want := map[string]string{
		"1.1.ticks": "", "database.copy": "", "database.start": "database.copy",
		"3.1.check": "1.1.ticks database.copy database.start", "3.3.run": "1.1.ticks database.copy database.start",
	}
	if !reflect.DeepEqual(after, want) {
		t.Errorf("steps come after\n%v\nwant\n%v", after, want)
	}
	var not []string
	for _, n := range p.NotExecuted {
		mark := ""
		if n.Check {
			mark = "CHECK "
		}
		not = append(not, mark+n.What+": "+n.Why)
	}
	if got, want := strings.Join(not, "\n"), strings.Join([]string{
		"CHECK check: stats: no stage before it restores stats",
		"CHECK run: page: in a rehearsal APP_URL has no value in scratch",
		"run: deploy: it runs in a recovery only (# in: recovery)",
		"switch [database]: a rehearsal leaves live as it is",
	}, "\n"); got != want {
		t.Errorf("not executed:\n%s\nwant:\n%s", got, want)
	}
	var args recovery.ShellArgs
	s, _ := p.Step("3.3.run")
	if err := s.Decode(&args); err != nil || args.Bind["DATABASE_URL"] != "database" || len(args.Env) != 0 {
		t.Errorf("the shell block is given %+v, %v", args, err)
	}
	if len(p.Targets) != 1 || !p.Targets[0].Scratch || p.Targets[0].Place != "/var/tmp/comeback-7c31/database" {
		t.Errorf("targets: %+v", p.Targets)
	}
}

// The same input gives the same bytes, and they come back whole.
func TestEncode(t *testing.T) {
	p, err := makePlan(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := plan.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := plan.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := plan.Encode(back)
	if err != nil || string(again) != string(b) {
		t.Errorf("a plan changes when it is read and written, %v", err)
	}
	if _, err := plan.Decode([]byte(strings.Replace(string(b), `"comeback_plan": 1`, `"comeback_plan": 2`, 1))); err == nil {
		t.Error("a plan of another format was read")
	}
	if !json.Valid(b) {
		t.Error("not JSON")
	}
}

func TestMake_refuses(t *testing.T) {
	if _, err := makePlan(t, func(o *plan.Options) { o.Mode = recovery.Recovery }); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("a recovery: %v", err)
	}
	if _, err := makePlan(t, func(o *plan.Options) { o.Moment.Points = nil }); err == nil {
		t.Error("a moment without points was planned")
	}
}

// tree is an engine for files that reaches every moment.
type tree struct{ shelf }

func (e tree) Schema() recovery.Schema { return recovery.Schema{Engine: e.name, Kind: recovery.Files} }

// What a database is asked may take as long as its section says.
func TestMake_checksHaveTheirBudget(t *testing.T) {
	rb, problems := runbooks.Parse("shop.md", []byte("---\ncomeback: 1\nsystem: shop\ncopies: {nearby: {url: \"file:///nearby\"}}\n"+
		"components: {database: {kind: postgres}}\n---\n# Shop\n\n## Restore\n```yaml\nrestore: [database]\n```\n\n## Check\n\nbudget: 45m\n\n"+
		"```sql\n-- check: orders\n-- on: database\n-- expect: > 0\nselect count(*) from orders\n```\n\n```yaml\ncheck: sound\non: database\nsound: [indexes]\n```\n"))
	if problems.Failed() {
		t.Fatal(problems)
	}
	p, err := plan.Make(plan.Options{Runbook: rb, Mode: recovery.Rehearsal, Run: "r", Engines: []recovery.Engine{shelf{name: "dump"}},
		Moment: recovery.Moment{Anchor: "database", Points: []recovery.Point{{Component: "database", Engine: "dump"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"2.1.check", "2.2.check"} {
		if s, ok := p.Step(id); !ok || time.Duration(s.Budget) != 45*time.Minute {
			t.Errorf("%s has %v", id, s.Budget)
		}
	}
}

// A check of files comes after both restores, and is not made where one of them
// is not restored.
func TestMake_filesCheck(t *testing.T) {
	const check = "\n## Check\n```yaml\ncheck: every upload has its file\non: database\nrows: select path from uploads\nfiles: uploads\nunknown: any\n```\n"
	for restores, want := range map[string]string{"database, uploads": "", "database": "no stage before it restores uploads"} {
		rb, problems := runbooks.Parse("shop.md", []byte("---\ncomeback: 1\nsystem: shop\ncopies: {nearby: {url: \"file:///nearby\"}}\n"+
			"components: {database: {kind: postgres}, uploads: {kind: files}}\n---\n# Shop\n\n## Restore\n```yaml\nrestore: ["+restores+"]\n```\n"+check))
		if problems.Failed() {
			t.Fatal(problems)
		}
		p, err := plan.Make(plan.Options{Runbook: rb, Mode: recovery.Rehearsal, Run: "r", Engines: []recovery.Engine{shelf{name: "dump"}, tree{shelf{name: "tree"}}},
			Moment: recovery.Moment{Anchor: "database", Points: []recovery.Point{{Component: "database", Engine: "dump"}, {Component: "uploads", Engine: "tree"}}}})
		if err != nil {
			t.Fatal(err)
		}
		s, ok := p.Step("2.1.check")
		if want != "" {
			if ok || len(p.NotExecuted) != 1 || !p.NotExecuted[0].Check || p.NotExecuted[0].Why != want {
				t.Errorf("%s: %+v, %+v", restores, s, p.NotExecuted)
			}
			continue
		}
		var args recovery.FilesCheckArgs
		if err := s.Decode(&args); err != nil || s.Kind != recovery.KindFilesCheck || !s.MayPass || !reflect.DeepEqual(s.After, []string{"database.copy", "database.start", "uploads.copy", "uploads.start"}) ||
			args != (recovery.FilesCheckArgs{Name: "every upload has its file", On: "database", Query: "select path from uploads", Files: "uploads", Unknown: "any"}) {
			t.Errorf("%+v, %+v, %v", s, args, err)
		}
	}
}
