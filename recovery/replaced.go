package recovery

import "slices"

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
