package pitr

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
)

// After a switch back the newer timeline is marked: latest is taken from the one
// that goes on, the survey says why, whoever names the other still gets it, and a
// later mark takes that back.
func TestMarkTimeline(t *testing.T) {
	l := source.get(t)
	c, marks := copyFork(t, "plain", "zstd")
	e := testEngine(t)
	s := survey(t, c.store, database)
	note := func(dead bool, run string, at time.Time) {
		t.Helper()
		marked, err := e.(recovery.TimelineMarker).MarkTimeline(t.Context(), database, c.store,
			recovery.TimelineMark{System: s.Backups[0].Details["system identifier"], Timeline: 2, Dead: dead, Run: run, At: at})
		if err != nil || !marked {
			t.Fatalf("marked %v, %v", marked, err)
		}
	}
	now := time.Now()
	note(true, "7c31", now)
	note(true, "7c31", now) // a step may be repeated
	s = survey(t, c.store, database)
	if slices.ContainsFunc(s.Windows, func(w recovery.Window) bool { return w.Timeline == 2 }) {
		t.Errorf("windows on timeline 2: %+v", s.Windows)
	}
	if p := mustResolve(t, c.store, s, "latest"); p.Timeline != 1 || p.Kept.XID != l.mark(t, "order 20").xid {
		t.Errorf("latest: %+v", p)
	}
	if !slices.ContainsFunc(s.Findings, func(f recovery.Finding) bool {
		return strings.Contains(f.Says, "timeline 2 was left with run 7c31") && strings.Contains(f.Do, "timeline: 2")
	}) {
		t.Errorf("findings: %+v", s.Findings)
	}
	if p := mustResolve(t, c.store, survey(t, c.store, inTimeline("2")), "latest"); p.Timeline != 2 || p.Kept.XID != marks[1].xid {
		t.Errorf("asked for timeline 2: %+v", p)
	}
	note(false, "8d42", now.Add(time.Second))
	if p := mustResolve(t, c.store, survey(t, c.store, database), "latest"); p.Timeline != 2 {
		t.Errorf("alive again: %+v", p)
	}
	if marked, err := e.(recovery.TimelineMarker).MarkTimeline(t.Context(), database, c.store, recovery.TimelineMark{System: "1", Timeline: 2, Dead: true, Run: "9", At: now}); marked || err != nil {
		t.Errorf("the log of another cluster: marked %v, %v", marked, err)
	}
}

// What lies on a timeline that was left is no damage: it stays as long as the policy says,
// also where something newer can be restored.
func TestMarkTimeline_retained(t *testing.T) {
	c, _ := copyFork(t, "gzip", "zstd")
	e := testEngine(t)
	s := survey(t, c.store, database)
	marked, err := e.(recovery.TimelineMarker).MarkTimeline(t.Context(), database, c.store,
		recovery.TimelineMark{System: s.Backups[0].Details["system identifier"], Timeline: 1, Dead: true, Run: "7c31", At: time.Now()})
	if err != nil || !marked {
		t.Fatalf("marked %v, %v", marked, err)
	}
	s = survey(t, c.store, database)
	dead, alive := s.Backups[1], s.Backups[0] // the last was made on timeline 1 after the fork
	if dead.ID != "base/zstd" || !dead.Left || dead.Problem == "" || dead.Damaged || alive.Left || alive.Problem != "" {
		t.Fatalf("%+v, %+v", dead, alive)
	}
	// As if the one that goes on were taken six days after it.
	later := dead.Taken.Last().AddDate(0, 0, 6)
	s.Backups[0].Taken = recovery.Span{From: later, To: later}
	for i := range s.Backups[0].Objects {
		s.Backups[0].Objects[i].Modified = later
	}
	for days, want := range map[int]bool{7: true, 1: false} {
		for _, k := range backup.Retain(s, backup.Keep{Daily: days}, later.UTC(), nil, nil) {
			if k.ID == dead.ID && (len(k.Why) > 0) != want {
				t.Errorf("%d daily: kept for %q", days, k.Why)
			}
		}
	}
}
