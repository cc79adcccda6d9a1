package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/tui"
)

// What a look into the copies found is kept for the consoles that come later,
// as long as the runbook is the one that was looked with.
func TestDesk_WouldItSaveUs(t *testing.T) {
	l, r := theShop(t), newRig(t)
	path := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, "")
	t.Chdir(filepath.Dir(path))
	system := func() tui.System {
		t.Helper()
		d := &desk{app: r.app(io.Discard, io.Discard)}
		list, err := d.Systems(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("the systems are %+v, %v", list, err)
		}
		return list[0]
	}
	if s := system().Saves; !s.Checked.IsZero() || s.Answer != tui.SavesUnknown {
		t.Errorf("before any look it is %+v", s)
	}
	d := &desk{app: r.app(io.Discard, io.Discard)}
	if _, err := d.Check(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	checked := system().Saves
	if checked.Checked.IsZero() || checked.Answer != tui.SavesYes || len(checked.Findings) == 0 {
		t.Errorf("after a check it is %+v", checked)
	}
	// A look at the copies alone finds less, and does not take that away.
	if _, err := d.Survey(t.Context(), path, func(tui.Access) {}); err != nil {
		t.Fatal(err)
	}
	if s := system().Saves; !s.Checked.After(checked.Checked) || !slices.Equal(s.Findings, checked.Findings) {
		t.Errorf("after a look that follows a check it is %+v", s)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), l.CopyURL(), "file:///nowhere", 1)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := system().Saves; s.Answer != tui.SavesUnknown || !strings.Contains(s.Why, "changed") {
		t.Errorf("of another runbook it is %+v", s)
	}
	if _, err := d.Check(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if s := system().Saves; s.Answer != tui.SavesUnknown || !strings.Contains(s.Why, "no access to nearby") || len(s.Findings) == 0 {
		t.Errorf("of a copy that is not there it is %+v", s)
	}
}

// What a look finds after a whole check stands beside what the check has found, and goes with
// the next look that does not find it.
func TestDesk_lookAfterCheck(t *testing.T) {
	t.Parallel()
	r, path := newRig(t), pictures(t)
	d := &desk{app: r.app(io.Discard, io.Discard)}
	b, _, err := d.app.open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	look := func(gap bool) catalogue.Catalogue {
		w := recovery.Window{Backup: "a", To: recovery.Instant{Time: d.app.now()}}
		if gap {
			w.Gaps = []recovery.Gap{{Object: "wal/7B", Why: "missing"}}
		}
		return catalogue.Catalogue{Surveys: []recovery.Survey{{Component: "uploads", Copy: "nearby", Backups: []recovery.Backup{{ID: "a", Taken: recovery.Span{To: d.app.now()}}}, Windows: []recovery.Window{w}}}}
	}
	found := func() []string {
		t.Helper()
		list, err := (&desk{app: d.app, named: path}).Systems(t.Context())
		if err != nil || len(list) != 1 || list[0].Saves.Answer != tui.SavesYes {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Saves.Findings
	}
	check := &recovery.Assessment{Findings: []recovery.Judgement{{ID: "kinds", Says: "the runbook says nothing of code"}}}
	if err := d.checked(b, look(false), check); err != nil {
		t.Fatal(err)
	}
	const gap = "the log in nearby has a gap: wal/7B is missing"
	for _, step := range []struct {
		gap  bool
		want []string
	}{{false, []string{check.Findings[0].Says}}, {true, []string{check.Findings[0].Says, gap}}, {true, []string{check.Findings[0].Says, gap}}, {false, []string{check.Findings[0].Says}}} {
		if err := d.checked(b, look(step.gap), nil); err != nil {
			t.Fatal(err)
		}
		if got := found(); !slices.Equal(got, step.want) {
			t.Errorf("after a look with a gap %v the findings are %q", step.gap, got)
		}
	}
	// What the check has told is not told twice.
	check.Findings = append(check.Findings, recovery.Judgement{ID: "gap/uploads/nearby", Says: "nearby: the log of uploads has a gap: wal/7B is missing; nothing after it can be reached"})
	if err := errors.Join(d.checked(b, look(true), check), d.checked(b, look(true), nil)); err != nil {
		t.Fatal(err)
	}
	if got := found(); len(got) != 2 {
		t.Errorf("a gap that the check has found is told as %q", got)
	}
	// A check of a clock that was a year ahead does not stand for a year.
	r.ahead = 365 * 24 * time.Hour
	if err := d.checked(b, look(false), check); err != nil {
		t.Fatal(err)
	}
	r.ahead = 0
	if err := d.checked(b, look(false), nil); err != nil {
		t.Fatal(err)
	}
	if got := found(); len(got) != 0 {
		t.Errorf("after a check of a year ahead, and a look of now: %q", got)
	}
}

func TestDesk_Ready(t *testing.T) {
	l, r := theShop(t), newRig(t)
	path := runbook(t, fmt.Sprintf("{url: %q}\n  gone: {url: \"file:///nowhere\"}", l.CopyURL()), nil, "")
	d := &desk{app: r.app(io.Discard, io.Discard)}
	if _, err := d.Survey(t.Context(), path, func(tui.Access) {}); err != nil {
		t.Fatal(err)
	}
	ready, err := d.Ready(t.Context(), path)
	if err != nil || len(ready.Copies) != 2 || len(ready.Room) != 1 {
		t.Fatalf("it is %+v, %v", ready, err)
	}
	if c := ready.Copies[0]; !strings.HasPrefix(c.Who, "user ") || c.Problem != "" || !c.Expires.IsZero() {
		t.Errorf("to nearby we are %+v", c)
	}
	if c := ready.Copies[1]; c.Who != "" || !strings.Contains(c.Problem, "/nowhere") {
		t.Errorf("to what is not there we are %+v", c)
	}
	if room := ready.Room[0]; room.Place != r.scratch || room.Needs == 0 || room.Free == 0 || room.Problem != "" {
		t.Errorf("the room is %+v", room)
	}
}
