package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
)

// The reasons for which a step is left out because of an amendment.
const (
	anotherMoment = "another moment"
	anotherCopy   = "another copy"
)

// Amend makes the amendment that turns what is left of a run into a fresh plan
// of it, which was made for the same run and directory but for another moment or
// from another copy. Old is the plan that the run began with, state what it has
// come to, amendments included.
//
// A step that is the same, byte by byte but for how long it is expected to take,
// stays as it is if what it comes after stays and nobody has written since into
// what it wrote. Every other one is to do again; one that only goes on from its
// earlier position has spoilt nothing. A step that the fresh plan does not have
// is left out, unless it has ended: then it stays on record. What is to be read
// again, it says.
//
// It refuses in words where the run has ended or is about to, where the fresh
// plan is of something else, where a step under way would have to change, or what
// came back of a component that is in the place of what is live, and where nothing
// would.
func Amend(state recovery.State, old, fresh *recovery.Plan, who, why string) (recovery.Amended, error) {
	if err := open(state); err != nil {
		return recovery.Amended{}, err
	}
	if err := sameRun(old, fresh); err != nil {
		return recovery.Amended{}, err
	}
	c := compare(state, fresh)
	a := recovery.Amended{By: who}
	if !same(state.Moment, fresh.Moment) {
		a.Moment, a.Loses = &fresh.Moment, fresh.Loses()
	}
	for _, s := range fresh.Steps {
		if !c.again[s.ID] {
			continue
		}
		if err := state.MayRedo(s); err != nil {
			return recovery.Amended{}, err
		}
		st := state.Step(s.ID)
		switch {
		case st != nil && st.State == recovery.Running:
			return recovery.Amended{}, underWay(st)
		case st == nil || c.changed[s.ID]:
			a.Steps = append(a.Steps, s)
		case st.State != recovery.ToDo:
			a.Redo = append(a.Redo, s.ID)
		}
	}
	for i := range state.Steps {
		st := &state.Steps[i]
		if _, stays := fresh.Step(st.ID); stays || ended(st) {
			continue
		}
		if st.State == recovery.Running {
			return recovery.Amended{}, underWay(st)
		}
		a.Skip = append(a.Skip, st.ID)
	}
	if a.Moment == nil && len(a.Steps)+len(a.Redo)+len(a.Skip) == 0 {
		return recovery.Amended{}, recovery.Errorf("choose another moment or another copy",
			"the run goes to %s from there already", fresh.Moment.Want).WithExit(recovery.Refused)
	}
	a.Says, a.Why = difference(state.Moment, fresh.Moment)
	if n := c.rereads(); n > 0 {
		a.Says += ", reading " + recovery.FormatBytes(n) + " again"
	}
	if why != "" {
		a.Why += ": " + why
	}
	return recovery.Amend(state.PlanSHA256, a)
}

// rereads is how many bytes of the copies are read a second time.
func (c comparison) rereads() (n int64) {
	for _, s := range c.fresh.Steps {
		st := c.state.Step(s.ID)
		if st == nil || !c.again[s.ID] || !begun(st) || c.goesOn(st) {
			continue
		}
		for _, r := range s.Reads {
			if slices.ContainsFunc(st.Reads, func(old recovery.Ref) bool { return old.Copy == r.Copy && old.Key == r.Key }) {
				n += r.Size
			}
		}
	}
	return n
}

// open refuses a run that takes no changes any more.
func open(s recovery.State) error {
	switch {
	case s.Result != "":
		return recovery.Errorf("begin another run", "run %s has ended, its plan cannot change", s.Run).WithExit(recovery.Refused)
	case !s.Cleaning.IsZero():
		return recovery.Errorf("begin another run", "run %s is cleaning up, its plan cannot change", s.Run).WithExit(recovery.Refused)
	case s.Stop != nil:
		return recovery.Errorf("begin another run", "run %s is being stopped, its plan cannot change", s.Run).WithExit(recovery.Refused)
	}
	return nil
}

// sameRun refuses a plan that is not of the same run of the same things.
func sameRun(old, fresh *recovery.Plan) error {
	differs := func(what string) error {
		return recovery.Errorf("begin another run", "the plan of run %s cannot change into this one: %s", old.Run, what).WithExit(recovery.Refused)
	}
	parts := func(p *recovery.Plan) []string {
		var names []string
		for _, c := range p.Components {
			_, comes := p.Moment.Point(c.Name)
			names = append(names, fmt.Sprintf("%s %s %v", c.Kind, c.Name, comes))
		}
		return names
	}
	switch {
	case old.Run != fresh.Run || old.System != fresh.System || old.Mode != fresh.Mode || old.Number != fresh.Number:
		return differs("it is of another run")
	case !slices.Equal(parts(old), parts(fresh)):
		return differs("other components come back")
	case old.Runbook.SHA256 != fresh.Runbook.SHA256:
		return differs("the runbook is not the one that the run began with")
	case !same(old.Targets, fresh.Targets): // their identities included
		return differs("it writes to other places")
	}
	return nil
}

func underWay(st *recovery.StepState) error {
	return recovery.Errorf("wait until it has ended, or stop the run", "%q is under way and cannot change now", st.Says).WithExit(recovery.Refused)
}

// ended reports whether a step needs nothing more.
func ended(st *recovery.StepState) bool {
	return st.State == recovery.Done || st.State == recovery.Passed || st.State == recovery.Skipped
}

// difference says what an amendment does and for which reason.
func difference(old, fresh recovery.Moment) (says, why string) {
	var parts []string
	moved, copied := !same(old.Want, fresh.Want), false
	for _, p := range fresh.Points {
		before, _ := old.Point(p.Component)
		moved = moved || !samePlace(before, p)
		if before.Copy != p.Copy {
			copied = true
			parts = append(parts, fmt.Sprintf("restore %s from %s", p.Component, p.Copy))
		}
	}
	switch {
	case moved:
		to := fresh.Want.String()
		if fresh.Want.Kind == recovery.WantLatest {
			to += ", " + fresh.Time().UTC().Format("15:04:05Z")
		}
		return strings.Join(append([]string{"go to " + to}, parts...), ", "), anotherMoment
	case copied:
		return strings.Join(parts, ", "), anotherCopy
	}
	return "plan again", "another plan"
}

// samePlace reports whether two points are the same moment, wherever their
// backups lie.
func samePlace(a, b recovery.Point) bool {
	return a.Time.Equal(b.Time) && a.Exactness == b.Exactness && a.Timeline == b.Timeline &&
		a.Stop == b.Stop && a.Inclusive == b.Inclusive && same(a.Kept, b.Kept) && same(a.Lost, b.Lost)
}

// same compares what plans and journals would hold.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
