package plan

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/runbooks"
)

// A recovery restores beside what is live and then switches. Restoring begins at
// once, as in a rehearsal; a switch block fences all of its components, settles
// what is lost, exchanges them and opens them, in this order, so that a failure
// on the way leaves the old system whole. What was closed to its users is opened
// first, and what was not, such as a directory, is kept when that has worked: the
// first that is open makes the system the new one.

// KeepOld is how long old data stays where the runbook does not say.
const KeepOld = 7 * 24 * time.Hour

// protectAgain is the stage that a switch ends with, unless the runbook has one
// of that name.
const protectAgain = "Protect again"

// live finds what was read of a component's live target.
func (b *builder) live(component string) (recovery.Live, recovery.Switcher, bool) {
	i := slices.IndexFunc(b.Live, func(l recovery.Live) bool { return l.Component == component })
	if i < 0 {
		return recovery.Live{}, nil, false
	}
	l := b.Live[i]
	j := slices.IndexFunc(b.Switchers, func(s recovery.Switcher) bool { return s.Kind() == l.Target.Switches })
	if j < 0 {
		return recovery.Live{}, nil, false
	}
	return l, b.Switchers[j], true
}

// scratch is the target that a component is restored into.
func (b *builder) scratch(component string) recovery.Target {
	dir := b.Scratch
	l, _, becomes := b.live(component)
	if becomes && l.Beside != "" {
		dir = l.Beside
	}
	return recovery.Target{ID: recovery.TargetID("scratch/" + component), Scratch: true, Component: component,
		Place: filepath.Join(dir, "comeback-"+b.Run, component), BecomesLive: becomes && l.Beside != ""}
}

// switched is a switch block in a recovery.
func (b *builder) switched(stage, line int, section runbooks.Stage, block runbooks.Switch) error {
	before := b.afterChecks()
	var phases inPhase
	for _, name := range block.Components {
		last, ok := b.restored[name]
		if !ok {
			return recovery.Errorf(restoreFirst(name), "plan the switch of %s: no stage before it restores it", name).WithExit(recovery.Usage)
		}
		if handsOver(b.plan.Components, name) {
			if err := b.handOver(stage, line, name, append(b.afterChecks(), last)); err != nil {
				return err
			}
			continue
		}
		l, switcher, ok := b.live(name)
		if !ok {
			return recovery.Errorf("leave it out of the switch, and bring it back by hand",
				"plan the switch of %s: this version cannot switch a component of its kind", name).WithExit(recovery.Refused)
		}
		point, _ := b.Moment.Point(name)
		i := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == name })
		c := recovery.SwitchContext{System: b.plan.System, Runbook: b.plan.Runbook.SHA256, Component: b.plan.Components[i], Point: point, Live: l, Scratch: b.scratch(name), Run: b.Run,
			Copies: b.plan.Copies}
		keep, err := keepOld(c.Component)
		if b.Begun {
			keep, err = keptOld(c.Component), nil
		}
		if err != nil {
			return fmt.Errorf("plan the switch of %s: %w", name, err)
		}
		c.KeepUntil = b.Created.Add(keep).UTC().Truncate(time.Second)
		c.Beside = l.Target
		c.Beside.ID, c.Beside.Beside = recovery.TargetID("beside/"+name), true
		s, err := switcher.Plan(c)
		if err != nil {
			return fmt.Errorf("plan the switch of %s: %w", name, err)
		}
		if slices.ContainsFunc(s.Prepare, func(p recovery.Step) bool { return slices.Contains(p.Writes, c.Beside.ID) }) {
			b.plan.Targets = append(b.plan.Targets, c.Beside)
		}
		l.Effects.Add(s.Effects)
		for _, warning := range slices.Concat(l.Warnings, s.Warnings) {
			b.plan.Warnings = append(b.plan.Warnings, name+": "+warning)
		}
		if !l.Fresh {
			l.Effects.Undo = append(l.Effects.Undo, fmt.Sprintf("%s: until %s, with comeback switch-back %s; loses what is written after the switch",
				name, c.KeepUntil.Format("2 Jan 2006 15:04Z"), b.Run))
		}
		b.goesLive(l, name)
		restore, _ := b.plan.Step(last)
		after := []string{last}
		for _, step := range b.named(name, s.Prepare) {
			step.Stage, step.Line, step.Phase = restore.Stage, line, recovery.Prepare
			step.After = append(step.After, after...)
			b.add(step)
			before = append(before, step.ID)
		}
		phases.add(b, name, s)
		b.protect = append(b.protect, b.named(name, s.Protect)...)
	}
	b.barrier = append(b.barrier, b.inPhases(stage, line, section.Budget, phases, before)...)
	return nil
}

