package dump_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/storage"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// backups are three nights: the second cannot be restored, and of the third only
// a range is known.
func backups(t testing.TB) recovery.Survey {
	t.Helper()
	span := func(from, to string) (s recovery.Span) {
		if from != "" {
			s.From = at(t, from)
		}
		s.To = at(t, to)
		return s
	}
	b := func(id string, taken recovery.Span, problem string) recovery.Backup {
		return recovery.Backup{ID: id, Component: "database", Copy: "nearby", Engine: "dump", Form: "plain SQL", Taken: taken, Problem: problem, Facts: []byte(`{"form":"plain"}`)}
	}
	return recovery.Survey{Component: "database", Copy: "nearby", Engine: "dump", Backups: []recovery.Backup{
		b("db/2026-11-20.sql", span("2026-11-20T02:00:00Z", "2026-11-20T02:00:00Z"), ""),
		b("db/2026-11-21.sql", span("2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z"), "it is cut off"),
		b("db/2026-11-22.sql", span("2026-11-21T10:00:00Z", "2026-11-22T02:10:00Z"), ""),
	}}
}

func TestResolve(t *testing.T) {
	for want, test := range map[string]struct {
		id    string
		says  []string // of the point or the refusal
		hint  string
		other string // of the warnings
	}{
		"latest":                    {id: "db/2026-11-22.sql", says: []string{"between 2026-11-21 10:00:00 UTC and 2026-11-22 02:10:00 UTC"}, other: "does not tell exactly"},
		"2026-11-22T03:10:00+01:00": {id: "db/2026-11-22.sql", other: "one moment"},
		"2026-11-22T02:09:59Z":      {id: "db/2026-11-20.sql", says: []string{"begun 2026-11-20 02:00:00 UTC"}, other: "passed over 1 newer dump"},
		"2026-11-20T02:00:00Z":      {id: "db/2026-11-20.sql"},
		"db/2026-11-20.sql":         {id: "db/2026-11-20.sql"},
		"2026-11-20.sql":            {id: "db/2026-11-20.sql"},
		"2026-11-20T01:59:59Z":      {says: []string{"no dump is from before 2026-11-20T01:59:59Z", "db/2026-11-20.sql, was begun 2026-11-20 02:00:00 UTC", "none before it"}, hint: "db/2026-11-20.sql"},
		"db/2026-11-21.sql":         {says: []string{"db/2026-11-21.sql cannot be restored: it is cut off"}, hint: "db/2026-11-22.sql"},
		"db/2026-11-25.sql":         {says: []string{`no dump "db/2026-11-25.sql"`}, hint: "db/2026-11-22.sql"},
		"lsn:3/7A21F0C8":            {says: []string{"a dump has no positions"}, hint: "base backup"},
		"before-xid:81214":          {says: []string{"a dump has no positions"}, hint: "base backup"},
	} {
		t.Run(want, func(t *testing.T) {
			w, err := recovery.ParseWant(want, at(t, "2026-11-23T00:00:00Z"))
			if err != nil {
				t.Fatal(err)
			}
			p, err := dump.New(dump.Options{}).Resolve(t.Context(), backups(t), w, nil)
			said := p.Says
			if test.id == "" {
				if err == nil || recovery.ExitOf(err) != recovery.Refused || !strings.Contains(recovery.HintOf(err), test.hint) {
					t.Fatalf("error %v (%s), want a refusal with %q", err, recovery.HintOf(err), test.hint)
				}
				said = err.Error()
			} else if err != nil || p.Backup.ID != test.id || p.Exactness != recovery.ToBackup || p.Time != p.Backup.Taken.To {
				t.Fatalf("point %+v, %v", p, err)
			}
			for _, text := range test.says {
				if !strings.Contains(said, text) {
					t.Errorf("%q does not say %q", said, text)
				}
			}
			if !strings.Contains(strings.Join(p.Warnings, "\n"), test.other) {
				t.Errorf("warnings %q", p.Warnings)
			}
		})
	}
	t.Run("a range that holds the time", func(t *testing.T) {
		s := backups(t)
		s.Backups = s.Backups[2:]
		_, err := dump.New(dump.Options{}).Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: at(t, "2026-11-22T00:00:00Z"), Text: "T"}, nil)
		if err == nil || !strings.Contains(err.Error(), "surely from before T") || !strings.Contains(recovery.HintOf(err), "if that is early enough") {
			t.Errorf("error %v (%s)", err, recovery.HintOf(err))
		}
	})
	t.Run("nothing can be restored", func(t *testing.T) {
		s := backups(t)
		s.Backups = s.Backups[1:2]
		_, err := dump.New(dump.Options{}).Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, nil)
		if err == nil || !strings.Contains(err.Error(), "db/2026-11-21.sql, cannot be restored: it is cut off") {
			t.Errorf("error %v", err)
		}
	})
}

