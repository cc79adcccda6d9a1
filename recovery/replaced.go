package recovery

import "slices"

// Replaces says that the plan puts something in the place of what is live, so that what
// live had goes back; a rescue changes rows, and loses nothing.
func (p *Plan) Replaces() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Phase == Exchange })
}

// Replaced reports whether a run has put something in the place of what is live, or may
// have: it holds an exchange, or has adopted one. What was given back has lost nothing, nor
// has what never came to its exchange. A step that was done and has claimed none counts, too:
// what opens with it is adopted already.
func (s *State) Replaced() bool {
	claimed := map[string]bool{} // by component
	for _, c := range s.Claims {
		if !c.Kind.Exchanges() {
			continue
		}
		if c.Released.IsZero() || c.Adopted {
			return true
		}
		if st := s.Step(c.Step); st != nil {
			claimed[st.Component] = true
		}
	}
	return slices.ContainsFunc(s.Steps, func(st StepState) bool {
		return st.Phase == Exchange && st.State == Done && !claimed[st.Component]
	})
}

// LostNothing reports whether a run that was to put something in the place of what is live
// has ended, and has not.
func (p *Plan) LostNothing(s *State) bool { return s.Result != "" && p.Replaces() && !s.Replaced() }
