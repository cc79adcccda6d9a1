package report

import (
	"fmt"

	"comeback/recovery"
)

// exceptions numbers everything that went otherwise than the runbook asks, in
// the order of the plan.
func (s *source) exceptions(r *Report) []Exception {
	out := []Exception{}
	add := func(e Exception) {
		e.Number = len(out) + 1
		out = append(out, e)
	}
	for i := range s.state.Steps {
		for _, e := range s.stepExceptions(&s.state.Steps[i]) {
			e.Step = s.state.Steps[i].ID
			add(e)
		}
	}
	for _, c := range r.Cleanup.Claims {
		// What a recovery leaves on purpose is what came back.
		if c.Released.IsZero() && !(c.OnPurpose && s.state.Mode == recovery.Recovery) {
			add(Exception{What: fmt.Sprintf("%s %s is still there", c.Kind, c.ID), Why: c.Kept, Step: c.Step})
		}
		if c.Spared != "" {
			add(Exception{What: c.Spared, Step: c.Step})
		}
	}
	if s.state.Mode == recovery.Rehearsal && !r.Isolation.ScratchOnly {
		add(Exception{What: "the rehearsal was not confined to scratch", Why: r.Isolation.Evidence[0]})
	}
	for _, e := range s.history.brokenAmendments() {
		add(e)
	}
	for _, lost := range s.lostArtifacts() {
		add(Exception{What: lost, Why: "it was changed or removed after its step had ended"})
	}
	for _, c := range s.clockSteps() {
		add(Exception{What: c.Says(), Why: "the times of events are those of the clock of the host: what lies between two of them is not known"})
	}
	for _, u := range s.state.Unknown {
		add(Exception{What: u, Why: "this version of comeback does not understand it"})
	}
	for _, u := range s.history.strange {
		add(Exception{What: u, Why: "a run's journal has no such event there"})
	}
	return out
}

func (s *source) stepExceptions(st *recovery.StepState) []Exception {
	var out []Exception
	if st.Kind == recovery.KindApproval && (st.State == recovery.Done || st.State == recovery.Passed) {
		if e, wrong := s.approvalException(st); wrong {
			out = append(out, e)
		}
		return out
	}
	switch st.State {
	case recovery.Skipped:
		if a := s.history.leftOut(st.ID); a != nil {
			out = append(out, Exception{What: "left out: " + st.Says, Why: a.Why, By: a.By})
		}
	case recovery.Passed:
		e := Exception{What: st.Says + ": " + st.Error, Why: st.Why}
		if st.Error == "" {
			e.What = "passed over: " + st.Says
		}
		for _, d := range st.Decisions {
			e.By = d.By
		}
		out = append(out, e)
	case recovery.FailedAt:
		out = append(out, Exception{What: st.Says + " failed", Why: st.Error})
	case recovery.Done:
		if c := st.Outcome.Check; c != nil && !c.Held {
			out = append(out, Exception{What: st.Says + ": the check did not hold", Why: "found " + c.Found + ", expected " + c.Expected})
		}
	}
	told := false
	for _, t := range st.Ticks {
		switch {
		case t.How == recovery.TickNotDone:
			out, told = append(out, Exception{What: "not done: " + t.Text, Why: t.Note, By: t.By}), true
		case t.How == recovery.TickTalkedThrough && s.state.Mode == recovery.Recovery:
			out = append(out, Exception{What: "only talked through: " + t.Text, Why: t.Note, By: t.By})
		}
	}
	if told {
		// The step's own exceptions are these items again, without the person.
		return out
	}
	for _, what := range st.Outcome.Exceptions {
		out = append(out, Exception{What: what, Why: "told by " + st.Says})
	}
	for _, what := range st.Outcome.Unprotected {
		out = append(out, Exception{What: "not protected: " + what, Why: "told by " + st.Says})
	}
	return out
}

// against lists every reason why the report does not pass.
func (s *source) against(r *Report) []string {
	out := []string{}
	switch {
	case !r.Ended():
		out = append(out, "the run has not ended")
	case r.Result != recovery.ResultPassed:
		out = append(out, fmt.Sprintf("the run ended as %q: %s", r.Result, r.Says))
	case r.Exit != recovery.CameBack:
		out = append(out, fmt.Sprintf("the run ended with exit %d", r.Exit))
	}
	if len(r.Steps) == 0 {
		out = append(out, "the plan has no steps")
	}
	for _, e := range r.Exceptions {
		out = append(out, fmt.Sprintf("exception %d: %s", e.Number, e.What))
	}
	for _, n := range r.NotDone {
		switch n.Kind {
		case "check":
			out = append(out, "not checked: "+n.What)
		case "step", "item":
			out = append(out, "not done: "+n.What)
		}
	}
	return out
}

// headline is the result in a few words. What this version finds against a run that says
// of itself that it passed is an exception.
func (s *source) headline(r *Report) string {
	if !recovery.OneHeadline(r.Format) {
		return earlierHeadline(r)
	}
	state := s.state
	if len(r.Unknown) > 0 {
		state.Unknown = r.Unknown
	}
	if r.Result == recovery.ResultPassed && !r.Passed && len(state.Unknown) == 0 {
		state.Result = recovery.ResultExceptions
	}
	return s.plan.Headline(&state)
}

// earlierHeadline is that of reports of earlier forms.
func earlierHeadline(r *Report) string {
	verb, noun := "CAME BACK", "RECOVERY"
	if r.Mode == recovery.Rehearsal {
		verb, noun = "REHEARSED", "REHEARSAL"
	}
	switch {
	case !r.Ended():
		return "NOT ENDED"
	case r.GivesBack && r.Result == recovery.ResultPassed:
		return "GIVEN BACK"
	case r.GivesBack && r.Result == recovery.ResultExceptions:
		return "NOT ALL GIVEN BACK"
	case r.Passed && len(r.Checks) == 0:
		return verb + ", BUT THE RUNBOOK HAS NO CHECK"
	case r.Passed:
		return verb + ", EVERY CHECK HELD"
	case r.Result == recovery.ResultPassed, r.Result == recovery.ResultExceptions:
		return verb + " WITH EXCEPTIONS"
	case r.Result == recovery.ResultFailed:
		return noun + " FAILED"
	case r.Result == recovery.ResultRefused:
		return noun + " REFUSED BY A GUARD"
	case r.Result == recovery.ResultInterrupted:
		return noun + " INTERRUPTED"
	}
	return fmt.Sprintf("ENDED AS %q", string(r.Result))
}
