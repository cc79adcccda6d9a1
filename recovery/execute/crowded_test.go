package execute_test

import (
	"fmt"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// Of many checks four of a component are made at a time, each has its turn, and what is no
// check of the component waits for none of them.
func TestRun_manyChecks(t *testing.T) {
	const many = 60
	var steps []recovery.Step
	for i := range many {
		s := step(fmt.Sprint(i), recovery.KindSQLCheck)
		s.Component, s.MayPass = "db", true
		steps = append(steps, s)
	}
	other, rest := step("other", recovery.KindSQLCheck), step("rest", "ok")
	other.Component, rest.Component = "ledger", "db"
	steps = append(steps, other, rest)
	under, most, first := map[string]bool{}, 0, 0
	r := newRig(t, []recovery.Kind{kind{recovery.KindSQLCheck, ok}, kind{"ok", ok}}, func(p *recovery.Plan, o *execute.Options) {
		o.Event = func(e recovery.Event) {
			switch p, _ := e.Payload(); p := p.(type) {
			case recovery.StepStarted:
				under[p.Step] = true
				most = max(most, len(under))
			case recovery.StepFinished:
				if first == 0 {
					first = len(under)
				}
				delete(under, p.Step)
			}
		}
	}, steps...)
	s := r.run(t)
	if s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if most != 4+2 || first != 4+2 {
		t.Errorf("%d were under way at once, %d at first; four checks of the database, and two others", most, first)
	}
	for _, st := range s.Steps {
		if st.State != recovery.Done {
			t.Errorf("%s is %s", st.ID, st.State)
		}
	}
}
