package recovery

import (
	"slices"
	"time"
)

// Replaces says that the plan puts something in the place of what is live, so that what
// live had goes back; a rescue changes rows, and loses nothing.
func (p *Plan) Replaces() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Phase == Exchange })
}

// Replaced reports whether a run has put something in the place of what is live of a
// component, or may have: it holds an exchange, or has adopted one. What was given back has
// lost nothing, nor has what never came to its exchange. A step that was done and has claimed
// none counts, too: what opens with it is adopted already.
func (s *State) Replaced(component string) bool {
	claimed := false
	for _, c := range s.Claims {
		st := s.Step(c.Step)
		if !c.Kind.Exchanges() || st != nil && st.Component != component {
			continue
		}
		if c.Released.IsZero() || c.Adopted {
			return true
		}
		claimed = claimed || st != nil
	}
	return !claimed && slices.ContainsFunc(s.Steps, func(st StepState) bool {
		return st.Phase == Exchange && st.State == Done && st.Component == component
	})
}

// Delivered reports whether what came back of a component has left the hands of the run: it
// is in the place of what is live, or may be, or it was handed over. Neither another moment
// nor another copy changes it any more.
func (s *State) Delivered(component string) bool {
	return s.Replaced(component) || s.handedOver(component)
}

func (s *State) handedOver(component string) bool {
	return slices.ContainsFunc(s.HandedOver, func(h HandedOver) bool { return h.Component == component })
}

// MayRedo refuses a step that a change of the plan would do again, or in another way, where
// it brings back what was delivered already: the target of a second exchange would be what
// the first one has put there, and its place that of the old data, which are the only undo.
// Letting people in, and backing up what is live, can be done again.
func (s *State) MayRedo(step Step) error {
	if len(step.Writes) == 0 || step.Phase == Open || step.Phase == Protect || !s.Delivered(step.Component) {
		return nil
	}
	what, hint := "is in the place of what was live", "stop the run, which puts back what was live, and begin another"
	switch {
	case s.handedOver(step.Component):
		what, hint = "was handed over", "let the run end, and begin another: comeback expire "+s.Run+" removes what this one has handed over"
	case !s.holdsExchange(step.Component):
		what, hint = "is live and open", "let the run end, then switch back: comeback switch-back "+s.Run+", and begin another"
	}
	return Errorf(hint, "what came back of %s %s, and cannot be brought back again by this run", step.Component, what).WithExit(Refused)
}

// holdsExchange reports whether the end of the run would undo an exchange of a component.
func (s *State) holdsExchange(component string) bool {
	return slices.ContainsFunc(s.Claims, func(c ClaimState) bool {
		st := s.Step(c.Step)
		return c.Released.IsZero() && c.Kind.Exchanges() && st != nil && st.Component == component
	})
}

// openedBefore is when people were let into something that the run has exchanged, where that
// exchange is to do again: plans of older versions could change so. Zero where there is none.
func (s *State) openedBefore() (at time.Time) {
	for _, c := range s.Claims {
		st := s.Step(c.Step)
		if c.Adopted && c.Kind.Exchanges() && (st == nil || st.State != Done) && c.Released.After(at) {
			at = c.Released
		}
	}
	return at
}

// LostNothing reports whether a run that was to put something in the place of what is live
// has ended, and has not.
func (p *Plan) LostNothing(s *State) bool {
	return s.Result != "" && p.Replaces() && !slices.ContainsFunc(s.Steps, func(st StepState) bool { return s.Replaced(st.Component) })
}

// LostNothingOf reports the same of one component.
func (p *Plan) LostNothingOf(s *State, component string) bool {
	return s.Result != "" && !s.Replaced(component) && slices.ContainsFunc(p.Steps, func(st Step) bool {
		return st.Phase == Exchange && st.Component == component
	})
}

// Lost is what live has lost by a run: of each component that it has replaced.
func (p *Plan) Lost(s *State) []string {
	of := *s
	of.Loses = slices.DeleteFunc(slices.Clone(s.Loses), func(l LiveLoss) bool { return p.LostNothingOf(s, l.Component) })
	return of.Gone()
}
