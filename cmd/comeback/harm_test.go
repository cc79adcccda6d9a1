package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// keptHarm are the warnings of a plan about harm that its moment keeps.
func keptHarm(p *recovery.Plan) []string {
	return slices.DeleteFunc(slices.Clone(p.Warnings), func(text string) bool { return !strings.Contains(text, recovery.KeepsHarm) })
}

// A plan for a moment that lies after a harm says which, of when, and how to go to before it; one
// for before it does not.
func TestPlan_keepsHarm(t *testing.T) {
	l, r, book := momentsRig(t)
	delete(r.environ, "DATABASE_URL") // a rehearsal asks no live server
	harm, drop := l.incident.Harm, l.incident.Drop
	before := fmt.Sprintf("the nearest moment before: --to before-xid:%d", harm.XID)
	for to, kept := range map[string]bool{
		fmt.Sprintf("before-xid:%d", harm.XID): false, fmt.Sprintf("after-xid:%d", harm.XID): true, fmt.Sprintf("after-xid:%d", drop.XID): true, "latest": true,
	} {
		says := keptHarm(r.planned(t, "rehearse", book, "--to", to, "--component", "database"))
		if !kept {
			if len(says) > 0 {
				t.Errorf("%s keeps no harm, and the plan says %q", to, says)
			}
			continue
		}
		if len(says) != 1 || !strings.HasPrefix(says[0], "database: "+recovery.KeepsHarm+harm.Time.UTC().Format("2006-01-02 15:04:05.000Z")+fmt.Sprintf(", xid %d: ", harm.XID)) ||
			!strings.Contains(says[0], "delete orders ") || !strings.HasSuffix(says[0], before) || strings.Contains(says[0], "and of 1 more commit") != (to != fmt.Sprintf("after-xid:%d", harm.XID)) {
			t.Errorf("%s: the plan says %q", to, says)
		}
	}
	got := r.run(t.Context(), "rehearse", book, "--to", fmt.Sprintf("after-xid:%d", harm.XID), "--plain")
	if !strings.Contains(got.out, "warning: database: "+recovery.KeepsHarm) {
		t.Errorf("it is not told:\n%s\n%s", got.out, got.err)
	}
}

// surveyed opens a runbook and looks what its copies hold.
func surveyed(t *testing.T, r *rig, path string) (*app, *book, catalogue.Catalogue) {
	t.Helper()
	a := r.app(io.Discard, io.Discard)
	b, _, err := a.open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, b, cat
}

// Of a backup that has no log of its own the log of the same database tells.
func TestWarnOfHarm_ofABackup(t *testing.T) {
	l, r, book := momentsRig(t)
	a, b, cat := surveyed(t, r, book)
	for _, c := range []struct {
		taken time.Time
		harms int
	}{{l.incident.Harm.Time.Add(-time.Millisecond), 0}, {l.incident.Drop.Time.Add(time.Millisecond), 1}, {time.Time{}, 0}} {
		m := recovery.Moment{Anchor: "database", Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "dump", Time: c.taken, Warnings: []string{"a dump is one moment"}}}}
		points := m.Points
		a.logs(b, cat).WarnOfHarm(t.Context(), &m, nil)
		says := slices.DeleteFunc(slices.Clone(m.Points[0].Warnings), func(text string) bool { return !strings.HasPrefix(text, recovery.KeepsHarm) })
		if len(says) != c.harms || len(m.Points[0].Warnings) != 1+c.harms || len(points[0].Warnings) != 1 {
			t.Errorf("of a dump of %s it says %q", c.taken, m.Points[0].Warnings)
		}
	}
}

// What cannot be read of the log is said, and refuses nothing.
func TestWarnOfHarm_unread(t *testing.T) {
	_, r, book := momentsRig(t)
	a, b, cat := surveyed(t, r, book)
	m := recovery.Moment{Anchor: "database", Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "pitr", Timeline: 1, Time: time.Now(), Facts: []byte("{")}}}
	a.logs(b, cat).WarnOfHarm(t.Context(), &m, nil)
	if says := m.Points[0].Warnings; len(says) != 1 || !strings.HasPrefix(says[0], "whether it keeps harm of the day before is not known: ") {
		t.Errorf("it says %q", says)
	}
}
