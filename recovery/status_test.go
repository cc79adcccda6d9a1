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
