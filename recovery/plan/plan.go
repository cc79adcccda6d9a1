// Package plan turns a runbook and a resolved moment into a plan: every step of
// a run, complete before anything runs. It asks engines for the steps of their
// component and sets stage, order, budget and expectation; it never executes,
// and apart from resolving moments it reads nothing.
//
// Restoring into scratch disturbs nobody, so restores depend on nothing but
// their own component's earlier steps and begin at once. Everything else keeps
// the order of the document: a block runs when every stage before its own has
// ended, checks of one stage side by side. What the run waits for (ticks, an
// approval, a condition, a script) also holds back what stands below it. In a
// recovery checks do, too, but for one another: whatever may change what is live
// (a switch, a script), is handed over or is asked of a person begins when
// every check above it has held, or a person has passed over it.
//
// A run under way changes by an amendment: the difference between what it has
// done and a fresh plan, as data.
package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/runbooks"
)

// Format is the version of plan.json that this package writes.
const Format = 1

// Options are what a plan is made from.
type Options struct {
	Runbook *runbooks.Runbook
	// Source is the runbook's path and digest.
	Source  recovery.Source
	Engines []recovery.Engine
	Mode    recovery.Mode
	Moment  recovery.Moment
	// Run is the new run's id, Number its number among the system's runs and
	// Previous the digest of the report before.
	Run      string
	Number   int
	Previous string
	// Scratch is the directory that the run's scratch directory is made in.
	Scratch string
	Created time.Time
	// Begun says that the run has begun already, and that the plan changes its own.
	Begun bool
	// Keep leaves what was restored in place when the run ends well.
	Keep bool
	// Switchers bring restored components live, and Live are their live targets
	// as they were read just now: of a recovery only.
	Switchers []recovery.Switcher
	Live      []recovery.Live
	// Warnings are what a person should know of the whole plan.
	Warnings []string
	// Losses are what going back to the moment loses, as far as it is known.
	Losses []recovery.Loss
	// Earlier are the rehearsals that the run will be compared with.
	Earlier []recovery.Earlier
	// Expected says how long a step took in earlier runs, or 0. It may be nil.
	Expected func(recovery.Step) time.Duration
}

// Make makes a plan. It is pure: the same options give the same plan.
func Make(o Options) (*recovery.Plan, error) {
	rb := o.Runbook
	if o.Mode == recovery.Recovery && o.Moment.Want.Table != "" {
		return nil, recovery.Errorf("rehearse it, or bring single tables back with: comeback rescue "+rb.Name,
			"a recovery brings back the whole of a component, not only %s", o.Moment.Want.Table).WithExit(recovery.Refused)
	}
	p := begin(o)
	b := builder{Options: o, plan: p, restored: map[string]string{}}
	for i, stage := range rb.Stages {
		p.Stages = append(p.Stages, recovery.Stage{Name: stage.Name, Owner: stage.Owner, Budget: recovery.Duration(stage.Budget), Line: stage.Line, Prose: stage.Prose})
		if err := b.stage(i, stage); err != nil {
			return nil, err
		}
	}
	if err := b.handOverRest(); err != nil {
		return nil, err
	}
	b.protectAll()
	if p.Confirm == "" && p.OnlyBlocks() {
		p.Confirm = p.System
	}
	if len(p.Steps) == 0 {
		return nil, recovery.Errorf("give a stage a block with `restore: COMPONENT`", "nothing in the runbook runs in a %s", o.Mode).WithExit(recovery.Usage)
	}
	return b.timed(), nil
}

