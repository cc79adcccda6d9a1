package dump_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/dump"
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
