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

// asks reports whether a person may be at the other end of the input, who answers.
func (a *app) asks() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style is how a person wants to see a run, and to be asked, by the flags of a command.
type style struct {
	// plain wants lines instead of the console, ask the questions line by line, also where
	// the input is not a terminal.
	plain, ask bool
}

// front is how a run is shown.
type front int

const (
	inLines   front = iota // one line per transition: nobody can be asked
	byLines                // the console line by line, with questions
	inConsole              // the console
)

// front is how a run is shown in a style, here.
func (a *app) front(s style) front {
	switch {
	case s.ask, s.plain && a.asks():
		return byLines
	case !s.plain && a.interactive():
		return inConsole
	}
	return inLines
}

// terminal is what others are told of who looks at a run.
func (f front) terminal() string {
	if f == inConsole {
		return "console"
	}
	return "plain"
}

// byLines shows the console line by line, with questions.
func (a *app) byLines(ctx context.Context, start tui.Start, c choices) error {
	return a.shown(ctx, tui.Lines, start, c)
}

// console opens the console on its first screen.
func (a *app) console(ctx context.Context, s style) error {
	if s.plain || s.ask {
		if a.front(s) != byLines {
			return usage("use a command: comeback rehearse RUNBOOK --plain, comeback runs, comeback --help, or give --ask", "there is nobody to ask: the input is not a terminal")
		}
		return a.byLines(ctx, tui.Start{}, choices{mode: recovery.Rehearsal})
	}
	if ok, why := tui.Usable(a.environ, a.in, a.out); !ok {
		return usage("use a command: comeback rehearse RUNBOOK --plain, comeback --plain, comeback --help", "the console cannot open: %s", why)
	}
	return a.show(ctx, tui.Start{}, choices{mode: recovery.Rehearsal})
}

// consoleRunbook opens the console on the rehearsal or the recovery of a runbook.
func (a *app) consoleRunbook(ctx context.Context, path string, o request) error {
	// What is wrong with the runbook is said before the screen is taken over.
	b, _, err := a.open(ctx, path)
	if err != nil {
		return err
	}
	if inCopy(path) { // the very one that was read now
		path = b.path
	}
	start := tui.Start{Runbook: path, Want: o.to, Asked: o.asked, Mode: o.mode, Outage: o.outage}
	if o.plain {
		return a.byLines(ctx, start, o.choices)
	}
	return a.show(ctx, start, o.choices)
}

// show runs the console. A run that it shows lives in a process of its own, and
// goes on when the console is left.
func (a *app) show(ctx context.Context, start tui.Start, c choices) error {
	return a.shown(ctx, tui.Run, start, c)
}

// shown is show by one of the ways to show it.
func (a *app) shown(ctx context.Context, run func(context.Context, tui.Options) (tui.Ending, error), start tui.Start, c choices) error {
	d := &desk{app: a, choices: c, named: start.Runbook}
	width, height := 0, 24 // what is no terminal has no edge
	if f, ok := a.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	var cards []tui.Card
	if c.scenario != "" {
		var err error
		if cards, err = readScenario(c.scenario); err != nil {
			return err
		}
	}
	if warning := runner.LogoutWarning(a.environ); warning != "" {
		fmt.Fprintf(a.err, "comeback: %s\n", warning)
	}
	ending, err := run(ctx, tui.Options{Desk: d, In: a.in, Out: a.out, Width: width, Height: height,
		Environ: a.environ, Now: a.now, Operator: a.operator(), Start: start, Cards: cards, Overlooked: a.overlooked(), Pasted: a.fromThere})
	if err != nil {
		return err
	}
	switch {
	case ending.Ended:
		return a.shownEnd(ending.Run, ending.Dir, ending.Exit)
	case !ending.Detached && !ending.HungUp && !ending.Lost: // nothing goes on that was looked at
	case ending.Run != "" && a.tether != 0: // nothing of a demo goes on without it
		fmt.Fprintf(a.err, "stopping run %s and cleaning up after it\n", ending.Run)
		if err := a.stopped(context.WithoutCancel(ctx), ending.Run); err != nil {
			return err
		}
		return &exitError{recovery.Interrupted}
	case ending.Lost:
		return a.lost(ending.Run)
	case ending.Run != "":
		return a.detached(a.out, ending.Run)
	}
	return nil
}

// shownEnd says where the report of a run is that ended while it was shown.
func (a *app) shownEnd(id, dir string, exit recovery.Exit) error {
	fmt.Fprintf(a.out, "run %s: report in %s\n", id, dir)
	if exit != recovery.CameBack {
		return &exitError{exit}
	}
	return nil
}

// lost says how to go on with a run of which nothing more was heard before its end. It
// may have gone on, or ended, without having been heard.
func (a *app) lost(id string) error {
	r, err := a.load(id)
	switch {
	case err != nil:
		return recovery.Errorf("see where it stands: comeback status "+id, "run %s has not ended: %w", id, err).WithExit(recovery.NotEnded)
	case r.State.Result != "":
		return a.shownEnd(id, r.Dir, r.State.Exit)
	case r.Alive:
		return a.detached(a.out, id)
	}
	return recovery.Errorf("take it up again: comeback resume "+id, "the runner of run %s died", id).WithExit(recovery.NotEnded)
}
