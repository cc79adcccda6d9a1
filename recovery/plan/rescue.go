package plan

import (
	"fmt"
	"path/filepath"
	"slices"

	"comeback/recovery"
)

// A rescue restores one component twice into scratch, to just before a
// transaction and to just after it, and brings the difference into live. Each of
// the copies is a component of the run, "database.before" and "database.after",
// so that steps, targets and bindings tell them apart; further ones are
// "database.before-2" and so on.

// RescueOptions are what a rescue is planned from.
type RescueOptions struct {
	Options
	// Component is whose rows come back.
	Component string
	// Before is the copy that has the rows; After the one that is without them,
	// nil where whole tables come back.
	Before recovery.Point
	After  *recovery.Point
	// Further are copies around later transactions, in the order of their commits.
	Further []Around
	// Target is the live database, as it was read just now.
	Target recovery.Target
	// Locks are what others wait for while live is changed.
	Locks []string
	// Steps are those after all copies are there, given the components by
	// which the copies are reached (the second of the first pair may be empty)
	// and the target for what lies between the steps. Their Stage counts from 0:
	// compare, bring back, check.
	Steps func(copies []Copied, scratch recovery.Target) []recovery.Step
}

// Around are where the copies around some transactions go to.
type Around struct{ Before, After recovery.Point }

// Copied are the components of the copies around some transactions.
type Copied struct{ Before, After string }

// Rescue plans a rescue. It is pure.
func Rescue(o RescueOptions) (*recovery.Plan, error) {
	o.Mode = recovery.Recovery
	p := begin(o.Options)
	for _, name := range []string{"Restore the copies", "Compare", "Bring back", "Check"} {
		p.Stages = append(p.Stages, recovery.Stage{Name: name})
	}
	b := builder{Options: o.Options, plan: p, restored: map[string]string{}}
	before, last, err := b.copyFor(o.Component, "before", o.Before, nil)
	if err != nil {
		return nil, err
	}
	p.Moment.Anchor = before
	ready, after := []string{last}, ""
	if o.After != nil {
		if after, last, err = b.copyFor(o.Component, "after", *o.After, nil); err != nil {
			return nil, err
		}
		ready = append(ready, last)
	}
	copies := []Copied{{before, after}}
	for i, f := range o.Further {
		// Two at a time: each is as large as the database.
		earlier, c := ready[len(ready)-2:], Copied{}
		for _, one := range []struct {
			name  *string
			which string
			point recovery.Point
		}{{&c.Before, "before", f.Before}, {&c.After, "after", f.After}} {
			if *one.name, last, err = b.copyFor(o.Component, fmt.Sprintf("%s-%d", one.which, i+2), one.point, earlier); err != nil {
				return nil, err
			}
			ready = append(ready, last)
		}
		copies = append(copies, c)
	}
	scratch := b.between(o.Component)
	b.into(o.Component, o.Target, o.Steps(copies, scratch), 1, ready)
	for i := range p.Live {
		p.Live[i].Effects.Undo = []string{"as long as the rows are as the rescue leaves them: comeback rescue undo " + p.Run}
		p.Live[i].Effects.NotUndone = []string{"what triggers do outside of the database"}
		p.Live[i].Effects.Locks = o.Locks
	}
	b.apart()
	return b.timed(), nil
}

// RescueUndo plans to take back the rescue of an earlier run; locks are what others
// wait for meanwhile.
func RescueUndo(o Options, parent, component string, target recovery.Target, locks []string, step func(scratch recovery.Target) recovery.Step) *recovery.Plan {
	o.Mode = recovery.Recovery
	p := begin(o)
	p.Parent = parent
	p.Stages = []recovery.Stage{{Name: "Take the rescue back"}}
	b := builder{Options: o, plan: p}
	b.into(component, target, []recovery.Step{step(b.between(component))}, 0, nil)
	for i := range p.Live {
		p.Live[i].Effects.Undo = []string{"another rescue of the same transactions"}
		p.Live[i].Effects.Locks = locks
	}
	b.apart()
	return b.timed()
}

// apart says that the runbook's own stages are of another run: what it owes, RPO
// and RTO, is of a recovery.
func (b *builder) apart() {
	b.plan.RPO, b.plan.RTO = 0, 0
	b.plan.NotExecuted = append(b.plan.NotExecuted, recovery.NotExecuted{Stage: b.plan.Stages[0].Name, What: "the stages and checks of the runbook",
		Why: "only some rows of the database that lives are changed"})
}

// between is the target for what lies between the steps of a rescue.
func (b *builder) between(component string) recovery.Target {
	t := recovery.Target{ID: recovery.TargetID("scratch/" + component + ".rescue"), Scratch: true, Component: component,
		Place: filepath.Join(b.Scratch, "comeback-"+b.Run, component+".rescue")}
	b.plan.Targets = append(b.plan.Targets, t)
	return t
}

// copyFor adds the steps that restore a component into scratch as another one,
// after some others, and gives its name and the last step.
func (b *builder) copyFor(component, which string, point recovery.Point, after []string) (name, last string, err error) {
	i := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == component })
	engine, ok := recovery.EngineNamed(b.Engines, point.Engine)
	if i < 0 || !ok {
		return "", "", recovery.Errorf("choose the moment again", "plan the rescue of %s: no engine %q", component, point.Engine)
	}
	c := b.plan.Components[i]
	c.Name = component + "." + which
	point.Component = c.Name
	t := recovery.Target{ID: recovery.TargetID("scratch/" + c.Name), Scratch: true, Component: c.Name,
		Place: filepath.Join(b.Scratch, "comeback-"+b.Run, c.Name)}
	steps, err := engine.Plan(c, point, t)
	if err != nil {
		return "", "", fmt.Errorf("plan the restore of %s: %w", c.Name, err)
	}
	for _, w := range point.Warnings {
		b.plan.Warnings = append(b.plan.Warnings, c.Name+": "+w)
	}
	// Nothing is lost by a copy that is only looked at.
	point.Lost = recovery.Commit{}
	b.plan.Components = append(b.plan.Components, c)
	b.plan.Targets = append(b.plan.Targets, t)
	b.plan.Moment.Points = append(b.plan.Moment.Points, point)
	for _, s := range b.named(c.Name, steps) {
		s.Says = which + ": " + s.Says
		if len(s.After) == 0 {
			s.After = after
		}
		b.add(s)
		last = s.ID
	}
	return c.Name, last, nil
}

// into adds steps of which some may write to a live target.
func (b *builder) into(component string, target recovery.Target, steps []recovery.Step, stage int, after []string) {
	for _, s := range b.named(component, steps) {
		s.Stage += stage
		if len(s.After) == 0 {
			s.After = after
		}
		if slices.Contains(s.Writes, target.ID) {
			b.plan.Confirm = target.Name
		}
		b.add(s)
	}
	if b.plan.Confirm == "" {
		return
	}
	b.plan.Targets = append(b.plan.Targets, target)
	b.plan.Live = []recovery.Live{{Component: component, Target: target, At: b.Created.UTC(),
		Effects: recovery.Effects{Target: []string{target.Name + ", " + target.Identity.String()}}}}
}

// timed gives the steps the times that they took in earlier runs.
func (b *builder) timed() *recovery.Plan {
	if b.Expected != nil {
		for i := range b.plan.Steps {
			b.plan.Steps[i].Expected = recovery.Duration(b.Expected(b.plan.Steps[i]))
		}
	}
	return b.plan
}
