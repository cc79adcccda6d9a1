package plan

import (
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
)

// ExpireOptions are what the plan of an expiry is made from: what an earlier run has
// put aside, or left running, is removed for good.
type ExpireOptions struct {
	// Parent is the plan of the run that has it, Old what of it goes.
	Parent *recovery.Plan
	Old    []recovery.Old
	// Options are those of the new run: Run, Number, Previous, Created, Source,
	// Switchers and Expected.
	Options
}

// Expire makes the plan of an expiry, a child of the run that has put aside what
// goes. It is pure.
func Expire(o ExpireOptions) (*recovery.Plan, error) {
	parent := o.Parent
	p := childOf(parent, o.Options, "expiry of what run "+parent.Run+" has left", "Remove")
	p.Expires = o.Old
	b := builder{Options: o.Options, plan: p}
	var names []string // whoever removes several things names each
	for n, old := range o.Old {
		i := slices.IndexFunc(p.Components, func(c recovery.Component) bool { return c.Name == old.Component })
		if i < 0 {
			return nil, recovery.Errorf("remove it by hand", "plan the expiry of %s: run %s has no component %s", old.Place, parent.Run, old.Component)
		}
		c := p.Components[i]
		expirer, ok := expirerOf(o.Switchers, parent.Switches(old))
		if !ok {
			return nil, recovery.Errorf("remove it by hand", "plan the expiry of %s: this version cannot remove it", old.Place).WithExit(recovery.Refused)
		}
		t, steps, err := expirer.Expire(recovery.SwitchContext{Component: c, Run: parent.Run, Copies: p.Copies}, old)
		if err != nil {
			return nil, fmt.Errorf("plan the expiry of %s: %w", old.Place, err)
		}
		p.Targets = append(p.Targets, t)
		names = append(names, t.Name)
		p.Live = append(p.Live, recovery.Live{Component: old.Component, Target: t, At: o.Created.UTC(), Effects: expired(old, parent.Run)})
		for _, s := range b.named(old.Component, steps) {
			s.ID, s.Phase = fmt.Sprintf("%s.%d", s.ID, n+1), recovery.Expiring
			b.add(s)
		}
	}
	p.Confirm = strings.Join(names, ", ")
	b.plan.NotExecuted = append(b.plan.NotExecuted, recovery.NotExecuted{Stage: p.Stages[0].Name, What: "the stages and checks of the runbook", Why: "only what an earlier run has left is removed"})
	return b.timed(), nil
}

// expired is what the removal of something does that a run has left. Nothing of it is live.
func expired(old recovery.Old, run string) recovery.Effects {
	left, not := "put aside by run "+run+", live until then", "nothing brings it back"
	switch {
	case old.Served:
		left, not = "restored by run "+run+" and left running beside live", "what was written to it since is nowhere else"
	case old.Handed:
		left, not = "restored by run "+run+" and left beside live", "what was written to it since is nowhere else"
	}
	return recovery.Effects{Target: []string{fmt.Sprintf("%s, %s", old.Place, old.Says)}, Gone: []string{old.Place + ": " + left}, NotUndone: []string{old.Place + ": " + not}}
}

func expirerOf(all []recovery.Switcher, kind recovery.ComponentKind) (recovery.Expirer, bool) {
	for _, s := range all {
		if s.Kind() == kind {
			e, ok := s.(recovery.Expirer)
			return e, ok
		}
	}
	return nil, false
}
