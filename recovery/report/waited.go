package report

import (
	"slices"
	"time"

	"comeback/recovery"
)

// piece is a time with a beginning and an end.
type piece struct{ from, to time.Time }

// covered is how much of a time lies in any of the pieces, each moment once.
func covered(pieces []piece, from, to time.Time) recovery.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	pieces = slices.Clone(pieces)
	slices.SortFunc(pieces, func(a, b piece) int { return a.from.Compare(b.from) })
	var sum time.Duration
	for _, p := range pieces {
		if p.to.After(to) {
			p.to = to
		}
		if from = later(from, p.from); p.to.After(from) {
			sum, from = sum+p.to.Sub(from), p.to
		}
	}
	return recovery.Duration(sum.Round(time.Millisecond))
}

// waitsOf are the times in which any of the steps waited for people that are asked for.
func (h *history) waitsOf(asked func(step string) bool) []piece {
	var all []piece
	for _, w := range h.waits {
		if asked(w.Step) && !w.Until.IsZero() {
			all = append(all, piece{w.Since, w.Until})
		}
	}
	return all
}

// broken are the times in which nobody ran the run.
func (h *history) broken() []piece {
	var all []piece
	for _, b := range h.breaks {
		all = append(all, piece{b.From, b.To})
	}
	return all
}

// ended is when a step had ended and nobody was waited for in it any more: what failed ends
// with the decision about it. In earlier forms it ends with its failure.
func (s *source) ended(st *recovery.StepState) time.Time {
	end := st.Ended
	if s.format() < tellsDecided || end.IsZero() {
		return end
	}
	end = later(end, st.Decided)
	for _, w := range s.history.waits {
		if w.Step == st.ID {
			end = later(end, w.Until)
		}
	}
	return end
}

// stageEnded is when all steps of a stage had ended; zero where not all have.
func (s *source) stageEnded(i int) time.Time {
	end := s.state.Stages[i].Ended
	if s.format() < tellsDecided || end.IsZero() && s.state.Result == "" {
		return end
	}
	for j := range s.state.Steps {
		if st := &s.state.Steps[j]; st.Stage == i {
			end = later(end, s.ended(st))
		}
	}
	return end
}

// waited is how much of a time, from its beginning to its end, people took for any of the
// steps that are asked for. In earlier forms, side by side, it may be more.
func (s *source) waited(from, to time.Time, asked func(step string) bool) recovery.Duration {
	if s.format() >= tellsDecided {
		return covered(s.history.waitsOf(asked), from, to)
	}
	var d recovery.Duration
	for _, w := range s.history.waits {
		if asked(w.Step) {
			d += w.Took
		}
	}
	return d
}

// interrupted is how much of a time, from its beginning to its end, nobody ran the run: at
// most, for work may have gone on after the last event before it.
func (s *source) interrupted(from, to time.Time) recovery.Duration {
	if s.format() >= tellsDecided {
		return covered(s.history.broken(), from, to)
	}
	return s.history.interrupted(from, to)
}

// interruptedInAll is the same of the time that a run took. In earlier forms it counts what
// came later, too.
func (s *source) interruptedInAll(from, to time.Time) (d recovery.Duration) {
	if s.format() >= tellsDecided {
		return s.interrupted(from, to)
	}
	for _, b := range s.history.breaks {
		d += b.Took
	}
	return d
}

// measured is how long something took from one event to another, and why that is not known
// where it is not: the clock was put back or forward meanwhile. Earlier forms tell what the clock said.
func (s *source) measured(took recovery.Duration, from, to uint64) (recovery.Duration, string) {
	if s.format() < tellsDecided {
		return took, ""
	}
	if step := s.state.ClockStepBetween(from, to); step != nil {
		return 0, step.Says()
	}
	return max(0, took), "" // clocks are adjusted all the time
}

// unmeasure takes back what is not known of waits and interruptions.
func (s *source) unmeasure(r *Report) {
	for i := range r.Waits {
		w := &r.Waits[i]
		w.Took, w.Unknown = s.measured(w.Took, w.from, w.to)
	}
	for i := range r.Interrupted {
		b := &r.Interrupted[i]
		b.Took, b.Unknown = s.measured(b.Took, b.seq-1, b.seq)
	}
	for i := range r.CutOff {
		c := &r.CutOff[i]
		c.Took, c.Unknown = s.measured(c.Took, c.from, c.to)
	}
}
