package tui

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// about is what a log line of a step begins with: its component, or its stage.
func about(p *recovery.Plan, id string) string {
	s, ok := p.Step(id)
	switch {
	case !ok:
		return ""
	case s.Component != "":
		return s.Component + ": "
	case s.Stage >= 0 && s.Stage < len(p.Stages):
		return p.Stages[s.Stage].Name + ": "
	}
	return ""
}

// tell is an event as a line of the log, or "" where the log is better without
// it. The event has been folded into the state.
func tell(s recovery.State, e recovery.Event) string {
	payload, ok := e.Payload()
	if !ok {
		return fmt.Sprintf("event %d, %s: not understood by this version", e.Seq, e.Type)
	}
	step := func(id, text string) string {
		st := s.Step(id)
		switch {
		case st == nil:
			return id + ": " + text
		case st.Component != "":
			return st.Component + ": " + text
		case st.Step.Stage >= 0 && st.Step.Stage < len(s.Stages):
			return s.Stages[st.Step.Stage].Name + ": " + text
		}
		return text
	}
	says := func(id string) string {
		if st := s.Step(id); st != nil {
			return st.Says
		}
		return id
	}
	switch p := payload.(type) {
	case recovery.RunStarted:
		return fmt.Sprintf("run %s of %s began, %s number %d", p.Run, p.System, p.Mode, p.Number)
	case recovery.RunResumed:
		return "resumed: " + p.Reason
	case recovery.OutageNoted:
		return "outage: " + p.How
	case recovery.StepStarted:
		if p.Attempt > 1 {
			return step(p.Step, fmt.Sprintf("%s, attempt %d", says(p.Step), p.Attempt))
		}
		return step(p.Step, says(p.Step))
	case recovery.StepFinished:
		if p.Outcome.Says == "" {
			return step(p.Step, "done: "+says(p.Step))
		}
		return step(p.Step, p.Outcome.Says)
	case recovery.StepFailed:
		return step(p.Step, "FAILED: "+p.Error)
	case recovery.StepSkipped:
		return step(p.Step, "skipped: "+says(p.Step)+": "+p.Why)
	case recovery.Waiting:
		return step(p.Step, "WAITS for "+waitedFor[p.For])
	case recovery.Ticked:
		item := fmt.Sprint("item ", p.Item+1)
		if st := s.Step(p.Step); st != nil && p.Item >= 0 && p.Item < len(st.Ticks) {
			item = st.Ticks[p.Item].Text
		}
		return step(p.Step, strings.TrimSuffix(fmt.Sprintf("%s by %s: %q: %s", p.How, p.By, item, p.Note), ": "))
	case recovery.Decided:
		return step(p.Step, strings.TrimSuffix(fmt.Sprintf("%s chose %s: %s", p.By, p.Choice, p.Reason), ": "))
	case recovery.Noted:
		return fmt.Sprintf("note by %s: %s", p.By, p.Text)
	case recovery.ClaimKept:
		return fmt.Sprintf("%s %s is still there: %s", p.Resource.Kind, p.Resource.ID, p.Why)
	case recovery.StopAsked:
		return strings.TrimSuffix(fmt.Sprintf("%s asked to stop: %s", p.By, p.Reason), ": ")
	case recovery.CleanupStarted:
		return fmt.Sprintf("clean-up: %s to give back", count(len(s.Held()), "claim", "claims"))
	case recovery.RunEnded:
		return fmt.Sprintf("ended, %s: %s", p.Result, p.Says)
	}
	return "" // checkpoints and single claims are for the journal
}

// waitedFor is what a step waits for, in words.
var waitedFor = map[recovery.WaitFor]string{
	recovery.WaitTicks: "ticks", recovery.WaitDecision: "a decision", recovery.WaitApproval: "an approval",
	recovery.WaitCredentials: "credentials", recovery.WaitTerminal: "your terminal",
}
