package recovery_test

import (
	"testing"

	"comeback/recovery"
)

// Of two switches the one that is open stays, and the one that is not is given back.
func TestState_StoppingSays_oneIsOpen(t *testing.T) {
	p := switching()
	p.Steps = append(p.Steps, recovery.Step{ID: "uploads", Says: "uploads", Component: "uploads", Phase: recovery.Exchange})
	uploads := recovery.Resource{Kind: "exchange of trees", ID: "/srv/uploads"}
	payloads := []recovery.Payload{recovery.RunStarted{Run: "7c31", Mode: recovery.Recovery, Operator: "ops1"}}
	for _, step := range []string{"fence", "exchange", "open"} {
		payloads = append(payloads, recovery.StepStarted{Step: step, Attempt: 1}, recovery.StepFinished{Step: step})
	}
	payloads = append(payloads, recovery.StepStarted{Step: "uploads", Attempt: 1}, recovery.ClaimMade{Step: "uploads", Resource: uploads})
	s := fold(recovery.NewState(p), journalOf(t, payloads...))
	if says := s.StoppingSays(); says != "gives back what is not open yet, and leaves the rest switched" {
		t.Errorf("stopping %q", says)
	}
	if says := p.StoppedSays(&s, nil); says != "INTERRUPTED" {
		t.Errorf("it ends %q", says)
	}
}

// How the report of a stopped run begins follows from where it is stopped.
func TestState_StoppedSays(t *testing.T) {
	for _, c := range []struct {
		name    string
		phase   recovery.Phase // of a step behind the switch
		refused bool
		stopped string
		here    string
	}{
		{name: "what is checked", stopped: "INTERRUPTED", here: "FAILED"},
		{name: "what a guard refuses", refused: true, stopped: "INTERRUPTED", here: "REFUSED BY A GUARD"},
		{name: "what backs it up", phase: recovery.Protect, stopped: "CAME BACK WITH EXCEPTIONS", here: "CAME BACK WITH EXCEPTIONS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := switching()
			p.Steps = append(p.Steps, recovery.Step{ID: "last", Says: "the last", Phase: c.phase})
			payloads := []recovery.Payload{recovery.RunStarted{Run: "7c31", Mode: recovery.Recovery, Operator: "ops1"}}
			for _, step := range []string{"fence", "exchange", "open"} {
				payloads = append(payloads, recovery.StepStarted{Step: step, Attempt: 1}, recovery.StepFinished{Step: step})
			}
			fails := recovery.StepFailed{Step: "last", Error: "it does not answer", Exit: recovery.Failed}
			if c.refused {
				fails.Exit = recovery.Refused
			}
			s := fold(recovery.NewState(p), journalOf(t, append(payloads, recovery.StepStarted{Step: "last", Attempt: 1}, fails, recovery.Waiting{Step: "last", For: recovery.WaitDecision})...))
			if says := p.StoppedSays(&s, nil); says != c.stopped {
				t.Errorf("stopped anywhere it ends %q, want %q", says, c.stopped)
			}
			if says := p.StoppedSays(&s, s.Step("last")); says != c.here {
				t.Errorf("stopped there it ends %q, want %q", says, c.here)
			}
		})
	}
}
