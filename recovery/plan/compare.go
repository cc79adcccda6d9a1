package plan

import (
	"slices"

	"comeback/recovery"
)

// comparison says which steps of a fresh plan differ from what a run has done.
type comparison struct {
	state recovery.State
	fresh *recovery.Plan
	// changed are new or not the same bytes; again are those and all that
	// cannot stay because of them, whether they have run or not.
	changed, again map[string]bool
}

// compare finds what is to do again. What one step has spoilt may show that
// another is to do again, which has spoilt something itself, so it looks until
// nothing more is found.
func compare(state recovery.State, fresh *recovery.Plan) comparison {
	c := comparison{state: state, fresh: fresh, changed: map[string]bool{}, again: map[string]bool{}}
	for _, s := range fresh.Steps {
		st := state.Step(s.ID)
		c.changed[s.ID] = st == nil || !sameStep(st.Step, s)
		c.again[s.ID] = c.changed[s.ID] || c.comesBack(st)
	}
	for found := true; found; {
		found = false
		for _, s := range fresh.Steps {
			if !c.again[s.ID] && (c.inputsChange(s) || c.spoilt(s)) {
				c.again[s.ID], found = true, true
			}
		}
	}
	return c
}

// sameStep compares steps but for how long they are expected to take, which
// every run in between changes.
func sameStep(a, b recovery.Step) bool {
	a.Expected, b.Expected = 0, 0
	return same(a, b)
}

// comesBack reports whether a step is left out only because an amendment had no
// use for it.
func (c comparison) comesBack(st *recovery.StepState) bool {
	if st.State != recovery.Skipped {
		return false
	}
	for _, a := range slices.Backward(c.state.Amendments) {
		if slices.Contains(a.Skip, st.ID) {
			return a.Moment != nil || len(a.Steps) > 0
		}
	}
	return false
}

func (c comparison) inputsChange(s recovery.Step) bool {
	return slices.ContainsFunc(s.After, func(id string) bool { return c.again[id] })
}

// spoilt reports whether what a step wrote has been written into since, by a
// step that does not stay as it is.
func (c comparison) spoilt(s recovery.Step) bool {
	st := c.state.Step(s.ID)
	for i := range c.state.Steps {
		other := &c.state.Steps[i]
		if other.ID == s.ID || !begun(other) || !shareTarget(s, other.Step) {
			continue
		}
		if _, stays := c.fresh.Step(other.ID); stays && !c.again[other.ID] {
			continue
		}
		before := !other.Ended.IsZero() && st.Ended.After(other.Ended)
		if !before {
			return true
		}
	}
	return false
}

// begun reports whether a step has done anything that is still there.
func begun(st *recovery.StepState) bool {
	return st.Attempts > 0 && (st.State != recovery.ToDo || st.Interrupted || st.Gone != "")
}

func shareTarget(a, b recovery.Step) bool {
	return slices.ContainsFunc(a.Writes, func(id recovery.TargetID) bool { return slices.Contains(b.Writes, id) })
}
