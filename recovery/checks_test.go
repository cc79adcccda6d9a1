package recovery_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// What is still to come has not failed, and what was left out was neither.
func TestState_ChecksStand(t *testing.T) {
	check := func(held bool) recovery.Outcome {
		return recovery.Outcome{Check: &recovery.CheckResult{Name: "orders", Held: held}}
	}
	p := &recovery.Plan{Run: "7c31", Mode: recovery.Rehearsal, Stages: []recovery.Stage{{Name: "Check"}}}
	for _, id := range []string{"1", "2", "3", "4"} {
		p.Steps = append(p.Steps, recovery.Step{ID: id, Kind: recovery.KindSQLCheck, Says: "check " + id})
	}
	p.Steps = append(p.Steps, recovery.Step{ID: "smoke", Kind: recovery.KindShell, Says: "smoke test"}, recovery.Step{ID: "ticks", Kind: recovery.KindTicks, Says: "tick"})
	held := func(id string) []recovery.Payload {
		return []recovery.Payload{recovery.StepStarted{Step: id, Attempt: 1}, recovery.StepFinished{Step: id, Outcome: check(true)}}
	}
	fails := func(id string) []recovery.Payload {
		return []recovery.Payload{recovery.StepStarted{Step: id, Attempt: 1}, recovery.StepFailed{Step: id, Error: "0 rows", Outcome: check(false)}, recovery.Waiting{Step: id, For: recovery.WaitDecision}}
	}
	goesOn := func(id string) []recovery.Payload {
		return []recovery.Payload{recovery.Decided{Step: id, Choice: recovery.ChooseContinue, Reason: "it is known", By: "ops1"}}
	}
	skipped := func(id string) []recovery.Payload {
		return []recovery.Payload{recovery.StepSkipped{Step: id, Why: "the run was stopped"}}
	}
	ended := []recovery.Payload{recovery.RunEnded{Result: recovery.ResultFailed}}
	for name, c := range map[string]struct {
		events [][]recovery.Payload
		want   string
	}{
		"nothing has begun":          {nil, "0 of 4 held, 4 still to come"},
		"two held, the others come":  {[][]recovery.Payload{held("1"), held("2")}, "2 of 4 held, 2 still to come"},
		"one runs":                   {[][]recovery.Payload{held("1"), {recovery.StepStarted{Step: "2", Attempt: 1}}}, "1 of 4 held, 3 still to come"},
		"one failed":                 {[][]recovery.Payload{held("1"), fails("2")}, "1 of 4 held, 1 FAILED, 2 still to come"},
		"one is tried again":         {[][]recovery.Payload{fails("1"), {recovery.Decided{Step: "1", Choice: recovery.ChooseRetry}, recovery.StepStarted{Step: "1", Attempt: 2}}}, "0 of 4 held, 4 still to come"},
		"gone on without one":        {[][]recovery.Payload{fails("1"), goesOn("1"), held("2"), held("3"), held("4")}, "3 of 4 held, 1 FAILED"},
		"stopped":                    {[][]recovery.Payload{held("1"), fails("2"), skipped("3"), skipped("4"), ended}, "1 of 4 held, 1 FAILED, 2 left out"},
		"ended and nobody knows why": {[][]recovery.Payload{held("1"), ended}, "1 of 4 held, 3 never made"},
		"all held":                   {[][]recovery.Payload{held("1"), held("2"), held("3"), held("4")}, "4 of 4 held"},
		"a block and items are none": {[][]recovery.Payload{held("1"), {recovery.StepStarted{Step: "smoke", Attempt: 1}, recovery.StepFailed{Step: "smoke", Error: "no"}}}, "1 of 4 held, 3 still to come"},
		"one waits for a credential": {[][]recovery.Payload{{recovery.StepStarted{Step: "1", Attempt: 1}, recovery.Waiting{Step: "1", For: recovery.WaitCredentials}}}, "0 of 4 held, 4 still to come"},
	} {
		t.Run(name, func(t *testing.T) {
			payloads := []recovery.Payload{recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1"}}
			for _, more := range c.events {
				payloads = append(payloads, more...)
			}
			s := fold(recovery.NewState(p), journalOf(t, payloads...))
			if says := s.ChecksStand(); says != c.want {
				t.Errorf("the checks stand %q, want %q", says, c.want)
			}
			if held, all := s.Checks(); all != 4 || !strings.HasPrefix(c.want, string(rune('0'+held))+" of 4 held") {
				t.Errorf("%d of %d held", held, all)
			}
			if text := recovery.Status(p, &s, true, now.Add(time.Hour)); !strings.Contains(text, "CHECKS  "+c.want+"\n") {
				t.Errorf("the status does not say %q:\n%s", c.want, text)
			}
		})
	}
}
