package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"comeback/recovery"
)

// plainEvery is how often a long step says how far it has come.
const plainEvery = 10 * time.Second

// plainWriter prints one timestamped line per transition, for logs, for screen
// readers and for terminals that can do no more. A reader that goes away does
// not disturb the run.
type plainWriter struct {
	out    io.Writer
	now    func() time.Time
	redact func(string) string
	// json, where it is not nil, gets the events as they stand in the
	// journal, instead of lines.
	json io.Writer
}

// line prints one line; a stage's name stands in brackets.
func (w *plainWriter) line(stage, format string, args ...any) {
	w.at(w.now(), stage, format, args...)
}

func (w *plainWriter) at(t time.Time, stage, format string, args ...any) {
	if stage != "" {
		stage = "[" + stage + "] "
	}
	text := fmt.Sprintf(format, args...)
	if w.redact != nil {
		text = w.redact(text)
	}
	fmt.Fprintf(w.out, "%s %s%s\n", t.Local().Format("15:04:05Z07:00"), clean(stage), clean(text))
}

// follow prints a run until it has ended or ctx has. It begins with what has
// happened already.
func (w *plainWriter) follow(ctx context.Context, run recovery.Session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan recovery.Event)
	failed := make(chan error, 1)
	go func() {
		defer close(events)
		for e, err := range run.Events(ctx, 1) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	s := recovery.NewState(run.Plan())
	shown := map[string]time.Time{}
	samples := run.Samples(ctx)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				select {
				case err := <-failed:
					return err
				default:
					return ctx.Err()
				}
			}
			s = recovery.Fold(s, e)
			if w.json != nil {
				w.printJSON(e)
				continue
			}
			w.event(&s, e)
		case sample, ok := <-samples:
			if !ok {
				samples = nil
				continue
			}
			st := s.Step(sample.Step)
			if w.json != nil || st == nil || st.State != recovery.Running || sample.Phase == "" {
				continue
			}
			if last, ok := shown[sample.Step]; !ok {
				shown[sample.Step] = sample.At
			} else if sample.At.Sub(last) >= plainEvery {
				shown[sample.Step] = sample.At
				w.at(sample.At, stageName(&s, st.Step), "%s: %s", st.Says, progress(sample))
			}
		}
	}
}

// printJSON prints an event as one JSON object. A reader that goes away does not
// end anything.
func (w *plainWriter) printJSON(e recovery.Event) {
	enc := json.NewEncoder(w.json)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e)
}

// progress is a sample in words.
func progress(s recovery.Sample) string {
	text := s.Phase
	switch {
	case s.Unit == recovery.InBytes && s.Total > 0:
		text += fmt.Sprintf(", %s of %s, %d %%", recovery.FormatBytes(s.Done), recovery.FormatBytes(s.Total), 100*s.Done/s.Total)
	case s.Total > 0:
		text += fmt.Sprintf(", %d %%", 100*s.Done/s.Total)
	case s.Unit == recovery.InBytes && s.Done > 0:
		text += ", " + recovery.FormatBytes(s.Done)
	case s.Done > 0:
		text += fmt.Sprintf(", %d %s", s.Done, s.Unit)
	}
	if s.Left > 0 {
		text += ", " + recovery.FormatSpan(time.Duration(s.Left)) + " left"
	}
	if s.Note != "" {
		text += ", " + s.Note
	}
	return text
}

