package tui

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// about is what a log line of a step begins with: its component, or its stage.
func about(s recovery.State, id string) string {
	st := s.Step(id)
	switch {
	case st == nil:
		return ""
	case st.Component != "":
		return st.Component + ": "
	case st.Step.Stage >= 0 && st.Step.Stage < len(s.Stages):
		return s.Stages[st.Step.Stage].Name + ": "
	}
	return ""
}

// tell is an event as a line of the log, or "" where the log is better without
// it. The event has been folded into the state, and perhaps others after it: of
// the state only what does not change is told, the names of steps and stages.
func tell(s recovery.State, e recovery.Event) string {
	payload, ok := e.Payload()
	if !ok {
		return fmt.Sprintf("event %d, %s: not understood by this version", e.Seq, e.Type)
	}
	step := func(id, text string) string {
		if s.Step(id) == nil {
			return id + ": " + text
		}
		if of := about(s, id); !strings.HasPrefix(text, of) { // a loss names its component
			text = of + text
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
		return strings.TrimSuffix("resumed by "+orSomebody(p.By)+": "+p.Reason, ": ")
	case recovery.LeaseTaken:
		return fmt.Sprintf("%s took the command over from %s: %s", p.By, orSomebody(p.From), p.Reason)
	case recovery.LeaseHanded:
		return fmt.Sprintf("%s handed the command over to %s", p.By, p.To)
	case recovery.Amended:
		return strings.TrimSuffix(fmt.Sprintf("plan amended by %s, %s, digest %s: %s", p.By, p.Says, digest(p.PlanSHA256), p.Why), ": ")
	case recovery.Approved:
		return step(p.Step, fmt.Sprintf("%s approved digest %s with %s, handed in by %s", p.Role, digest(p.PlanSHA256), p.Fingerprint, p.By))
	case recovery.SecretGiven:
		return fmt.Sprintf("%s gave %s", p.By, p.Name)
	case recovery.Notified:
		if p.Error != "" {
			return fmt.Sprintf("nobody could be told of %s: %s", p.About, p.Error)
		}
		return "people were told of " + p.About
	case recovery.StepGone:
		return step(p.Step, fmt.Sprintf("%s is done again, because %s", says(p.Step), p.Why))
	case recovery.OutageNoted:
		if p.Since.IsZero() {
			return "outage: its beginning is unknown"
		}
		return "outage: began " + p.Since.In(e.At.Location()).Format("15:04:05Z07:00") + ", " + p.How
	case recovery.ClockStepped:
		return p.Says()
	case recovery.HeldBack:
		return p.By + " holds the run before the first change of live: it asks for the name again"
	case recovery.Confirmed:
		return fmt.Sprintf("%s typed the name of the target, %s, for digest %s", p.By, p.Name, digest(p.PlanSHA256))
	case recovery.StepStarted:
		if p.Attempt > 1 {
			return step(p.Step, fmt.Sprintf("%s, attempt %d", says(p.Step), p.Attempt))
		}
		return step(p.Step, says(p.Step))
	case recovery.StepFinished:
		switch c := p.Outcome.Check; {
		case p.Outcome.Says == "":
			return step(p.Step, "done: "+says(p.Step))
		case c != nil && c.Name != "": // which check it is comes before what it found
			return step(p.Step, c.Name+": "+p.Outcome.Says)
		}
		return step(p.Step, p.Outcome.Says)
	case recovery.StepFailed:
		return step(p.Step, "FAILED: "+p.Error)
	case recovery.StepSkipped:
		return step(p.Step, "skipped: "+says(p.Step)+": "+p.Why)
	case recovery.Waiting:
		return step(p.Step, strings.TrimSuffix("WAITS for "+p.For.Says()+": "+p.Cause, ": "))
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
		return strings.TrimSuffix(p.Says()+": "+p.Reason, ": ")
	case recovery.CleanupStarted:
		return "clean-up: everything that the run holds is given back"
	case recovery.RunEnded:
		return fmt.Sprintf("ended, %s: %s", p.Result, p.Says)
	}
	return "" // checkpoints and single claims are for the journal
}

// orSomebody is a name, or a word where nobody said who.
func orSomebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}
