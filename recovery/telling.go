package recovery

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Told is an event as people are told of it: on every screen, line by line, and in the plain
// output, in the same words.
type Told struct {
	// Step is the step that it is about; nil where it is about the whole run, or about a step
	// that the plan does not have.
	Step *StepState
	// About is what the step belongs to: its component, or else the name of its stage.
	About string
	// Says is the event in one line, without About; "" where nobody has to be told of it.
	Says string
	// More is what else the event holds, line by line, for whoever has room for it: remarks,
	// exceptions, proofs, what to do next.
	More []string
	// Took is how long a step took that has ended well. A screen has it in a column.
	Took time.Duration
	// Detail says that only a full record tells it: how far a step is, which claims are gone.
	Detail bool
}

// Line is the event in one line, with what it is about.
func (t Told) Line() string {
	if t.About == "" || t.Says == "" {
		return t.Says
	}
	return t.About + ": " + t.Says
}

// About is what a line about a step begins with: its component, or else the name of its
// stage; "" where the run has no such step.
func (s *State) About(id string) string {
	st := s.Step(id)
	switch {
	case st == nil:
		return ""
	case st.Component != "":
		return st.Component
	case st.Step.Stage >= 0 && st.Step.Stage < len(s.Stages):
		return s.Stages[st.Step.Stage].Name
	}
	return ""
}

// Tell is how people are told of an event, with times in the zone of loc. It has been folded
// into the state, and perhaps others after it: of the state only what does not change then is
// told, the names of steps and stages; of More, that holds for the newest event.
func (s *State) Tell(e Event, loc *time.Location) Told {
	payload, ok := e.Payload()
	if !ok {
		return Told{Says: fmt.Sprintf("event %d, %s: not understood by this version", e.Seq, e.Type)}
	}
	if says := tellRun(s, e, payload, loc); says != "" {
		return Told{Says: says}
	}
	if t, ok := s.tellStep(payload); ok {
		return t
	}
	return s.tellClaim(payload)
}

// tellRun is an event about the whole run in words; "" where it is about something else.
func tellRun(s *State, e Event, payload Payload, loc *time.Location) string {
	switch p := payload.(type) {
	case RunStarted:
		return fmt.Sprintf("run %s of %s began, %s number %d, by %s%s", p.Run, p.System, p.Mode, p.Number, orSomebody(p.Operator), after(" on ", p.Host))
	case RunResumed:
		return because("resumed by "+orSomebody(p.By)+s.brokenOff(e.Seq), p.Reason)
	case LeaseTaken:
		return because(fmt.Sprintf("%s took the command over from %s", p.By, orSomebody(p.From)), p.Reason)
	case LeaseHanded:
		return fmt.Sprintf("%s handed the command over to %s", p.By, p.To)
	case Amended:
		return because(fmt.Sprintf("plan amended by %s, %s, digest %s", p.By, p.Says, ShortDigest(p.PlanSHA256)), p.Why)
	case SecretGiven:
		return fmt.Sprintf("%s gave %s", p.By, p.Name)
	case Notified:
		if p.Error != "" {
			return fmt.Sprintf("nobody could be told of %s: %s", p.About, p.Error)
		}
		return "people were told of " + p.About
	case OutageNoted:
		if p.Since.IsZero() {
			return "outage: its beginning is unknown"
		}
		return "outage: began " + p.Since.In(loc).Format("15:04:05Z07:00") + ", " + p.How
	case ClockStepped:
		return p.Says()
	case HeldBack:
		return p.By + " holds the run before the first change of live: it asks for the name again"
	case Confirmed:
		return fmt.Sprintf("%s typed the name of the target, %s, for digest %s", p.By, p.Name, ShortDigest(p.PlanSHA256))
	case Noted:
		return fmt.Sprintf("note by %s: %s", p.By, p.Text)
	case StopAsked:
		return because(p.Says(), p.Reason)
	case CleanupStarted:
		return "clean-up: everything that the run holds is given back"
	case RunEnded:
		return fmt.Sprintf("ended, %s: %s", p.Result, p.Says)
	}
	return ""
}

// tellStep is an event about one step; ok is false where it is about something else.
func (s *State) tellStep(payload Payload) (t Told, ok bool) {
	says := func(id string) string {
		if st := s.Step(id); st != nil {
			return st.Says
		}
		return id
	}
	switch p := payload.(type) {
	case StepStarted:
		if p.Attempt > 1 {
			return s.ofStep(p.Step, fmt.Sprintf("%s, attempt %d", says(p.Step), p.Attempt)), true
		}
		return s.ofStep(p.Step, says(p.Step)), true
	case StepCheckpoint:
		t = s.ofStep(p.Step, says(p.Step)+": "+p.Text)
		t.Detail = true
		return t, true
	case StepFinished:
		return s.tellFinished(p), true
	case StepFailed:
		return s.ofStep(p.Step, says(p.Step)+": FAILED: "+p.Error).next(p.Hint), true
	case StepSkipped:
		return s.ofStep(p.Step, because(says(p.Step)+": skipped", p.Why)), true
	case StepGone:
		return s.ofStep(p.Step, fmt.Sprintf("%s is done again, because %s", says(p.Step), p.Why)), true
	case Waiting:
		return s.ofStep(p.Step, because(says(p.Step)+": WAITS for "+p.For.Says(), p.Cause)).next(p.Hint), true
	case Ticked:
		return s.ofStep(p.Step, because(s.ticked(p), p.Note)), true
	case Decided:
		return s.ofStep(p.Step, because(fmt.Sprintf("%s: %s chose to %s", says(p.Step), p.By, p.Choice), p.Reason)), true
	case Approved:
		return s.ofStep(p.Step, fmt.Sprintf("%s approved digest %s with %s, handed in by %s", p.Role, ShortDigest(p.PlanSHA256), p.Fingerprint, p.By)), true
	}
	return Told{}, false
}