// begin is a plan without its stages and steps.
func begin(o Options) *recovery.Plan {
	rb := o.Runbook
	p := &recovery.Plan{
		Format: Format, Run: o.Run, System: rb.System, Mode: o.Mode, Number: o.Number, Previous: o.Previous,
		Created: o.Created.UTC(), Runbook: o.Source, RPO: recovery.Duration(rb.RPO), RTO: recovery.Duration(rb.RTO),
		RehearseEvery: recovery.Duration(rb.Rehearse), Moment: o.Moment, Components: Components(rb), Copies: Copies(rb), Needs: rb.Needs,
		Production: rb.Production, Notify: rb.Notify, Keep: o.Keep, Earlier: o.Earlier, Warnings: slices.Clone(o.Warnings),
	}
	for _, person := range rb.People {
		p.People = append(p.People, recovery.Person{Role: person.Role, Reach: person.Reach, Key: person.Key})
	}
	for _, point := range o.Moment.Points {
		for _, w := range point.Warnings {
			p.Warnings = append(p.Warnings, point.Component+": "+w)
		}
	}
	return p
}

// builder collects steps stage by stage.
type builder struct {
	Options
	plan *recovery.Plan
	// before are the steps of all earlier stages, barrier those of this stage
	// that later blocks of it must wait for.
	before, barrier []string
	// checks are those of this stage that hold back what is below them in a recovery.
	checks []string
	// restored maps a component to the last step that restores it.
	restored map[string]string
	// handed are the components that are left running.
	handed map[string]bool
	// started are the applications that run, in the order of their starts.
	started []started
	// protect are the steps that end the plan.
	protect []recovery.Step
}

func (b *builder) stage(index int, stage runbooks.Stage) error {
	b.barrier, b.checks = nil, nil
	first := len(b.plan.Steps)
	for i, block := range stage.Blocks {
		id := fmt.Sprintf("%d.%d", index+1, i+1)
		line := block.Position().Line
		if b.Moment.Want.Table != "" && b.beside(index, line, block) {
			continue
		}
		var err error
		switch block := block.(type) {
		case runbooks.Ticks:
			b.ticks(id, index, line, block)
		case runbooks.Approval:
			b.approval(id, index, block)
		case runbooks.Restore:
			for _, name := range block.Components {
				if b.Moment.Want.Table != "" && name != b.Moment.Anchor {
					b.skip(index, line, "restore: "+name, "only "+b.Moment.Want.Table+" comes back")
					continue
				}
				if err = b.restore(index, line, stage, name); err != nil {
					return err
				}
			}
		case runbooks.SQLCheck:
			b.sqlCheck(id, index, stage, block)
		case runbooks.SQLWait:
			b.sqlWait(id, index, block)
		case runbooks.Shell:
			b.shell(id, index, stage, block)
		case runbooks.ShellWait:
			b.shellWait(id, index, block)
		case runbooks.FilesCheck:
			b.filesCheck(id, index, block)
		case runbooks.SoundCheck:
			b.soundCheck(id, index, stage, block)
		case runbooks.Start:
			b.start(id, index, block)
		case runbooks.HTTPCheck:
			b.httpCheck(id, index, block)
		case runbooks.Switch:
			if b.Mode == recovery.Recovery {
				err = b.switched(index, line, stage, block)
			} else {
				b.skip(index, line, fmt.Sprintf("switch %v", block.Components), "a rehearsal leaves live as it is")
				b.refusedSwitch(block)
			}
		case runbooks.Doc:
		default:
			b.skip(index, line, fmt.Sprintf("%T", block), "this version does not know it")
		}
		if err != nil {
			return err
		}
	}
	b.stopAfter(index, first)
	for _, s := range b.plan.Steps[first:] {
		b.before = append(b.before, s.ID)
	}
	return nil
}

func (b *builder) add(s recovery.Step) { b.plan.Steps = append(b.plan.Steps, s) }

// skip lists what the run will not do and that is no check of it.
func (b *builder) skip(stage, line int, what, why string) {
	b.plan.NotExecuted = append(b.plan.NotExecuted, recovery.NotExecuted{Stage: b.plan.Stages[stage].Name, What: what, Why: why, Line: line})
}

// unchecked lists a check that the run cannot make; such a run does not pass.
func (b *builder) unchecked(stage, line int, what, why string) {
	b.skip(stage, line, what, why)
	b.plan.NotExecuted[len(b.plan.NotExecuted)-1].Check = true
}

