package main

import (
	"context"
	"fmt"
	"os"

	"comeback/recovery"
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
	return a.show(ctx, tui.Start{Runbook: path, Want: c.to}, c)
}

// show runs the console. A run that was started in it lives in this process: it
// is stopped in order when the console is left before it has ended.
func (a *app) show(ctx context.Context, start tui.Start, c choices) error {
	d := &desk{app: a, choices: c, ctx: ctx, named: start.Runbook}
	width, height := 80, 24
	if f, ok := a.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	ending, err := tui.Run(ctx, tui.Options{Desk: d, In: a.in, Out: a.out, Width: width, Height: height,
		Environ: a.environ, Now: a.now, Operator: a.operator(), Start: start})
	stopped := d.stop(ending.HungUp)
	if err != nil {
		return err
	}
	if stopped != nil {
		return stopped
	}
	if ending.Ended {
		fmt.Fprintf(a.out, "run %s: report in %s\n", ending.Run, ending.Dir)
		if ending.Exit != recovery.CameBack {
			return &exitError{ending.Exit}
		}
	}
	return nil
}
