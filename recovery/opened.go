package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// countsLeftOut is the first form of reports for which a step that an amendment left out is
// decided: those of earlier ones call the time unknown, and stay what was signed.
const countsLeftOut = 3

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
		leftOut := st.State == Skipped && st.LeftOut && (s.Result == "" || s.ReportForm >= countsLeftOut)
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
