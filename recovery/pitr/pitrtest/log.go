package pitrtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// Subject is a program that keeps a cluster, as the suite Log looks at what it has archived.
type Subject struct {
	*Kept
	// Engine reads what the program keeps, also what it has encrypted.
	Engine recovery.Engine
	// Sealed is the cluster in the repository that lies in sealed, encrypted.
	Sealed recovery.Component
	// Damaged is a copy of the repository that lies in plain, of the test's own, and the
	// cluster in it.
	Damaged func(t *testing.T) (dir string, c recovery.Component)
	// Segments matches the files of segments below a repository. Their names begin with
	// the names of the segments.
	Segments string
}

// Log is what every form promises of the log that its program has archived.
func Log(t *testing.T, s Subject) {
	t.Run("scan", s.scans)
	t.Run("missing segment", s.missing)
	t.Run("damaged segment", s.damaged)
}

// What each transaction did is read, and what going back loses is counted.
func (s Subject) scans(t *testing.T) {
	store := s.Store(t, "sealed")
	survey := Surveyed(t, s.Engine, s.Sealed, store)
	o := s.CheckIncident(t, s.Engine, s.Sealed, store, survey)
	loss, err := s.Engine.(recovery.Loser).Loss(t.Context(), o, Resolved(t, s.Engine, survey, store, fmt.Sprintf("before-xid:%d", s.Incident)))
	if err != nil || loss.Commits < 3 {
		t.Errorf("lost are %+v, %v", loss, err)
	}
}

// It is a gap of the window: what is before it can be gone to, what is behind it not.
func (s Subject) missing(t *testing.T) {
	dir, c := s.Damaged(t)
	store, all := s.Store(t, dir), s.segments(t, dir)
	lost := all[len(all)-3]
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	survey := Surveyed(t, s.Engine, c, store)
	w := survey.Windows[len(survey.Windows)-1]
	if len(w.Gaps) != 1 || w.Gaps[0].Object != segment(lost) || w.Gaps[0].Why != "missing" {
		t.Fatalf("the gaps are %+v, %s is missing", w.Gaps, segment(lost))
	}
	if p := Resolved(t, s.Engine, survey, store, "latest"); p.Stop >= w.Gaps[0].From {
		t.Errorf("the latest point is %s, and the log is missing from %s on", p.Stop, w.Gaps[0].From)
	}
	behind := recovery.Want{Kind: recovery.WantLSN, LSN: w.Gaps[0].To + 1000, Text: "behind it"}
	if _, err := s.Engine.Resolve(t.Context(), survey, behind, store); err == nil || !strings.Contains(err.Error(), segment(lost)) || recovery.HintOf(err) == "" {
		t.Errorf("behind the gap: %v (%s)", err, recovery.HintOf(err))
	}
	s.unread(t, c, store, survey, lost)
}

// No list tells of bytes that changed behind the program's back: they are found when they
// are read.
func (s Subject) damaged(t *testing.T) {
	dir, c := s.Damaged(t)
	store, all := s.Store(t, dir), s.segments(t, dir)
	bad := all[len(all)-5]
	b, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	if err := os.WriteFile(bad, b, 0o600); err != nil { // it stays its owner's
		t.Fatal(err)
	}
	survey := Surveyed(t, s.Engine, c, store)
	if w := survey.Windows[len(survey.Windows)-1]; len(w.Gaps) > 0 {
		t.Errorf("the gaps are %+v, and all segments are there", w.Gaps)
	}
	s.unread(t, c, store, survey, bad)
}

// unread wants a scan of all of the log to end with what says that a segment was not read.
func (s Subject) unread(t *testing.T, c recovery.Component, store storage.Store, survey recovery.Survey, path string) {
	t.Helper()
	read, unread := 0, error(nil)
	for _, err := range s.Engine.(recovery.Scanner).Scan(t.Context(), recovery.ScanOptions{Component: c, Store: store, Survey: survey}) {
		if unread != nil {
			t.Errorf("the scan went on behind %v", unread)
		}
		if unread = err; err == nil {
			read++
		}
	}
	if read == 0 || unread == nil || !strings.Contains(unread.Error(), segment(path)) || recovery.HintOf(unread) == "" {
		t.Errorf("with %s as it is, %d transactions were read, and then: %v (%s)", segment(path), read, unread, recovery.HintOf(unread))
	}
}

// segments are the files of the whole segments in a repository, the oldest first.
func (s Subject) segments(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(s.Path(dir), s.Segments))
	if err != nil || len(all) < 8 {
		t.Fatalf("%d segments, %v", len(all), err)
	}
	slices.Sort(all)
	return all
}

// segment is the name of the segment that a file holds.
func segment(path string) string { return filepath.Base(path)[:24] }

// CheckIncident wants a scan of the moment of the incident to tell what it did, and gives
// what it scanned.
func (s *Kept) CheckIncident(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store, survey recovery.Survey) recovery.ScanOptions {
	t.Helper()
	o := recovery.ScanOptions{Component: c, Store: store, Survey: survey, Span: recovery.Span{From: s.IncidentAt, To: s.IncidentAt}}
	var deleted int64
	for tx, err := range e.(recovery.Scanner).Scan(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		if tx.XID == s.Incident {
			for _, table := range tx.Tables {
				deleted += table.Deleted
			}
		}
	}
	if deleted != 4 {
		t.Errorf("the incident deleted %d rows, by the log", deleted)
	}
	return o
}