// restoreFirst is what to do about a switch of what no stage restores.
func restoreFirst(component string) string {
	return fmt.Sprintf("write `restore: %s` in a stage before its `switch:`, or leave it out of that", component)
}

// refusedSwitch warns in a rehearsal of what refuses the recovery that it is to prove.
func (b *builder) refusedSwitch(block runbooks.Switch) {
	for _, name := range block.Components {
		if _, ok := b.restored[name]; !ok {
			b.plan.Warnings = append(b.plan.Warnings, fmt.Sprintf("%s: a recovery with this runbook is refused: line %d switches it, and no stage before that restores it; %s", name, block.Line, restoreFirst(name)))
		}
	}
}

// RefusedSwitches says of the components that a recovery switches, and no stage restores,
// that it is refused, and what to do about that.
func RefusedSwitches(rb *runbooks.Runbook) map[string]error {
	all := map[string]error{}
	restored := names(Restored(rb))
	for _, name := range switches(rb.Stages...) {
		if !slices.Contains(restored, name) {
			all[name] = recovery.Errorf(restoreFirst(name), "no stage restores it, and a recovery with this runbook is refused")
		}
	}
	return all
}

// uncounted ends the sentence that stands for a loss that nothing counts.
const uncounted = "; nothing here counts it"

// Uncounted are a plan's live targets without what going back to its moment loses,
// to be planned for another one.
func Uncounted(p *recovery.Plan) []recovery.Live {
	live := slices.Clone(p.Live)
	for i, loss := range p.Loses() {
		live[i].Loss = nil
		live[i].Effects.Gone = slices.DeleteFunc(slices.Clone(loss.Also), func(says string) bool { return strings.HasSuffix(says, uncounted) })
	}
	return live
}

// goesLive adds a live target to the plan, with what going back costs there.
func (b *builder) goesLive(l recovery.Live, component string) {
	b.plan.Targets = append(b.plan.Targets, l.Target)
	if l.Loss == nil {
		for _, loss := range b.Losses {
			if loss.Component == component {
				l.Loss = &loss
				l.Effects.Gone = append(loss.Says(), l.Effects.Gone...)
			}
		}
	}
	if point, ok := b.Moment.Point(component); ok && l.Loss == nil && len(l.Effects.Gone) == 0 {
		l.Effects.Gone = []string{fmt.Sprintf("%s: all since %s%s", component, point.Time.UTC().Format("2006-01-02 15:04:05Z"), uncounted)}
	}
	b.plan.Live = append(b.plan.Live, l)
	if b.plan.Confirm == "" || component == b.Moment.Anchor {
		b.plan.Confirm = l.Target.Name
	}
}

// inPhase are the steps of a switch, of all its components: those of the phases fence,
// settle, exchange and open, and what opens nothing that was closed.
type inPhase [5][]recovery.Step

func (p *inPhase) add(b *builder, component string, s recovery.Switch) {
	all := [5][]recovery.Step{s.Fence, s.Settle, s.Exchange, s.Open, nil}
	if len(s.Fence) == 0 {
		all[3], all[4] = nil, s.Open
	}
	for n, steps := range all {
		p[n] = append(p[n], b.named(component, steps)...)
	}
}

