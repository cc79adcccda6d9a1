package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/plan"
	"comeback/recovery/runner"
	"comeback/tui"
)

// held reads what a run still holds.
func (a *app) held(r runner.Past) (aftermath.Holding, error) {
	home, err := a.home()
	if err != nil {
		return aftermath.Holding{}, err
	}
	runs, err := home.List()
	return aftermath.Held(r, runs), err
}

// statusHeld are the lines of a status about what a run did not give back.
func statusHeld(h aftermath.Holding, r runner.Past, loc *time.Location) string {
	var b strings.Builder
	for _, c := range h.Still {
		how := "remove it with: " + stopLine(r)
		if h.OfLive {
			how = "it or another one was made of what is live, and is put right by hand"
		}
		fmt.Fprintf(&b, "%-7s %s; %s\n", "LEFT", saysHeld(c), how)
	}
	for _, g := range h.Gone {
		fmt.Fprintf(&b, "%-7s %s %s, given back %s by run %s\n", "GONE", g.Kind, g.ID, g.At.In(loc).Format("2 Jan 2006 15:04Z07:00"), g.By)
	}
	return b.String()
}

// stopLine is the command that gives back what a run holds, where the run was.
func stopLine(r runner.Past) string {
	line := "comeback stop " + r.ID
	if r.Brought {
		line += " --on " + clean(r.State.Host)
	}
	return line
}

// saysHeld is a claim that was not given back, in words.
func saysHeld(c recovery.ClaimState) string {
	why := c.Kept
	if why == "" {
		why = "it was not given back"
	}
	return fmt.Sprintf("%s %s: %s", c.Kind, c.ID, why)
}

// tellHeld says what a run that was stopped did not give back, and how it is tried again.
func (a *app) tellHeld(say *plainWriter, p *recovery.Plan, s *recovery.State) error {
	left := s.Held()
	if len(left) == 0 {
		return nil
	}
	for _, c := range left {
		say.line("", "still there: %s", saysHeld(c))
	}
	if slices.ContainsFunc(left, func(c recovery.ClaimState) bool { return p.OfLive(s, c) }) {
		say.line("", "what was made of what is live has to be put right by hand; see: comeback status %s", p.Run)
	} else {
		say.line("", "when the cause is gone, try again with: comeback stop %s", p.Run)
	}
	return &exitError{recovery.WithExceptions}
}

// heldNeeds lists the secrets that giving claims back needs and that nobody has given.
func (a *app) heldNeeds(r runner.Past, claims []recovery.Resource) []tui.Need {
	return needsOf(r, a.secrets.ToRelease(claims, releasers(a.now, a.secrets.Expand)))
}

// stopEnded gives back what a run that has ended still holds, by a run of its own: the
// journal of the one that has ended stays as it was signed.
func (a *app) stopEnded(ctx context.Context, r runner.Past, why string, say *plainWriter) error {
	if r.Brought {
		return recovery.Errorf("ask that host: "+stopLine(r), "refused: run %s was carried out on %s, and what it holds is there", r.ID, clean(r.State.Host)).WithExit(recovery.Refused)
	}
	if r.Plan.GivesBack != nil { // what it could not give back is still its parent's
		parent, err := a.load(r.Plan.Parent)
		if err != nil {
			return err
		}
		return a.stopEnded(ctx, parent, why, say)
	}
	if r.ReportSHA256 == "" {
		o, err := a.runnerOptions(r.Plan, a.secrets.For(r.Plan.Needs))
		if err != nil {
			return err
		}
		if err := runner.Conclude(o); err != nil {
			return err
		}
		say.line("", "run %s had ended without its report, which is written now", r.ID)
	}
	held, err := a.held(r)
	if err != nil {
		return err
	}
	switch ended := "run " + r.ID + " has ended already"; {
	case held.Under != nil && held.Under.Alive:
		return recovery.Errorf("follow it with: comeback attach "+held.Under.ID, "refused: run %s gives back what run %s still holds", held.Under.ID, r.ID).WithExit(recovery.Refused)
	case held.Under != nil:
		return recovery.Errorf("take it up again: comeback resume "+held.Under.ID, "refused: the runner of run %s, which was to give back what run %s still holds, died", held.Under.ID, r.ID).WithExit(recovery.Refused)
	case len(held.Still) == 0 && len(held.Gone) > 0:
		return usage("read the report of that run: comeback report show "+held.Gone[0].By, "%s, and run %s gave back what it had left", ended, held.Gone[0].By)
	case len(held.Still) == 0 && len(r.State.HandedOver) > 0:
		return usage("to remove what it has left running: comeback expire "+r.ID, "%s", ended)
	case len(held.Still) == 0:
		return usage("read its report: comeback report show "+r.ID, "%s", ended)
	case why != "":
		return usage("leave --reason out", "%s: a reason is for one that is stopped", ended)
	}
	if err := a.onItsHost(r, "comeback stop "); err != nil {
		return err
	}
	for _, c := range held.Still {
		say.line("", "still there: %s", saysHeld(c))
	}
	p, b, err := a.planGiveBack(r, held.Still)
	if err != nil {
		return err
	}
	values, err := a.askNeeds(ctx, a.heldNeeds(r, p.GivesBack), r.ID)
	if err != nil {
		return err
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	if err := runner.Prepare(home, p, b.bytes); err != nil {
		return err
	}
	s, err := a.launch(ctx, runner.Launch{Home: home, Run: p.Run, Act: runner.ActStart, Unattended: true}, "plain", values)
	if err != nil {
		return err
	}
	defer s.Close()
	return a.follow(ctx, s, say, nil)
}

// onItsHost refuses a command about a run that was carried out on another host, with which
// this one shares the state.
func (a *app) onItsHost(r runner.Past, command string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this host: %w", err)
	}
	return runner.Here(&r.State, host, command+r.ID)
}

// planGiveBack plans to give back what a run still holds. It leaves nothing behind.
func (a *app) planGiveBack(r runner.Past, claims []recovery.ClaimState) (*recovery.Plan, *book, error) {
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	b, err := a.bookOf(r)
	if err != nil {
		return nil, nil, err
	}
	history, err := home.History(r.Plan.System)
	if err != nil {
		return nil, nil, err
	}
	next, err := a.newID(home)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.GiveBack(plan.GiveBackOptions{Parent: r.Plan, State: &r.State, Held: claims, Options: plan.Options{
		Source: b.source, Run: next, Number: history.Number, Previous: history.Previous, Created: a.now()}})
	return p, b, err
}
