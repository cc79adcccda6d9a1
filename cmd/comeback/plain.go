package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
				w.at(sample.At, stageName(&s, st.Step), "%s%s", suffixed(st.Component, ": "), sample.Says())
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

// event prints one transition in the words that every screen has for it, and what of it has
// no room there. How a run ended is told with where its report is.
func (w *plainWriter) event(s *recovery.State, e recovery.Event) {
	if e.Type == (recovery.RunEnded{}).EventType() {
		return
	}
	told := s.Tell(e, time.Local)
	if told.Says == "" {
		return
	}
	stage, says := "", told.Says
	if told.Step != nil {
		if stage = stageName(s, told.Step.Step); stage == "" || told.Step.Component != "" {
			says = told.Line()
		}
	}
	if told.Took > 0 {
		says += ", in " + took(told.Took)
	}
	w.at(e.At, stage, "%s", says)
	for _, more := range told.More {
		w.at(e.At, stage, "  %s", more)
	}
	if e.Type == (recovery.RunResumed{}).EventType() && !s.Unattended {
		w.waits(s, e.At)
	}
}

// waits prints what a run that was taken up again still waits for, and how it is answered.
func (w *plainWriter) waits(s *recovery.State, at time.Time) {
	for _, st := range s.Waits() {
		w.at(at, stageName(s, st.Step), "%s: WAITS for %s since %s; answer it from a terminal: comeback attach %s", st.Says, st.WaitsFor.Says(),
			st.WaitsSince.Local().Format("15:04:05"), s.Run)
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
