package plan

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// What a recovery restores and switches into nothing is left running, where its
// kind of component can be: a recovery whose result went with its clean-up would
// have brought nothing back.

// handOverStage is the stage in which what was not switched is handed over.
const handOverStage = "Hand over"

// handsOver reports whether a component says that it is handed over.
func handsOver(all []recovery.Component, name string) bool {
	i := slices.IndexFunc(all, func(c recovery.Component) bool { return c.Name == name })
	return i >= 0 && all[i].Settings.Text("into") == recovery.IntoHandOver
}

// handOver adds the steps that leave a restored component running.
func (b *builder) handOver(stage, line int, name string, after []string) error {
	i := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == name })
	if i < 0 {
		return fmt.Errorf("hand over %s: the plan does not know it", name)
	}
	c := b.plan.Components[i]
	h, ok := b.handOverer(c.Kind)
	if !ok {
		return recovery.Errorf("leave it out of the switch, or bring it back by hand",
			"plan to hand %s over: this version cannot leave a component of its kind running", name).WithExit(recovery.Refused)
	}
	point, _ := b.Moment.Point(name)
	steps, err := h.HandOver(recovery.SwitchContext{Component: c, Point: point, Scratch: b.scratch(name), Run: b.Run, Copies: b.plan.Copies})
	if err != nil {
		return fmt.Errorf("plan to hand %s over: %w", name, err)
	}
	for _, s := range b.named(name, steps) {
		s.Stage, s.Line = stage, line
		s.After = append(s.After, after...)
		b.add(s)
		b.barrier = append(b.barrier, s.ID)
	}
	if b.handed == nil {
		b.handed = map[string]bool{}
	}
	b.handed[name] = true
	return nil
}

func (b *builder) handOverer(kind recovery.ComponentKind) (recovery.HandOverer, bool) {
	i := slices.IndexFunc(b.Switchers, func(s recovery.Switcher) bool { return s.Kind() == kind })
	if i < 0 {
		return nil, false
	}
	h, ok := b.Switchers[i].(recovery.HandOverer)
	return h, ok
}

// handOverRest hands over what a recovery has restored and no stage switches, when
// everything else has ended.
func (b *builder) handOverRest() error {
	if b.Mode != recovery.Recovery || b.Moment.Want.Table != "" {
		return nil
	}
	switched := switches(b.Runbook.Stages...)
	stage := -1
	for _, c := range b.plan.Components {
		_, restored := b.restored[c.Name]
		if _, can := b.handOverer(c.Kind); !restored || b.handed[c.Name] || slices.Contains(switched, c.Name) || !can {
			continue
		}
		if stage < 0 {
			stage = len(b.plan.Stages)
			b.plan.Stages = append(b.plan.Stages, recovery.Stage{Name: handOverStage})
		}
		if err := b.handOver(stage, 0, c.Name, slices.Clone(b.before)); err != nil {
			return err
		}
	}
	return nil
}
