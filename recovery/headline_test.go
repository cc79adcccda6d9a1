package recovery

import "testing"

// One headline for every front end and the report; one that nothing was checked for says so.
func TestPlan_Headline(t *testing.T) {
	check := func(held bool) StepState {
		return StepState{Step: Step{ID: "check", Kind: KindSQLCheck}, State: Done, Outcome: Outcome{Check: &CheckResult{Held: held}}}
	}
	restore := StepState{Step: Step{ID: "restore", Kind: "files.restore"}, State: Done}
	for want, c := range map[string]struct {
		plan  Plan
		state State
	}{
		"NOT ENDED":                                {Plan{Mode: Recovery}, State{}},
		"CAME BACK, EVERY CHECK HELD":              {Plan{Mode: Recovery}, State{Result: ResultPassed, Steps: []StepState{restore, check(true)}}},
		"CAME BACK, BUT NOTHING WAS CHECKED":       {Plan{Mode: Recovery}, State{Result: ResultPassed, Steps: []StepState{restore}}},
		"REHEARSED, BUT NOTHING WAS CHECKED":       {Plan{Mode: Rehearsal}, State{Result: ResultPassed, Steps: []StepState{restore}}},
		"REHEARSED, BUT ONLY 1 OF 2 CHECKS HELD":   {Plan{Mode: Rehearsal}, State{Result: ResultPassed, Steps: []StepState{check(true), check(false)}}},
		"ENDED, BUT ITS JOURNAL IS NOT UNDERSTOOD": {Plan{Mode: Rehearsal}, State{Result: ResultPassed, Steps: []StepState{check(true)}, Unknown: []string{"event 3"}}},
		"REHEARSED WITH EXCEPTIONS":                {Plan{Mode: Rehearsal}, State{Result: ResultExceptions, Steps: []StepState{check(true)}}},
		"SWITCHED BACK":                            {Plan{Mode: Recovery, Parent: "7c31"}, State{Result: ResultPassed, Steps: []StepState{restore}, Old: []Old{{}}}},
		"REMOVED":                                  {Plan{Mode: Recovery, Expires: []Old{{}}}, State{Result: ResultPassed, Steps: []StepState{restore}}},
		"GIVEN BACK":                               {Plan{Mode: Recovery, GivesBack: []Resource{{}}}, State{Result: ResultPassed, Steps: []StepState{restore}}},
		"NOT ALL GIVEN BACK":                       {Plan{Mode: Recovery, GivesBack: []Resource{{}}}, State{Result: ResultExceptions, Steps: []StepState{restore}}},
		"FAILED":                                   {Plan{}, State{Result: ResultFailed}},
		"REFUSED BY A GUARD":                       {Plan{}, State{Result: ResultRefused}},
		"INTERRUPTED":                              {Plan{}, State{Result: ResultInterrupted}},
	} {
		if got := c.plan.Headline(&c.state); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (&State{Steps: []StepState{restore}}).ChecksSay(); got != "nothing was checked" {
		t.Errorf("without a check: %s", got)
	}
}
