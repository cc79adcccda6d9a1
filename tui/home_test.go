package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// Line 23 of the first screen says what became of live by the recovery that this
// console has shown, and not what somebody has done over since.
func TestHome_Live(t *testing.T) {
	ours := KnownRun{ID: "0787", System: "shop", Mode: recovery.Recovery, Live: "rows changed 20:26:28, all else as it was", Ended: ten}
	later := func(run KnownRun, live string) KnownRun { run.ID, run.Live = "73ed", live; return run }
	other := KnownRun{ID: "11aa", System: "wiki", Mode: recovery.Recovery, Live: "switched 21:00:00", Ended: ten}
	rehearsed := KnownRun{ID: "23ea", System: "shop", Mode: recovery.Rehearsal, Ended: ten}
	open := later(ours, "being switched")
	open.Ended = open.Started
	for name, test := range map[string]struct {
		runs []KnownRun
		want string
	}{
		"nothing was looked at":             {[]KnownRun{other, rehearsed}, "LIVE: untouched by this console"},
		"ours":                              {[]KnownRun{other, rehearsed, ours}, "LIVE: shop rows changed 20:26:28, all else as it was, run 0787"},
		"somebody has switched since":       {[]KnownRun{rehearsed, later(ours, "switched 20:52:53, open 20:52:53"), ours}, "LIVE: shop switched 20:52:53, open 20:52:53, run 73ed"},
		"somebody was refused since":        {[]KnownRun{later(ours, "untouched"), ours}, "LIVE: shop rows changed 20:26:28, all else as it was, run 0787"},
		"one that has not ended goes first": {[]KnownRun{open, ours}, "LIVE: shop being switched, run 73ed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &model{ending: Ending{Run: "0787"}}
			if got, _ := (&homeScreen{m: m, runs: test.runs}).live(); got != test.want {
				t.Errorf("it says %q", got)
			}
		})
	}
}

// The lists stand on the screen while runs of other hosts are looked for, each system
// once, and what came is on it then.
func TestHome_Fetch(t *testing.T) {
	came := make(chan bool)
	desk := &fakeDesk{systems: []System{{Name: "shop", Runbook: "/etc/shop.md"}, {Name: "wiki", Runbook: "/etc/wiki.md"}, {Name: "bad", Runbook: "/etc/bad.md", Problems: []Problem{{What: "no"}}}}}
	desk.fetch = func(runbook string) (bool, error) {
		if !<-came {
			return false, errors.New("the copy does not answer")
		}
		desk.mu.Lock()
		defer desk.mu.Unlock()
		desk.systems = slices.Clone(desk.systems)
		desk.systems[0].Proof = "23 Nov 2026, run 4f2a"
		desk.runs = []KnownRun{{ID: "4f2a", System: "shop", Mode: recovery.Rehearsal, State: "rehearsed, report signed, on backup1", Ended: ten}}
		return true, nil
	}
	d := drive(t, desk, Options{})
	d.sees("wiki") // while the first answer is awaited
	if strings.Contains(d.screen(), "4f2a") {
		t.Error("a run is shown before it came")
	}
	came <- true
	d.sees("on backup1")
	d.sees("23 Nov 2026, run 4f2a")
	came <- false
	d.sees("wiki")
	desk.mu.Lock()
	defer desk.mu.Unlock()
	if want := []string{"/etc/shop.md", "/etc/wiki.md"}; !slices.Equal(desk.fetches, want) {
		t.Errorf("looked for in %q, want %q", desk.fetches, want)
	}
}

// A moment of another year does not read as one of this year, and a look by a clock that was
// ahead is no answer until that time has come.
func TestHome_otherYears(t *testing.T) {
	s := System{Saves: Saves{Answer: SavesYes, Checked: ten.Add(-time.Hour)}}
	for to, want := range map[time.Time]string{ten.AddDate(-1, 0, 0): ten.AddDate(-1, 0, 0).Format("2 Jan 2006"), ten.AddDate(0, 0, -1): ten.AddDate(0, 0, -1).Format("2 Jan 15:04")} {
		s.Saves.To = to
		if got := reachOf(s, ten).text; got != want {
			t.Errorf("restorable to %s is told as %q, want %q", to, got, want)
		}
	}
	if got := savesOf(s, ten).text; got != "yes" {
		t.Errorf("looked an hour ago: %q", got)
	}
	s.Saves.Checked = ten.AddDate(1, 0, 0)
	if got := savesOf(s, ten).text; !strings.HasPrefix(got, "unknown: looked") {
		t.Errorf("looked in a year: %q", got)
	}
}
