package plan

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// BackOptions are what the plan of a switch back is made from: old data, which an
// earlier run has put aside, takes the place of what is live again.
type BackOptions struct {
	// Parent is the plan of the run that has switched, Old what it put aside.
	Parent *recovery.Plan
	Old    []recovery.Old
	// Options are those of the new run: Run, Number, Previous, Created, Source,
	// Switchers, Live, Losses, Expected and Mode.
	Options
}

// Back makes the plan of a switch back, a child of the run that has switched. It is
// pure.
func Back(o BackOptions) (*recovery.Plan, error) {
	parent := o.Parent
	says := "switch back of run " + parent.Run
	p := childOf(parent, o.Options, says, "Switch back")
	p.RPO, p.RTO = parent.RPO, parent.RTO
	b := builder{Options: o.Options, plan: p, restored: map[string]string{}}
	b.Moment = p.Moment
	var phases inPhase
	for _, old := range o.Old {
		l, switcher, ok := b.live(old.Component)
		i := slices.IndexFunc(p.Components, func(c recovery.Component) bool { return c.Name == old.Component })
		if !ok || i < 0 {
			return nil, recovery.Errorf("bring it back by hand", "plan the switch back of %s: this version cannot switch it", old.Component).WithExit(recovery.Refused)
		}
		s, err := switcher.Back(recovery.SwitchContext{Component: p.Components[i], Live: l, Run: parent.Run, Copies: p.Copies, KeepUntil: o.Created.Add(keptOld(p.Components[i])), By: o.Run, At: o.Created.UTC()}, old)
		if err != nil {
			return nil, fmt.Errorf("plan the switch back of %s: %w", old.Component, err)
		}
		b.goesLive(l, old.Component)
		phases.add(&b, old.Component, s)
		b.protect = append(b.protect, b.named(old.Component, s.Protect)...)
	}
	b.inPhases(0, 0, 0, phases, nil)
	for _, s := range p.Steps {
		b.before = append(b.before, s.ID)
	}
	b.protectAll()
	return b.timed(), nil
}
