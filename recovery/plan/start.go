package plan

import (
	"fmt"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/runbooks"
)

// An application is started on what was restored, in a rehearsal only: in a
// recovery what was restored becomes live, and the application with it. It runs
// until the end of the last stage that asks it something, so that its stop is a
// step like any other, and what it held can be removed.

// started is an application that runs at this place of the plan.
type started struct {
	block runbooks.Start
	step  string
	// until is the stage at whose end it is stopped.
	until int
}

// start plans the start of an application, which holds back what stands below.
func (b *builder) start(id string, stage int, block runbooks.Start) {
	what := "start: " + block.Name
	if b.Mode == recovery.Recovery {
		b.skip(stage, block.Line, what, "it starts in a rehearsal only")
		return
	}
	shell := block.Shell
	shell.In = runbooks.InRehearsal
	shell.Env = slices.DeleteFunc(slices.Clone(shell.Env), func(name string) bool { return name == block.Variable })
	args, ok := b.script(stage, "start: ", shell)
	if !ok {
		return
	}
	if block.Variable != "" {
		args.Set[block.Variable] = block.URL
	}
	s := recovery.NewStep(id+".start", recovery.KindStart, short(what), recovery.StartArgs{ShellArgs: args, URL: block.URL, Ready: block.Ready})
	b.wait(s, stage, block.Line)
	until := stage
	for i, section := range b.Runbook.Stages {
		if slices.ContainsFunc(section.Blocks, func(other runbooks.Block) bool { return asks(other, block.Variable) }) {
			until = max(until, i)
		}
	}
	for i, other := range b.started { // what it asks runs as long as it does
		if _, ok := args.Set[other.block.Variable]; ok {
			b.started[i].until = max(other.until, until)
		}
	}
	b.started = append(b.started, started{block, s.ID, until})
}

// asks reports whether a block of a rehearsal asks the application that is called by
// a variable.
func asks(block runbooks.Block, variable string) bool {
	var names []string
	switch block := block.(type) {
	case runbooks.HTTPCheck:
		names = block.References()
	case runbooks.Shell:
		if block.In != runbooks.InRecovery {
			names = block.Env
		}
	case runbooks.ShellWait:
		if block.In != runbooks.InRecovery {
			names = block.Env
		}
	case runbooks.Start:
		names = block.Env
	}
	return variable != "" && slices.Contains(names, variable)
}

// calledBy finds the application that runs and is called by a variable.
func (b *builder) calledBy(variable string) (started, bool) {
	i := slices.IndexFunc(b.started, func(a started) bool { return variable != "" && a.block.Variable == variable })
	if i < 0 {
		return started{}, false
	}
	return b.started[i], true
}

// stopAfter stops, at the end of a stage, what nothing below asks any more; first is
// the stage's first step.
func (b *builder) stopAfter(stage, first int) {
	b.started = slices.DeleteFunc(b.started, func(a started) bool {
		if a.until != stage {
			return false
		}
		after := slices.Clone(b.before)
		for _, s := range b.plan.Steps[first:] {
			after = append(after, s.ID)
		}
		s := recovery.NewStep(strings.TrimSuffix(a.step, ".start")+".stop", recovery.KindStop, short("stop: "+a.block.Name),
			recovery.StopArgs{Name: a.block.Name, Start: a.step})
		s.Stage, s.Line, s.After = stage, a.block.Line, after
		b.add(s)
		return true
	})
}

var referred = pattern.New(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// httpCheck asks an address. In a rehearsal every reference in it is the address of
// an application that runs; one that is not could lead to production.
func (b *builder) httpCheck(id string, stage int, block runbooks.HTTPCheck) {
	args := recovery.HTTPCheckArgs{Name: block.Name, URL: block.URL, Status: block.Status, Body: block.Body}
	if b.Mode == recovery.Rehearsal {
		args.URL = referred.ReplaceAllStringFunc(args.URL, func(reference string) string {
			name := strings.TrimSuffix(strings.TrimPrefix(reference, "${"), "}")
			a, ok := b.calledBy(name)
			if !ok {
				return reference
			}
			args.Application = a.block.Name
			return a.block.URL
		})
		if args.Application == "" || strings.Contains(args.URL, "${") {
			b.unchecked(stage, block.Line, "check: "+block.Name, fmt.Sprintf("in a rehearsal %s has no value in scratch", block.URL))
			return
		}
	}
	b.check(recovery.NewStep(id+".check", recovery.KindHTTPCheck, short("check: "+block.Name), args), stage, block.Line)
}
