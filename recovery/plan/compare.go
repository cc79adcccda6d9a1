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

// compare finds what is to do again. What came before what is told by the order of events, not
// by a clock, which may have been put back meanwhile. What one step has spoilt may show that
// another is to do again, which has spoilt something itself, so it looks until
// nothing more is found.
func compare(state recovery.State, fresh *recovery.Plan) comparison {
	c := comparison{state: state, fresh: fresh, changed: map[string]bool{}, again: map[string]bool{}}
	for _, s := range fresh.Steps {
		st := state.Step(s.ID)
		c.changed[s.ID] = st == nil || !sameStep(st, s)
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
// every run in between changes, for what is only told of them, and for what had to hold
// before one began that has ended well.
func sameStep(st *recovery.StepState, b recovery.Step) bool {
	a := st.Step
	a.Expected, b.Expected = 0, 0
	a.Network, b.Network, a.StandIn, b.StandIn = "", "", "", ""
	if st.State == recovery.Done {
		a.Guards, b.Guards = nil, nil
	}
	return same(a, b)
}

// goesOn reports whether a step that changes goes on from where it stands: it
// has a later position now on the same timeline, and nothing that comes after it
// has begun to write where it writes.
func (c comparison) goesOn(st *recovery.StepState) bool {
	fresh, stays := c.fresh.Step(st.ID)
	if !stays || st.Kind != fresh.Kind || st.Position == 0 || fresh.Position < st.Position || !slices.Equal(st.After, fresh.After) {
		return false
	}
	was, _ := c.state.Moment.Point(st.Component)
	is, _ := c.fresh.Moment.Point(st.Component)
	if was.Copy != is.Copy || was.Timeline != is.Timeline {
		return false
	}
	for i := range c.state.Steps {
		after := &c.state.Steps[i]
		if begun(after) && shareTarget(st.Step, after.Step) && c.comesAfter(after, st.ID) {
			return false
		}
	}
	return !slices.ContainsFunc(st.After, func(id string) bool { return c.again[id] })
}

// stoodThere reports whether a step is to do again, for a later position, in what
// it had made of what another has: that is still there.
func stoodThere(st, on *recovery.StepState) bool {
	since := st.BegunSeq > on.EndedSeq
	if st.BegunSeq == 0 { // a runner of an earlier version does not tell
		since = st.Started.After(on.Ended)
	}
	return st.State == recovery.ToDo && st.Position != 0 && st.Attempts > 0 && since
}

// comesAfter reports whether a step of the run comes after another, directly or
// through others.
func (c comparison) comesAfter(st *recovery.StepState, id string) bool {
	seen := map[string]bool{}
	var after func(st *recovery.StepState) bool
	after = func(st *recovery.StepState) bool {
		return slices.ContainsFunc(st.After, func(before string) bool {
			if before == id || seen[before] {
				return before == id
			}
			seen[before] = true
			b := c.state.Step(before)
			return b != nil && after(b)
		})
	}
	return after(st)
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
		if other.ID == s.ID || !begun(other) && !stoodThere(other, st) || !shareTarget(s, other.Step) {
			continue
		}
		if _, stays := c.fresh.Step(other.ID); stays && !c.again[other.ID] || c.goesOn(other) {
			continue
		}
		before := other.EndedSeq != 0 && other.EndedSeq < st.EndedSeq
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
