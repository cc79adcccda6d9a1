package recovery_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

func TestStatus(t *testing.T) {
	p := plan()
	p.Moment.Points = []recovery.Point{{Component: "db", Lost: recovery.Commit{Time: now}}}
	for i := range p.Steps {
		p.Steps[i].Expected = recovery.Duration(time.Minute)
	}
	status := func(alive bool, payloads ...recovery.Payload) string {
		s := recovery.NewState(p)
		for _, e := range journalOf(t, payloads...) {
			s = recovery.Fold(s, e)
		}
		return recovery.Status(p, &s, alive, now.Add(10*time.Minute))
	}
	started := recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1", Host: "db1"}
	for name, test := range map[string]struct {
		got  string
		want []string
	}{
		"running": {status(true, started, recovery.StepStarted{Step: "db.copy", Attempt: 1}), []string{"run 7c31: running, stage 1", "by ops1 on db1", "BACK    about ", "NEXT    update at",
			"for real db would lose everything from 2026-11-23T02:50:12+01:00 on"}},
		"waiting": {status(true, started, recovery.StepStarted{Step: "2.1", Attempt: 1}, recovery.Waiting{Step: "2.1", For: recovery.WaitTicks}),
			[]string{"WAITS for ticks of ops1 since", "after the answer"}},
		"died":       {status(false, started, recovery.StepStarted{Step: "db.copy", Attempt: 1}), []string{"its runner died", "comeback resume 7c31"}},
		"taken over": {status(true, started, recovery.LeaseTaken{By: "ops2", From: "ops1", Reason: "asleep"}), []string{"BY      ops2 commands it since"}},
		"failed": {status(true, started, recovery.StepStarted{Step: "db.copy", Attempt: 1}, recovery.StepFailed{Step: "db.copy", Error: "the bucket is gone"}),
			[]string{"FAILED", "the bucket is gone"}},
		"ended": {status(false, started, recovery.RunEnded{Result: recovery.ResultPassed, Says: "all well"}), []string{"ended, passed", "ENDED   02:50", "RESULT  passed: all well"}},
	} {
		for _, want := range test.want {
			if !strings.Contains(test.got, want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, test.got)
			}
		}
		if strings.Contains(test.got, " \n") {
			t.Errorf("%s: blanks at the end of a line:\n%q", name, test.got)
		}
	}
}

// Once the system is open it is down no more: what is pasted says for how long it was, and
// when, with the day where that is another one than the reader's.
func TestStatus_wasDown(t *testing.T) {
	p := plan()
	p.Mode, p.Targets = recovery.Recovery, []recovery.Target{{ID: "live/db", Place: "db1/shop"}}
	p.Steps = []recovery.Step{
		{ID: "db.switch", Kind: "k", Says: "switch", Writes: []recovery.TargetID{"live/db"}, Phase: recovery.Open},
		{ID: "db.protect", Kind: "k", Says: "back it up again", Phase: recovery.Protect},
	}
	began := now.Add(-20 * time.Minute)
	status := func(after time.Duration, payloads ...recovery.Payload) string {
		s := recovery.NewState(p)
		for _, e := range journalOf(t, append([]recovery.Payload{recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Recovery, Operator: "ops1", Host: "db1"},
			recovery.OutageNoted{Since: began, How: "known"}, recovery.StepStarted{Step: "db.switch", Attempt: 1}}, payloads...)...) {
			s = recovery.Fold(s, e)
		}
		return recovery.Status(p, &s, true, now.Add(after))
	}
	open := []recovery.Payload{recovery.StepFinished{Step: "db.switch"}, recovery.StepStarted{Step: "db.protect", Attempt: 1}}
	ended := append(open, recovery.StepFinished{Step: "db.protect"}, recovery.RunEnded{Result: recovery.ResultPassed, Says: "came back"})
	clock := func(layout string, t time.Time) string { return t.Format(layout + "15:04:05Z07:00") }
	opened := now.Add(3 * time.Second)
	for name, row := range map[string]struct {
		got, want string
		down      bool
	}{
		"not open yet":     {status(time.Minute), "SINCE   down since " + clock("", began) + ", known, 21m00 ago\n", true},
		"not since a day":  {status(25 * time.Hour), "SINCE   down since " + clock("2 Jan ", began) + ", known, 25h20m ago\n", true},
		"open, and busy":   {status(time.Minute, open...), "SINCE   was down 20m03, " + clock("", began) + " to " + clock("", opened) + ", known\n", false},
		"hours later":      {status(5*time.Hour, ended...), "SINCE   was down 20m03, " + clock("", began) + " to " + clock("", opened) + ", known\n", false},
		"on the next day":  {status(25*time.Hour, ended...), "SINCE   was down 20m03, " + clock("2 Jan ", began) + " to " + clock("2 Jan ", opened) + ", known\n", false},
		"in the next year": {status(365*24*time.Hour, ended...), "SINCE   was down 20m03, " + clock("2 Jan 2006 ", began), false},
	} {
		if !strings.Contains(row.got, row.want) || strings.Contains(row.got, "down since") != row.down {
			t.Errorf("%s: it does not say %q:\n%s", name, row.want, row.got)
		}
	}
}