// after is what a block that keeps the document's order waits for.
func (b *builder) after() []string { return slices.Concat(b.before, b.barrier) }

// afterChecks is what a block waits for that may change what is live, or that a person
// decides by what was found: in a recovery the checks above it, too. A rehearsal, which
// changes nothing, goes on beside a check that does not hold, to find out more.
func (b *builder) afterChecks() []string {
	if b.Mode != recovery.Recovery {
		return b.after()
	}
	return append(b.after(), b.checks...)
}

func (b *builder) ticks(id string, stage, line int, block runbooks.Ticks) {
	var args recovery.TicksArgs
	for _, item := range block.Items {
		args.Items = append(args.Items, item.Text)
	}
	b.wait(recovery.NewStep(id+".ticks", recovery.KindTicks, toTick(len(args.Items)), args), stage, line)
}

func toTick(items int) string {
	if items == 1 {
		return "1 item to tick"
	}
	return fmt.Sprintf("%d items to tick", items)
}

// restore adds the engine's steps for one component, into scratch.
func (b *builder) restore(stage, line int, section runbooks.Stage, name string) error {
	if _, again := b.restored[name]; again {
		b.skip(stage, line, "restore: "+name, "an earlier stage restores it")
		return nil
	}
	point, ok := b.Moment.Point(name)
	if !ok {
		return recovery.Errorf("choose the moment again", "plan the restore of %s: it has no point", name)
	}
	i := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == name })
	engine, ok := recovery.EngineNamed(b.Engines, point.Engine)
	if i < 0 || !ok {
		return recovery.Errorf("choose the moment again", "plan the restore of %s: no engine %q", name, point.Engine)
	}
	target := b.scratch(name)
	steps, err := engine.Plan(b.plan.Components[i], point, target)
	if err != nil {
		return fmt.Errorf("plan the restore of %s: %w", name, err)
	}
	b.plan.Targets = append(b.plan.Targets, target)
	if point.Component == b.Moment.Anchor && b.Moment.Want.Look && !slices.ContainsFunc(steps, func(s recovery.Step) bool { return s.Position != 0 }) {
		b.plan.Warnings = append(b.plan.Warnings, name+": a "+point.Engine+" cannot stop for a look on the way; look at what came back while the run lasts: comeback look "+b.Run)
	}
	for _, s := range b.named(name, steps) {
		s.Stage, s.Line, s.Budget, s.StandIn = stage, line, recovery.Duration(section.Budget), b.standIn(b.plan.Components[i])
		b.add(s)
		b.restored[name] = s.ID
	}
	if b.Moment.Want.Table != "" {
		b.canary(name, stage, line)
	}
	b.barrier = append(b.barrier, b.restored[name])
	return nil
}

// standIn says what a rehearsal restores into in the place of what a recovery switches: empty
// where a recovery would restore as well into what is new, and leave it there.
func (b *builder) standIn(c recovery.Component) string {
	if b.Mode != recovery.Rehearsal || !slices.Contains(switches(b.Runbook.Stages...), c.Name) || handsOver(b.plan.Components, c.Name) {
		return ""
	}
	of := "what is live"
	if paths := slices.Concat(c.Settings["path"], c.Settings["paths"]); len(paths) > 0 {
		of = strings.Join(paths, ", ")
	} else if c.Kind == recovery.Postgres {
		of = "the live database"
	}
	return "scratch, in place of " + of
}

// check adds a step that asks something of what was restored, beside the other checks of
// its stage.
func (b *builder) check(s recovery.Step, stage, line int) {
	s.Stage, s.After, s.Line, s.MayPass = stage, b.after(), line, true
	b.add(s)
	b.checks = append(b.checks, s.ID)
}

// sqlCheck asks a restored database, within the budget of the section.
func (b *builder) sqlCheck(id string, stage int, section runbooks.Stage, block runbooks.SQLCheck) {
	args, ok := b.question(stage, "check: ", block)
	if !ok {
		return
	}
	s := recovery.NewStep(id+".check", recovery.KindSQLCheck, short("check: "+block.Name), args)
	s.Budget, s.Component = recovery.Duration(section.Budget), block.On
	b.check(s, stage, block.Line)
}

