package recovery

import (
	"fmt"
	"slices"
	"time"
)

// ClockStep is a step of the clock by which a run's events have their times, between the
// event Seq and the one before it.
type ClockStep struct {
	Seq uint64
	// By is by how much it was put forward; less than zero, back.
	By time.Duration
	// Told says that the event tells of it, by a clock that nobody sets. Else it says an
	// earlier time than the event before it.
	Told bool
	// Seen is what of it the times of the events show.
	Seen time.Duration
}

// Says is that in words.
func (c ClockStep) Says() string {
	return fmt.Sprintf("%s between events %d and %d", ClockStepped{By: Duration(c.By)}.Says(), c.Seq-1, c.Seq)
}

// ClockStepBetween is the first step of the clock after one event and up to another, so that
// the time between them is not known; nil where there is none.
func (s *State) ClockStepBetween(from, to uint64) *ClockStep {
	for i, c := range s.ClockSteps {
		if from > 0 && from < c.Seq && c.Seq <= to {
			return &s.ClockSteps[i]
		}
	}
	return nil
}

// NextReportForm is the form of the report of a run that ends now: that of the version
// before where nothing in the run needs the newest.
func (s *State) NextReportForm() int {
	if slices.ContainsFunc(s.ClockSteps, func(c ClockStep) bool { return c.Told }) {
		return tellsClockStepped
	}
	return tellsGivenBack
}

// Took is how long a step took from its first start to its last end, and whether that is known.
func (s *State) Took(st *StepState) (time.Duration, bool) {
	if st.Started.IsZero() || st.Ended.IsZero() || s.ClockStepBetween(st.StartedSeq, st.EndedSeq) != nil {
		return 0, false
	}
	took := st.Ended.Sub(st.Started)
	return took, took > 0
}

// StageTook is the same of a stage.
func (s *State) StageTook(stage int) (time.Duration, bool) {
	from, to := s.stageEvents(stage, func(st *StepState) uint64 { return st.EndedSeq })
	st := s.Stages[stage]
	if st.Started.IsZero() || st.Ended.IsZero() || s.ClockStepBetween(from, to) != nil {
		return 0, false
	}
	took := st.Ended.Sub(st.Started)
	return took, took > 0
}

// StageSpent is how long a stage has taken, with the decisions about what had failed in it: until
// it was decided, or until a moment where it goes on. It is not known where the clock was put back
// or forward meanwhile, as in reports; step is when.
func (s *State) StageSpent(stage int, until time.Time) (spent time.Duration, step *ClockStep) {
	from, to := s.stageEvents(stage, func(st *StepState) uint64 { return max(st.EndedSeq, st.DecidedSeq) })
	st := s.Stages[stage]
	if st.Started.IsZero() {
		return 0, nil
	}
	if st.Decided.IsZero() {
		to = s.Seq
	} else {
		until = st.Decided
	}
	if step = s.ClockStepBetween(from, to); step != nil {
		return 0, step
	}
	return max(0, until.Sub(st.Started)), nil
}

// stageEvents are the event with which a stage began and the last of those with which its steps
// ended.
func (s *State) stageEvents(stage int, end func(*StepState) uint64) (from, to uint64) {
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Stage == stage && st.StartedSeq > 0 {
			if from == 0 || st.StartedSeq < from {
				from = st.StartedSeq
			}
			to = max(to, end(st))
		}
	}
	return from, to
}