// inPhases adds the steps of a switch, each phase after the one before, and gives
// their ids.
func (b *builder) inPhases(stage, line int, budget time.Duration, phases inPhase, before []string) []string {
	names := []recovery.Phase{recovery.Fence, recovery.Settle, recovery.Exchange, recovery.Open, recovery.Open}
	var all []string
	for n, steps := range phases {
		var ids []string
		for _, step := range steps {
			step.Stage, step.Line, step.Budget, step.Phase = stage, line, recovery.Duration(budget), names[n]
			step.After = append(step.After, before...)
			b.add(step)
			ids = append(ids, step.ID)
		}
		if len(ids) > 0 {
			before = ids
			all = append(all, ids...)
		}
	}
	return all
}

// named gives the steps of a component their names within the plan.
func (b *builder) named(component string, steps []recovery.Step) []recovery.Step {
	named := slices.Clone(steps)
	for i := range named {
		s := &named[i]
		s.ID, s.Component = component+"."+s.ID, component
		s.After = slices.Clone(s.After)
		for k, id := range s.After {
			s.After[k] = component + "." + id
		}
	}
	return named
}

// keepOld is how long a component's old data stays.
func keepOld(c recovery.Component) (time.Duration, error) {
	text := c.Settings.Text("keep")
	if text == "" {
		return KeepOld, nil
	}
	if err := CheckKeep(text); err != nil {
		return 0, fmt.Errorf("`keep: %s` %w", text, err)
	}
	return runbooks.ParseDuration(text)
}

// keptOld is keepOld for a run that has begun: what cannot be read was taken for the
// default then.
func keptOld(c recovery.Component) time.Duration {
	keep, err := keepOld(c)
	if err != nil {
		return KeepOld
	}
	return keep
}

// CheckKeep says what is wrong with a component's `keep`.
func CheckKeep(text string) error {
	d, err := runbooks.ParseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("keeps nothing")
	}
	if err != nil {
		return recovery.Errorf("write it like `keep: 7d`", "%w", err).WithExit(recovery.Usage)
	}
	return nil
}

// protectAll ends the plan with what backs the switched system up again.
func (b *builder) protectAll() {
	if len(b.protect) == 0 {
		return
	}
	stage := slices.IndexFunc(b.plan.Stages, func(s recovery.Stage) bool { return strings.EqualFold(s.Name, protectAgain) })
	if stage < 0 {
		stage = len(b.plan.Stages)
		b.plan.Stages = append(b.plan.Stages, recovery.Stage{Name: protectAgain})
	}
	for _, s := range b.protect {
		s.Stage, s.MayPass, s.Phase = stage, true, recovery.Protect
		s.After = append(s.After, b.before...)
		b.add(s)
	}
}

// switches lists the components that stages of a runbook switch.
func switches(stages ...runbooks.Stage) []string {
	var names []string
	for _, stage := range stages {
		for _, block := range stage.Blocks {
			if s, ok := block.(runbooks.Switch); ok {
				names = append(names, s.Components...)
			}
		}
	}
	return names
}

// Switched lists the components whose live targets a recovery writes to.
func Switched(rb *runbooks.Runbook) []recovery.Component { return switchedIn(rb, rb.Stages...) }

// ChangesLive reports whether a recovery changes what is live in a stage of a runbook, or may,
// because it runs a block there.
func ChangesLive(rb *runbooks.Runbook, stage runbooks.Stage) bool {
	return len(switchedIn(rb, stage)) > 0 || slices.ContainsFunc(stage.Blocks, runsInRecovery)
}

// runsInRecovery reports whether a block is a script that a recovery runs.
func runsInRecovery(b runbooks.Block) bool {
	switch b := b.(type) {
	case runbooks.Shell:
		return b.In != runbooks.InRehearsal
	case runbooks.ShellWait:
		return b.In != runbooks.InRehearsal
	}
	return false
}

func switchedIn(rb *runbooks.Runbook, stages ...runbooks.Stage) []recovery.Component {
	var all []recovery.Component
	for _, name := range switches(stages...) {
		if c, ok := rb.Component(name); ok && Component(c).Settings.Text("into") != recovery.IntoHandOver {
			all = append(all, Component(c))
		}
	}
	return all
}
