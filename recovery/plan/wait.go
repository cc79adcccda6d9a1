package plan

import (
	"fmt"
	"strings"

	"comeback/recovery"
	"comeback/runbooks"
)

// Whatever a run waits for keeps the order of the document, as items to tick
// do: a block below it starts when it has ended.

// approval plans the wait for a second person's signature over the plan. Who
// goes on without it gives a reason, and the run ends with an exception.
func (b *builder) approval(id string, stage int, block runbooks.Approval) {
	s := recovery.NewStep(id+".approval", recovery.KindApproval, short("approval by "+block.Role),
		recovery.ApprovalArgs{Role: block.Role, Key: block.Key})
	b.wait(s, stage, block.Line)
}

// sqlWait plans a query that is asked until its result is as expected.
func (b *builder) sqlWait(id string, stage int, block runbooks.SQLWait) {
	args, ok := b.question(stage, "wait: ", block.SQLCheck)
	if !ok {
		return
	}
	args.Every, args.Timeout = recovery.Duration(block.Patience.Every), recovery.Duration(block.Patience.Timeout)
	s := recovery.NewStep(id+".wait", recovery.KindSQLWait, short("wait: "+block.Name), args)
	s.Component = block.On
	b.wait(s, stage, block.Line)
}

// shellWait plans a script that is run until it exits with 0.
func (b *builder) shellWait(id string, stage int, block runbooks.ShellWait) {
	args, ok := b.script(stage, "wait: ", block.Shell)
	if !ok {
		return
	}
	args.Every, args.Timeout = recovery.Duration(block.Patience.Every), recovery.Duration(block.Patience.Timeout)
	b.wait(recovery.NewStep(id+".wait", recovery.KindShellWait, short("wait: "+block.Name), args), stage, block.Line)
}

// wait adds a step that the blocks below it come after.
func (b *builder) wait(s recovery.Step, stage, line int) {
	s.Stage, s.After, s.Line, s.MayPass = stage, b.afterChecks(), line, true
	b.add(s)
	b.barrier = append(b.barrier, s.ID)
}

// question is what is asked of a restored database. A query of anything else is
// listed as not checked.
func (b *builder) question(stage int, what string, block runbooks.SQLCheck) (recovery.SQLCheckArgs, bool) {
	if _, ok := b.restored[block.On]; !ok {
		b.unchecked(stage, block.Line, what+block.Name, fmt.Sprintf("no stage before it restores %s", block.On))
		return recovery.SQLCheckArgs{}, false
	}
	anchor, _ := b.Moment.Point(b.Moment.Anchor)
	point, _ := b.Moment.Point(block.On)
	return recovery.SQLCheckArgs{Name: block.Name, On: block.On, Query: block.Query, Expect: block.Expect,
		Moment: b.Moment.Time(), AtLeast: anchor.AtLeast || point.AtLeast}, true
}

// script is what a shell runs. A variable that is a component's address is bound
// to what the run restored, which in a recovery is live after the switch; one that
// an application which runs is called by is its address. In a rehearsal a block that
// needs any other is not executed, because its value could lead to production.
func (b *builder) script(stage int, what string, block runbooks.Shell) (recovery.ShellArgs, bool) {
	switch {
	case block.In == runbooks.InRecovery && b.Mode == recovery.Rehearsal:
		b.skip(stage, block.Line, what+block.Name, "it runs in a recovery only (# in: recovery)")
		return recovery.ShellArgs{}, false
	case block.In == runbooks.InRehearsal && b.Mode == recovery.Recovery:
		b.skip(stage, block.Line, what+block.Name, "it runs in a rehearsal only (# in: rehearsal)")
		return recovery.ShellArgs{}, false
	}
	args := recovery.ShellArgs{Name: block.Name, Script: block.Script, Interpreter: block.Interpreter,
		Timeout: recovery.Duration(block.Timeout), Terminal: block.Terminal, Bind: map[string]string{}, Set: map[string]string{}}
	for _, name := range block.Env {
		if a, ok := b.calledBy(name); ok {
			args.Set[name] = a.block.URL
			continue
		}
		c, ok := b.boundTo(name)
		if !ok && b.Mode == recovery.Recovery {
			args.Env = append(args.Env, name)
			continue
		}
		if !ok {
			b.unchecked(stage, block.Line, what+block.Name, fmt.Sprintf("in a rehearsal %s has no value in scratch", name))
			return recovery.ShellArgs{}, false
		}
		args.Bind[name] = c
	}
	return args, true
}

// boundTo finds the restored component whose url or path is exactly a reference
// to name, or whose own name it is: COMEBACK_UPLOADS is the address of uploads.
func (b *builder) boundTo(name string) (string, bool) {
	for _, c := range b.plan.Components {
		_, ok := b.restored[c.Name]
		if ok && name == "COMEBACK_"+strings.ToUpper(strings.ReplaceAll(c.Name, "-", "_")) {
			return c.Name, true
		}
		if reference := "${" + name + "}"; ok && (c.Settings.Text("url") == reference || c.Settings.Text("path") == reference) {
			return c.Name, true
		}
	}
	return "", false
}

// maxSays is how many characters of a step's sentence a screen has room for.
const maxSays = 40

func short(says string) string {
	if runes := []rune(says); len(runes) > maxSays {
		return string(runes[:maxSays-1]) + "…"
	}
	return says
}
