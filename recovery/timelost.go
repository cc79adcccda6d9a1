package recovery

import (
	"slices"
	"time"
)

// TimeLost is how much time a recovery has lost, of each component that it was to replace.
type TimeLost struct {
	Of []TimeLostOf
	// Worst is that of the component that lost most: the least that it can be, where not of
	// all of them it is Known.
	Worst time.Duration
	Known bool
}

// TimeLostOf is what a component lost.
type TimeLostOf struct {
	Component string
	// Nothing says that nothing live of it was replaced.
	Nothing bool
	// Loss is what was counted; nil where nothing was, or where Nothing is.
	Loss *LossState
	// PutBack says that the last commit that is lost says an earlier time than the first, so
	// that nothing is known of the time between them.
	PutBack bool
	// Span is how much time is known to be lost, Known that it is not more.
	Span  time.Duration
	Known bool
}

// inverted is by how much the times of commits side by side may contradict their order:
// each is taken before its record is written.
const inverted = time.Second

// TimeLost is how much time a recovery has lost: from the first commit that is lost to the
// last one before the writes stopped, or from the moment of files to their newest change. Its
// RPO is judged by it, on screens and in reports. Replaced is false where nothing live was
// replaced.
func (p *Plan) TimeLost(s *State) (lost TimeLost, replaced bool) {
	tells := s.reports(tellsGivenBack)
	if !p.Replaces() || tells && p.LostNothing(s) {
		return TimeLost{Known: true}, false
	}
	lost.Known = true
	for _, l := range p.Live {
		of := TimeLostOf{Component: l.Component}
		i := slices.IndexFunc(s.Losses, func(loss LossState) bool { return loss.Component == l.Component })
		switch {
		case tells && p.LostNothingOf(s, l.Component):
			of.Nothing, of.Known = true, true
		case i >= 0:
			of.Loss = &s.Losses[i]
			span, known := of.Loss.Span()
			// Of files the time of one may well be older than that of what comes back.
			of.PutBack = span < -inverted && of.Loss.Files == nil
			of.Span, of.Known = max(0, span), known && !of.PutBack && of.Loss.Final
		}
		lost.Of = append(lost.Of, of)
		lost.Worst, lost.Known = max(lost.Worst, of.Span), lost.Known && of.Known
	}
	return lost, true
}

// Judged is what is held against an objective: the least that can be lost counts where it
// alone misses that. Known is false where nothing can be said.
func (t TimeLost) Judged(objective Duration) (lost Duration, known bool) {
	return Duration(t.Worst), t.Known || objective > 0 && Duration(t.Worst) > objective
}