// filesCheck holds rows against files. Where a stage restores only one of them
// nothing is proven.
func (b *builder) filesCheck(id string, stage int, block runbooks.FilesCheck) {
	for _, name := range []string{block.On, block.Files} {
		if _, ok := b.restored[name]; !ok {
			b.unchecked(stage, block.Line, "check: "+block.Name, fmt.Sprintf("no stage before it restores %s", name))
			return
		}
	}
	args := recovery.FilesCheckArgs{Name: block.Name, On: block.On, Query: block.Rows, Files: block.Files,
		Missing: block.Missing, Different: block.Different, Unknown: block.Unknown}
	b.byRows(id, stage, block, args)
	s := recovery.NewStep(id+".check", recovery.KindFilesCheck, short("check: "+block.Name), args)
	s.Component = block.Files
	b.check(s, stage, block.Line)
}

// byRows lets the engine of the files put right by the rows what it has chosen by a
// clock, before they are held against each other.
func (b *builder) byRows(id string, stage int, block runbooks.FilesCheck, args recovery.FilesCheckArgs) {
	name := block.Files
	point, ok := b.Moment.Point(name)
	i := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == name })
	engine, _ := recovery.EngineNamed(b.Engines, point.Engine)
	reader, reads := engine.(recovery.RowReader)
	if !ok || i < 0 || !reads {
		return
	}
	s := reader.PlanRows(b.plan.Components[i], point, b.scratch(name), args)
	s.ID, s.Stage, s.Component, s.Line, s.After = id+"."+s.ID, stage, name, block.Line, b.after()
	b.add(s)
	b.restored[name] = s.ID
	b.barrier = append(b.barrier, s.ID)
}

// soundCheck looks for what is wrong with a restored database, each question within
// the budget of the section.
func (b *builder) soundCheck(id string, stage int, section runbooks.Stage, block runbooks.SoundCheck) {
	if _, ok := b.restored[block.On]; !ok {
		b.unchecked(stage, block.Line, "check: "+block.Name, fmt.Sprintf("no stage before it restores %s", block.On))
		return
	}
	args := recovery.SoundCheckArgs{Name: block.Name, On: block.On, Sound: block.Sound}
	if slices.Contains(args.Sound, recovery.SoundRecord) {
		point, _ := b.Moment.Point(block.On)
		args.Record = &recovery.BackupRef{Copy: point.Copy, Backup: point.Backup.ID}
		if c := slices.IndexFunc(b.plan.Components, func(c recovery.Component) bool { return c.Name == block.On }); point.Stop != 0 && c >= 0 {
			args.After = &recovery.LogPoint{Component: b.plan.Components[c], Point: point}
		}
	}
	s := recovery.NewStep(id+".check", recovery.KindSoundCheck, short("check: "+block.Name), args)
	s.Budget, s.Component = recovery.Duration(section.Budget), block.On
	b.check(s, stage, block.Line)
}

func (b *builder) shell(id string, stage int, section runbooks.Stage, block runbooks.Shell) {
	args, ok := b.script(stage, "run: ", block)
	if !ok {
		return
	}
	s := recovery.NewStep(id+".run", recovery.KindShell, short("run: "+block.Name), args)
	s.Budget = recovery.Duration(section.Budget)
	b.wait(s, stage, block.Line)
}

// Encode gives the bytes of plan.json; their SHA-256 is the plan's digest.
func Encode(p *recovery.Plan) ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(b, '\n'), nil
}

// Decode reads plan.json.
func Decode(b []byte) (*recovery.Plan, error) {
	var p recovery.Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if p.Format != Format {
		return nil, recovery.Errorf("use the version of comeback that made it", "read plan: it has the format %d, this version reads %d", p.Format, Format)
	}
	return &p, nil
}
