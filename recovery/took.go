package recovery

import (
	"fmt"
	"time"
)

// ClockPutBack is a step back of the clock by which a run's events have their times: the
// event Seq says an earlier one than the event before it, by By.
type ClockPutBack struct {
	Seq uint64
	By  time.Duration
}

// Says is that in words.
func (c ClockPutBack) Says() string {
	return fmt.Sprintf("the clock was put back by %s between events %d and %d", FormatSpan(c.By), c.Seq-1, c.Seq)
}

// PutBackBetween is the first step back of the clock after one event and up to another, so that
// the time between them is not known; nil where there is none.
func (s *State) PutBackBetween(from, to uint64) *ClockPutBack {
	for i, c := range s.PutBack {
		if from > 0 && from < c.Seq && c.Seq <= to {
			return &s.PutBack[i]
		}
	}
	return nil
}

// Took is how long a step took from its first start to its last end, and whether that is known.
func (s *State) Took(st *StepState) (time.Duration, bool) {
	if st.Started.IsZero() || st.Ended.IsZero() || s.PutBackBetween(st.StartedSeq, st.EndedSeq) != nil {
		return 0, false
	}
	took := st.Ended.Sub(st.Started)
	return took, took > 0
}

// StageTook is the same of a stage.
func (s *State) StageTook(stage int) (time.Duration, bool) {
	from, to := s.stageEvents(stage, func(st *StepState) uint64 { return st.EndedSeq })
	st := s.Stages[stage]
	if st.Started.IsZero() || st.Ended.IsZero() || s.PutBackBetween(from, to) != nil {
		return 0, false
	}
	took := st.Ended.Sub(st.Started)
	return took, took > 0
}

// StageSpent is how long a stage has taken, with the decisions about what had failed in it: until
// it was decided, or until a moment where it goes on. It is not known where the clock was put back
// meanwhile, as in reports; back is when.
func (s *State) StageSpent(stage int, until time.Time) (spent time.Duration, back *ClockPutBack) {
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
	if back = s.PutBackBetween(from, to); back != nil {
		return 0, back
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
