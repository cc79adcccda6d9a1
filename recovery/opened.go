package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The first forms of reports that judge otherwise than those before, which stay what was
// signed: for which a step that an amendment left out is decided, where earlier ones call the
// time unknown; that tell when the clock was put back, and then know no time; that tell
// nothing of an exchange that was given back; and for which events tell of steps of the clock.
const (
	countsLeftOut     = 3
	tellsPutBack      = 4
	tellsGivenBack    = 4
	tellsClockStepped = 5
)

// reports reports whether the report of a run has that form, or a later one: the newest
// until the run has ended.
func (s *State) reports(form int) bool { return s.Result == "" || s.ReportForm >= form }

// OpenedAt is when the last of what opens a recovered system was decided: every step but
// those that protect it again. A step is decided when it has ended well, when a person went
// on without it, or when an amendment left it out; what a stop skipped never was. Zero while
// any of them is not decided, and where there is none.
func (s *State) OpenedAt() time.Time {
	var at time.Time
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Phase == Protect {
			continue
		}
		leftOut := st.State == Skipped && st.LeftOut && s.reports(countsLeftOut)
		if st.State != Done && st.State != Passed && !leftOut {
			return time.Time{}
		}
		for _, t := range []time.Time{st.Ended, st.Decided} {
			if t.After(at) {
				at = t
			}
		}
	}
	return at
}

// TimeToOpen is how long a recovery took from the outage until the system was open, in whole
// milliseconds, and why that is not known where it is not: its RTO is judged by it, on
// screens and in reports.
func (p *Plan) TimeToOpen(s *State) (took Duration, unknown string) {
	opened := s.OpenedAt()
	switch {
	case s.Outage.Since.IsZero():
		return 0, "nobody said when the outage began"
	case opened.IsZero():
		return 0, "not every step was done"
	case !p.wroteLive(s):
		return 0, "no step of this run wrote to a live target: it did not open the system itself"
	case len(s.ClockSteps) > 0 && s.reports(tellsPutBack):
		return 0, s.ClockSteps[0].Says()
	}
	took = Duration(opened.Sub(s.Outage.Since).Round(time.Millisecond))
	if took < 0 {
		return 0, fmt.Sprintf("the outage (%s) begins after the system was open: one of the two times is wrong", cmp.Or(s.Outage.How, "unknown"))
	}
	return took, ""
}

// wroteLive reports whether a step that has ended well wrote to what the plan lists and has
// not made for itself.
func (p *Plan) wroteLive(s *State) bool {
	return slices.ContainsFunc(s.Steps, func(st StepState) bool {
		return st.State == Done && slices.ContainsFunc(st.Writes, func(id TargetID) bool {
			return slices.ContainsFunc(p.Targets, func(t Target) bool { return t.ID == id && !t.Scratch })
		})
	})
}
