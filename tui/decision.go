package tui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// decisionChoices are the ways to go on after a failure.
func (s *waitingScreen) decisionChoices(st *recovery.StepState) []choice {
	list := slices.Concat(s.lookFirst(st), []choice{s.again(st, repeats(st))}, s.anew(st), s.without(st), s.otherCopy(st), s.otherMoment(st))
	return append(list, s.stopHere())
}

// otherMoment restores again, as long as nothing of what came back has left the run's hands.
func (s *waitingScreen) otherMoment(st *recovery.StepState) []choice {
	if slices.ContainsFunc(s.run.state.Moment.Points, func(p recovery.Point) bool { return s.run.state.Delivered(p.Component) }) {
		return nil
	}
	return []choice{{name: "Other moment...", leaves: "shows first what must be done again", do: func() tea.Cmd {
		return s.m.push(newAmendMoment(s.m, s.run, st))
	}}}
}

// again is another attempt.
func (s *waitingScreen) again(_ *recovery.StepState, leaves string) choice {
	return choice{name: "Try again", leaves: leaves, do: func() tea.Cmd { return s.decide(recovery.ChooseRetry, "") }}
}

// repeats says what another attempt does, and how long that should take.
func repeats(st *recovery.StepState) string {
	what := "runs this step again; what it left is replaced"
	switch st.Kind {
	case recovery.KindSQLCheck, recovery.KindFilesCheck, recovery.KindSoundCheck, recovery.KindHTTPCheck:
		what = "repeats this check; it changes nothing"
	case recovery.KindShell:
		what = "runs this block again, from its first line"
	case recovery.KindStart:
		what = "starts the application again"
	case recovery.KindSQLWait, recovery.KindShellWait:
		what = "waits again, as long as the runbook says"
	}
	text := fmt.Sprintf("%s; attempt %d", what, st.Attempts+1)
	if st.Expected > 0 {
		text += ", " + took(time.Duration(st.Expected))
	}
	return text
}

// without are the ways to go on although the step did not end well, where the
// plan allows that.
func (s *waitingScreen) without(st *recovery.StepState) []choice {
	if !st.MayPass {
		return nil
	}
	return []choice{
		{name: "Go on anyway...", leaves: "asks a reason; the result is then WITH EXCEPTIONS", do: s.because("go on", func(reason string) tea.Cmd {
			return s.decide(recovery.ChooseContinue, reason)
		})},
		{name: "Skip...", leaves: "leaves it out, with a reason; a new digest, WITH EXCEPTIONS", do: s.because("skip", func(reason string) tea.Cmd {
			return s.skip(reason)
		})},
	}
}

// skip amends the plan by the step that is left out.
func (s *waitingScreen) skip(reason string) tea.Cmd {
	st := s.step()
	if st == nil {
		return nil
	}
	a, err := recovery.Amend(s.run.state.PlanSHA256, recovery.Amended{Says: "skip " + st.Says, Why: reason, By: s.m.operator, Skip: []string{st.ID}})
	if err != nil {
		s.refused(err)
		return nil
	}
	return s.send(recovery.Command{Kind: recovery.DoAmend, Amend: &a})
}

// otherCopy restores the component from elsewhere, where there is an elsewhere.
func (s *waitingScreen) otherCopy(st *recovery.StepState) []choice {
	if len(otherCopies(s.run, st)) == 0 {
		return nil
	}
	return []choice{{name: "Other copy...", leaves: "the same moment; shows first what changes", do: func() tea.Cmd {
		return s.m.push(newAmendCopy(s.m, s.run, st))
	}}}
}

// stopHere ends the run. It says first what that leaves, and asks for the reason, so that no
// key that was meant for another question ends it.
func (s *waitingScreen) stopHere() choice {
	state := &s.run.state
	leaves := "removes all that the run made"
	if s.run.plan.Mode == recovery.Recovery {
		leaves = state.StoppingSays()
	}
	leaves += "; the report says " + s.run.plan.StoppedSays(state, s.step())
	if state.Opened() && len(state.Unprotected()) > 0 {
		leaves = "leaves live switched, and not proven to be backed up again"
	}
	return choice{name: "Stop here...", leaves: leaves, do: func() tea.Cmd {
		return s.m.push(newStopAt(s.m, s.run, s.step()))
	}}
}

// decision shows what failed, and why.
func (s *waitingScreen) decision(p *page, st *recovery.StepState, head line, w int) {
	checks := s.run.state.CheckCount()
	right := line{}
	if n := checks.All(); n > 0 {
		right = say(fmt.Sprintf("%d of %s hold", checks.Held, count(n, "check", "checks")))
		if checks.Open > 0 {
			right = say(fmt.Sprintf("%d of %d hold, %d to come", checks.Held, n, checks.Open))
		}
	}
	p.body = []line{spread(head, right, w), nil}
	p.about("FAILED", bad, named(st), w, 2)
	p.about("CAUSE", plain, s.m.pasted(st.Error), w, 4)
	if c := st.Outcome.Check; c != nil {
		p.about("EXPECTED", plain, c.Expected, w, 2)
		p.about("FOUND", plain, c.Found, w, 3)
		p.about("QUERY", plain, c.Query, w, 2)
	}
	p.about("DO", plain, s.m.pasted(st.Hint), w, 3)
	if st.Line > 0 {
		p.about("FROM", faint, fmt.Sprintf("the runbook, line %d", st.Line), w, 1)
	}
	p.about("ELSEWHERE", plain, s.m.pasted(s.run.lookFrom(st)), w, 2)
}

// lookFrom is how somebody looks at what was restored before they decide about a step: at its
// component, or else at the one that decides the moment. "" where neither is there yet.
func (a *attached) lookFrom(st *recovery.StepState) string {
	component, at := a.lookAt(st)
	switch {
	case at == nil:
		return ""
	case at.Scheme == "file":
		return "what was restored of " + component + " can be read in " + at.Path
	case component == a.plan.Moment.Anchor:
		return "comeback look " + a.plan.Run + " reads the restored copy and changes nothing"
	}
	return "comeback look " + a.plan.Run + " --component " + component + " reads the restored copy and changes nothing"
}

// named is a step with its component.
func named(st *recovery.StepState) string {
	if st.Component != "" {
		return st.Component + ": " + st.Says
	}
	return st.Says
}