// event prints one transition.
func (w *plainWriter) event(s *recovery.State, e recovery.Event) {
	p, ok := e.Payload()
	if !ok {
		w.at(e.At, "", "event %d is of a kind that this version does not know: %s", e.Seq, e.Type)
		return
	}
	step := func(id string) (*recovery.StepState, string) {
		st := s.Step(id)
		if st == nil {
			return &recovery.StepState{Step: recovery.Step{ID: id, Says: id}}, ""
		}
		return st, stageName(s, st.Step)
	}
	switch p := p.(type) {
	case recovery.RunStarted:
		w.at(e.At, "", "run %s: %s number %d of %s by %s on %s", p.Run, p.Mode, p.Number, p.System, p.Operator, p.Host)
	case recovery.RunResumed:
		i := s.Interruptions[len(s.Interruptions)-1]
		defer func() {
			for _, st := range s.Waits() {
				if !s.Unattended {
					w.at(e.At, stageName(s, st.Step), "%s: WAITS for %s since %s; answer it from a terminal: comeback attach %s", st.Says, st.WaitsFor,
						st.WaitsSince.Local().Format("15:04:05"), s.Run)
				}
			}
		}()
		w.at(e.At, "", "run %s taken up again by %s after %s: %s", s.Run, p.By, recovery.FormatSpan(i.To.Sub(i.From)), p.Reason)
	case recovery.LeaseTaken:
		w.at(e.At, "", "%s took the run over from %s: %s", p.By, p.From, p.Reason)
	case recovery.LeaseHanded:
		w.at(e.At, "", "%s handed the run over to %s", p.By, p.To)
	case recovery.Amended:
		w.at(e.At, "", "the plan was changed by %s: %s%s; its digest is now %.16s", p.By, p.Says, prefixed(", because ", p.Why), p.PlanSHA256)
	case recovery.StepGone:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: to do again: %s", st.Says, p.Why)
	case recovery.Approved:
		_, stage := step(p.Step)
		w.at(e.At, stage, "approved by %s with %s", p.Role, p.Fingerprint)
	case recovery.ClockStepped:
		w.at(e.At, "", "%s", p.Says())
	case recovery.HeldBack:
		w.at(e.At, "", "%s holds the run before the first change of live: it asks for the name again", p.By)
	case recovery.Confirmed:
		w.at(e.At, "", "%s typed the name %s, for the plan %.16s", p.By, p.Name, p.PlanSHA256)
	case recovery.SecretGiven:
		w.at(e.At, "", "%s gave %s", p.By, p.Name)
	case recovery.Notified:
		if p.Error != "" {
			w.at(e.At, "", "nobody could be called (%s): %s", p.About, p.Error)
			return
		}
		w.at(e.At, "", "called a person: %s", p.About)
	case recovery.StepStarted:
		st, stage := step(p.Step)
		if p.Attempt > 1 {
			w.at(e.At, stage, "%s: attempt %d", st.Says, p.Attempt)
			return
		}
		w.at(e.At, stage, "%s", st.Says)
	case recovery.StepCheckpoint:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: %s", st.Says, p.Text)
	case recovery.StepFinished:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: done in %s: %s", st.Says, took(st.Ended.Sub(st.Started)), p.Outcome.Says)
		for _, r := range p.Outcome.Remarks {
			w.at(e.At, stage, "  %s", r)
		}
		for _, says := range recovery.SayInPlace(p.Outcome.InPlace()) {
			w.at(e.At, stage, "  %s", says)
		}
		for _, x := range p.Outcome.Exceptions {
			w.at(e.At, stage, "  exception: %s", x)
		}
		if r := p.Outcome.Reached; r != nil {
			for _, evidence := range r.Evidence {
				if !strings.Contains(st.Checkpoint, evidence) { // told when it was seen
					w.at(e.At, stage, "  proof: %s", evidence)
				}
			}
		}
	case recovery.StepFailed:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: FAILED: %s", st.Says, p.Error)
		if p.Hint != "" {
			w.at(e.At, stage, "  next: %s", p.Hint)
		}
	case recovery.StepSkipped:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: skipped, %s", st.Says, p.Why)
	case recovery.Waiting:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: WAITS for %s%s", st.Says, p.For.Says(), prefixed(": ", p.Cause))
		if p.Hint != "" {
			w.at(e.At, stage, "  next: %s", p.Hint)
		}
	case recovery.Ticked:
		st, stage := step(p.Step)
		if p.Item >= 0 && p.Item < len(st.Ticks) {
			by := ", by " + p.By
			if p.By == recovery.Nobody {
				by = ""
			}
			w.at(e.At, stage, "[%s] %s%s%s", p.How, st.Ticks[p.Item].Text, by, prefixed(": ", p.Note))
		}
	case recovery.Decided:
		st, stage := step(p.Step)
		w.at(e.At, stage, "%s: %s chose to %s%s", st.Says, p.By, p.Choice, prefixed(": ", p.Reason))
	case recovery.Noted:
		w.at(e.At, "", "note by %s: %s", p.By, p.Text)
	case recovery.StopAsked:
		w.at(e.At, "", "stopping: %s", p.Reason)
	case recovery.CleanupStarted:
		w.at(e.At, "", "cleaning up")
	case recovery.ClaimReleased:
		w.at(e.At, "", "gone: %s %s%s", p.Resource.Kind, p.Resource.ID, prefixed("; ", p.Spared))
	case recovery.ClaimKept:
		w.at(e.At, "", "still there: %s %s, %s", p.Resource.Kind, p.Resource.ID, p.Why)
	case recovery.RunEnded, recovery.ClaimMade, recovery.OutageNoted:
	}
}

// took is a duration in words; short ones to a tenth of a second.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return recovery.FormatSpan(d)
}

// stageName is a stage's number and name.
func stageName(s *recovery.State, st recovery.Step) string {
	if st.Stage < 0 || st.Stage >= len(s.Stages) {
		return ""
	}
	return fmt.Sprintf("%d %s", st.Stage+1, s.Stages[st.Stage].Name)
}
