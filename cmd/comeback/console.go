package main

import (
	"context"
	"fmt"
	"os"

	"comeback/recovery"
	"comeback/recovery/runner"
	"comeback/tui"

	"golang.org/x/term"
)

// interactive reports whether both ends are a terminal that the console can
// use.
func (a *app) interactive() bool {
	ok, _ := tui.Usable(a.environ, a.in, a.out)
	return ok
}

// console opens the console on its first screen, or on a runbook.
func (a *app) console(ctx context.Context, runbook string) error {
	if ok, why := tui.Usable(a.environ, a.in, a.out); !ok {
		return usage("use a command: comeback rehearse RUNBOOK --plain, comeback runs, comeback --help", "the console cannot open: %s", why)
	}
	return a.show(ctx, tui.Start{Runbook: runbook}, choices{mode: recovery.Rehearsal})
}

// consoleRehearse opens the console on the rehearsal of a runbook.
func (a *app) consoleRehearse(ctx context.Context, path string, c choices) error {
	// What is wrong with the runbook is said before the screen is taken over.
	if _, _, err := a.open(path); err != nil {
		return err
	}
	return a.show(ctx, tui.Start{Runbook: path, Want: c.to, Mode: c.mode}, c)
}

// show runs the console. A run that it shows lives in a process of its own, and
// goes on when the console is left.
func (a *app) show(ctx context.Context, start tui.Start, c choices) error {
	d := &desk{app: a, choices: c, named: start.Runbook}
	width, height := 80, 24
	if f, ok := a.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	if warning := runner.LogoutWarning(a.environ); warning != "" {
		fmt.Fprintf(a.err, "comeback: %s\n", warning)
	}
	ending, err := tui.Run(ctx, tui.Options{Desk: d, In: a.in, Out: a.out, Width: width, Height: height,
		Environ: a.environ, Now: a.now, Operator: a.operator(), Start: start})
	if err != nil {
		return err
	}
	switch {
	case ending.Ended:
		fmt.Fprintf(a.out, "run %s: report in %s\n", ending.Run, ending.Dir)
		if ending.Exit != recovery.CameBack {
			return &exitError{ending.Exit}
		}
	case !ending.Detached && !ending.HungUp: // nothing goes on that was looked at
	case ending.Run != "" && a.tether != 0: // nothing of a demo goes on without it
		fmt.Fprintf(a.err, "stopping run %s and cleaning up after it\n", ending.Run)
		if err := a.stopped(context.WithoutCancel(ctx), ending.Run); err != nil {
			return err
		}
		return &exitError{recovery.Interrupted}
	case ending.Run != "":
		return a.detached(ending.Run)
	}
	return nil
}