func TestPlan(t *testing.T) {
	s := backups(t)
	e := dump.New(dump.Options{})
	p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Plan(component, p, recovery.Target{ID: "live/database", Place: "/srv/pg"}); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("a plan into a live target: %v", err)
	}
	steps, err := e.Plan(component, p, recovery.Target{ID: "scratch/database", Scratch: true, Place: "/tmp/x"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i, st := range steps {
		ids = append(ids, st.ID+" "+st.Kind)
		if len(st.Writes) != 1 || st.Writes[0] != "scratch/database" || st.Component != "database" || st.MayPass {
			t.Errorf("step %+v", st)
		}
		if i > 0 && (len(st.After) != 1 || st.After[0] != steps[i-1].ID) {
			t.Errorf("step %s comes after %v", st.ID, st.After)
		}
	}
	if got := strings.Join(ids, ", "); got != "cluster dump.cluster, restore dump.restore, settle dump.settle" {
		t.Errorf("steps %s", got)
	}
	if g := steps[0].Guards; len(g) != 1 || g[0].Kind != recovery.GuardRoom || g[0].Bytes < 64<<20 {
		t.Errorf("guards %+v", g)
	}
}

// What a restore needs is known where the manifest beside the dump tells how large the database
// was; where nothing does, what it needs at least is asked for, and what it may need is told.
func TestPlan_room(t *testing.T) {
	const terabyte = 1_000_000_000_000
	const id = "db/shop-20261122T020000Z"
	dir := t.TempDir()
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := recovery.Manifest{ID: id + ".dump", System: "shop", Component: "database", Kind: recovery.Postgres, Engine: "dump", SourceBytes: terabyte / 2}
	record, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), recovery.ManifestsIn+"database/20261122T020000Z-dump.json", bytes.NewReader(record), storage.PutOptions{Size: int64(len(record))}); err != nil {
		t.Fatal(err)
	}
	e := dump.New(dump.Options{})
	for name, c := range map[string]struct {
		id, head    string
		least, most float64 // in terabytes, for an archive of 450 GB
	}{
		"recorded":               {id + ".dump", `{"form":"custom"}`, 1.004, 0},
		"not recorded":           {id + ".other", `{"form":"custom"}`, 1.354, 4.054},
		"a script, not recorded": {id + ".sql.gz", `{"form":"plain","packing":"gzip"}`, 0.904, 3.604},
		"a script in clear":      {id + ".sql", `{"form":"plain"}`, 0.679, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := recovery.Backup{ID: c.id, Component: "database", Copy: "nearby", Engine: "dump", Facts: []byte(c.head),
				Objects: []storage.Object{{Key: c.id, Size: 450_000_000_000}}, Taken: recovery.Span{From: at(t, "2026-11-22T02:00:00Z"), To: at(t, "2026-11-22T02:00:00Z")}}
			p, err := e.Resolve(t.Context(), recovery.Survey{Component: "database", Copy: "nearby", Engine: "dump", Backups: []recovery.Backup{b}},
				recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, store)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := e.Plan(component, p, recovery.Target{ID: "scratch/database", Scratch: true, Place: "/tmp/x"})
			if err != nil {
				t.Fatal(err)
			}
			g := steps[0].Guards[0]
			least, most := float64(g.Bytes)/terabyte, float64(g.Likely)/terabyte
			if math.Abs(least-c.least) > 0.001 || math.Abs(most-c.most) > 0.001 {
				t.Errorf("it needs %.3f TB at least and %.3f TB at most, want %.3f and %.3f", least, most, c.least, c.most)
			}
		})
	}
}

// crowded is a step's world whose disk fills up, and whose copy keeps it waiting.
type crowded struct{ recovery.Env }

var errFull = errors.New("there is too little free")

func (e crowded) Target(ctx context.Context, id recovery.TargetID) (recovery.Handle, error) {
	h, err := e.Env.Target(ctx, id)
	h.Room = func(int64) error { return errFull }
	return h, err
}

func (e crowded) Store(ctx context.Context, _ string) (storage.Store, error) {
	<-ctx.Done() // nothing else ends it
	return nil, context.Cause(ctx)
}

// crowding is an engine whose restores meet that world.
type crowding struct{ recovery.Engine }

func (e crowding) Kinds() []recovery.Kind {
	all := e.Engine.Kinds()
	for i, k := range all {
		if k.Name() == "dump.restore" {
			all[i] = crowdedKind{k}
		}
	}
	return all
}

type crowdedKind struct{ recovery.Kind }

func (k crowdedKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return k.Kind.Do(ctx, crowded{env}, s)
}

// A restore is ended before it fills the disk, on which something may live.
func TestRestore_endsBeforeFull(t *testing.T) {
	end, _ := run(t, enginetest.Options{Engine: crowding{dump.New(dump.Options{})}}, directory(t, map[string][]byte{"a.sql.gz": gz(t, dumpOf(t, "shop"))}))
	says, _ := enginetest.Failure(end)
	if end.Result != recovery.ResultFailed || !strings.Contains(says, "before the disk is full: "+errFull.Error()) {
		t.Errorf("the run ended as %s: %s", end.Result, says)
	}
}
