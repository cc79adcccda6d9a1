package report

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// Check is a check of the runbook and what was found. Shell blocks and items
// are steps, not checks.
type Check struct {
	Step      string `json:"step"`
	Stage     string `json:"stage"`
	Name      string `json:"name"`
	Component string `json:"component,omitempty"`
	// Query is what was asked: SQL for most.
	Query    string `json:"query"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Result is "held", "failed" or "not made", the last with Why.
	Result string    `json:"result"`
	Why    string    `json:"why,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// The results of a check.
const (
	Held    = "held"
	NotHeld = "failed"
	NotMade = "not made"
)

// isCheck reports whether a step checks something, whether or not it ran.
func isCheck(st *recovery.StepState) bool {
	return st.Kind != recovery.KindTicks && st.Kind != recovery.KindShell &&
		(st.Outcome.Check != nil || strings.HasPrefix(st.Kind, "check."))
}

func (s *source) checks() []Check {
	checks := []Check{}
	for i := range s.state.Steps {
		if st := &s.state.Steps[i]; isCheck(st) {
			checks = append(checks, s.check(st))
		}
	}
	return checks
}

func (s *source) check(st *recovery.StepState) Check {
	c := Check{Step: st.ID, Stage: s.stageName(st.Stage), Name: st.Says, Component: st.Component, At: st.Ended.UTC()}
	// What the plan says stands for a check that never ran.
	if st.Kind == recovery.KindSQLCheck {
		var args recovery.SQLCheckArgs
		if st.Decode(&args) == nil {
			c.Name, c.Component, c.Query, c.Expected = args.Name, args.On, args.Query, args.Expect
		}
	}
	if st.Kind == recovery.KindFilesCheck {
		var args recovery.FilesCheckArgs
		if st.Decode(&args) == nil {
			c.Name, c.Component, c.Query = args.Name, args.Files, args.Query
		}
	}
	if st.Kind == recovery.KindSoundCheck {
		var args recovery.SoundCheckArgs
		if st.Decode(&args) == nil {
			c.Name, c.Component = args.Name, args.On
		}
	}
	if st.Kind == recovery.KindHTTPCheck {
		var args recovery.HTTPCheckArgs
		if st.Decode(&args) == nil {
			c.Name, c.Query = args.Name, "GET "+args.URL
		}
	}
	found := st.Outcome.Check
	if found != nil {
		c.Name, c.Expected, c.Found = found.Name, found.Expected, found.Found
		if found.Query != "" {
			c.Query = found.Query
		}
	}
	switch {
	case found == nil && st.State == recovery.Done:
		c.Result, c.Why = NotMade, "the step ended without saying what it found"
	case found == nil:
		c.Result, c.Why = NotMade, whyNot(st)
	case found.Held && st.State == recovery.Done:
		c.Result = Held
	default:
		c.Result, c.Why = NotHeld, st.Error
	}
	return c
}

// whyNot says why a step did not come to its end.
func whyNot(st *recovery.StepState) string {
	switch {
	case st.Error != "":
		return st.Error
	case st.Why != "":
		return st.Why
	case st.WaitsFor != "":
		return "it waits for a person"
	case st.Started.IsZero():
		return "the run has not come to it"
	}
	return "it was under way"
}

// notDone lists what the runbook holds and the plan left out, the checks that
// were not made, the steps that did not run, and the items that nobody did.
func (s *source) notDone(r *Report) []NotDone {
	out := []NotDone{}
	for _, n := range s.plan.NotExecuted {
		kind := "runbook"
		if n.Check {
			kind = "check"
		}
		out = append(out, NotDone{Kind: kind, Stage: n.Stage, What: n.What, Why: n.Why, Line: n.Line})
	}
	unmade := map[string]string{}
	for _, c := range r.Checks {
		if c.Result == NotMade {
			unmade[c.Step] = c.Why
		}
	}
	for i := range s.state.Steps {
		st := &s.state.Steps[i]
		n := NotDone{Stage: s.stageName(st.Stage), What: st.Says, Line: st.Line}
		if why, ok := unmade[st.ID]; ok {
			n.Kind, n.Why = "check", why
			out = append(out, n)
			continue
		}
		switch st.State {
		case recovery.Done, recovery.Passed, recovery.FailedAt:
		default:
			n.Kind, n.Why = "step", whyNot(st)
			out = append(out, n)
			continue
		}
		for _, t := range st.Ticks {
			if t.How == "" {
				out = append(out, NotDone{Kind: "item", Stage: n.Stage, What: t.Text, Why: "nobody decided it", Line: st.Line})
			}
		}
	}
	for _, c := range r.Moment.Components {
		if c.Reached == nil {
			out = append(out, NotDone{Kind: "check", What: fmt.Sprintf("that %s stands at its moment", c.Component),
				Why: "no step gave a proof of it"})
		}
	}
	return out
}