// ofStep is what is told of a step.
func (s *State) ofStep(id, says string) Told {
	st := s.Step(id)
	if st == nil {
		return Told{Says: id + ": " + strings.TrimPrefix(says, id+": ")}
	}
	about := s.About(id)
	if about != "" { // a loss names its component
		says = strings.TrimPrefix(says, about+": ")
	}
	return Told{Step: st, About: about, Says: says}
}

// next adds what to do next.
func (t Told) next(hint string) Told {
	if hint != "" {
		t.More = append(t.More, "next: "+hint)
	}
	return t
}

// tellFinished is a step that has ended well. Which check it is comes before what it found.
func (s *State) tellFinished(p StepFinished) Told {
	says := p.Outcome.Says
	st := s.Step(p.Step)
	switch c := p.Outcome.Check; {
	case says == "" && st != nil:
		says = "done: " + st.Says
	case says == "":
		says = "done"
	case c != nil && c.Name != "":
		says = c.Name + ": " + says
	}
	t := s.ofStep(p.Step, says)
	t.More = append(t.More, p.Outcome.Remarks...)
	t.More = append(t.More, SayInPlace(p.Outcome.InPlace())...)
	for _, x := range p.Outcome.Exceptions {
		t.More = append(t.More, "exception: "+x)
	}
	if st == nil {
		return t
	}
	if !st.Started.IsZero() {
		t.Took = st.Ended.Sub(st.Started)
	}
	if r := p.Outcome.Reached; r != nil {
		for _, evidence := range r.Evidence {
			if !strings.Contains(st.Checkpoint, evidence) { // told when it was seen
				t.More = append(t.More, "proof: "+evidence)
			}
		}
	}
	return t
}

// ticked is which item was decided, how and by whom.
func (s *State) ticked(p Ticked) string {
	item := fmt.Sprint("item ", p.Item+1)
	if st := s.Step(p.Step); st != nil && p.Item >= 0 && p.Item < len(st.Ticks) {
		item = st.Ticks[p.Item].Text
	}
	if p.By == Nobody {
		return fmt.Sprintf("%s: %q", p.How, item)
	}
	return fmt.Sprintf("%s by %s: %q", p.How, p.By, item)
}

// tellClaim is what became of something that the run holds. That it came to hold it is told
// by the step that made it.
func (s *State) tellClaim(payload Payload) Told {
	switch p := payload.(type) {
	case ClaimReleased:
		return Told{Says: fmt.Sprintf("gone: %s %s%s", p.Resource.Kind, p.Resource.ID, after("; ", p.Spared)), Detail: true}
	case ClaimKept:
		return Told{Says: fmt.Sprintf("still there: %s %s: %s", p.Resource.Kind, p.Resource.ID, p.Why)}
	}
	return Told{}
}

// Says is how far a step is, in one line.
func (s Sample) Says() string {
	parts := []string{s.Phase}
	switch {
	case s.Total > 0:
		parts = append(parts, Percent(s.Done, s.Total), s.Unit.AmountOf(s.Done, s.Total))
	case s.Done > 0:
		parts = append(parts, s.Unit.Amount(s.Done)+" so far")
	}
	if s.Left > 0 {
		parts = append(parts, FormatSpan(time.Duration(s.Left).Truncate(time.Second))+" left")
	}
	if s.Note != "" {
		parts = append(parts, s.Note)
	}
	return strings.Join(parts, ", ")
}

// brokenOff is how long nobody ran the run before the event took it up again: " after 3m05".
func (s *State) brokenOff(seq uint64) string {
	for _, i := range s.Interruptions {
		if d := i.To.Sub(i.From); i.Seq == seq && d > 0 {
			return " after " + FormatSpan(d)
		}
	}
	return ""
}

// because is a text with its reason, where there is one.
func because(text, reason string) string { return text + after(": ", reason) }

// after is a text behind what leads to it; "" where there is none.
func after(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

// orSomebody is a name, or a word where nobody said who.
func orSomebody(name string) string { return cmp.Or(name, "somebody") }

// ShortDigest is the beginning of a digest, in groups that can be read to somebody.
func ShortDigest(hex string) string {
	hex = hex[:min(12, len(hex))]
	var groups []string
	for len(hex) > 4 {
		groups, hex = append(groups, hex[:4]), hex[4:]
	}
	return strings.Join(append(groups, hex), " ")
}
