package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

func (a *app) switchBackCommand() *cobra.Command {
	o := request{choices: choices{mode: recovery.Recovery}}
	cmd := &cobra.Command{
		Use: "switch-back RUN", Short: "Bring back what a recovery has replaced", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Gives what a run has put aside its place again. It is a run of its own, a child
of RUN: it asks for the name of the target, closes what is live, exchanges the
two and opens it. What was written since the switch is then lost to users; it
stays beside, and a rescue can read it there.
` + exitCodes,
		Example: `  comeback switch-back 7c31
  comeback switch-back 7c31 --dry-run
  comeback switch-back 7c31 --plain --confirm db1/shop`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.switchBack(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	confirmFlag(f, &o.confirm, "the live target")
	runFlags(f, &o.key, &o.plain, &o.json)
	asksNothing(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan as JSON and do nothing")
	return cmd
}

func (a *app) switchBack(ctx context.Context, id string, o request) error {
	p, b, err := a.planBack(ctx, id, true)
	if err != nil {
		return err
	}
	return a.runChild(ctx, b, p, o)
}

// runChild runs what was planned to follow an earlier run, as it is asked for: in
// the console, line by line, or not at all.
func (a *app) runChild(ctx context.Context, b *book, p *recovery.Plan, o request) error {
	if o.dryRun {
		return a.printPlan(p)
	}
	if !o.plain && !o.json && a.interactive() && o.confirm == "" {
		return a.consoleRun(ctx, b, p, o)
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.said}
	if o.json {
		say.out = a.err
	}
	return a.runPlanned(ctx, b, p, o, say)
}

// planBack plans the switch back of a run, and where it is wanted shows what it waits for.
// It leaves nothing behind.
func (a *app) planBack(ctx context.Context, id string, shown bool) (*recovery.Plan, *book, error) {
	parent, err := a.load(id)
	switch {
	case err != nil:
		return nil, nil, err
	case parent.State.Result == "":
		return nil, nil, recovery.Errorf("stop it, or wait for its end; a run that is stopped before its switch is open gives live back by itself",
			"refused: run %s has not ended", id).WithExit(recovery.Refused)
	case len(parent.State.Old) == 0:
		return nil, nil, recovery.Errorf("choose one that `comeback runs` lists as a recovery that came back", "refused: run %s has put nothing aside", id).WithExit(recovery.Refused)
	}
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	runs, err := home.List()
	if err != nil {
		return nil, nil, err
	}
	if child := aftermath.SwitchedBack(parent, runs); child != "" {
		return nil, nil, recovery.Errorf("to switch again, switch back that one: comeback switch-back "+child, "refused: run %s was switched back already, by run %s", id, child).WithExit(recovery.Refused)
	}
	b, err := a.bookOf(parent)
	if err != nil {
		return nil, nil, err
	}
	var live []recovery.Live
	for _, old := range parent.State.Old {
		if _, ok := expirerOf(parent, old); ok {
			if there, err := a.stillThere(ctx, b, parent, old); err != nil {
				return nil, nil, err
			} else if !there {
				return nil, nil, recovery.Errorf("restore it from a copy instead: comeback recover", "refused: what run %s has put aside is gone: %s", id, old.Place).WithExit(recovery.Refused)
			}
		}
		l, err := a.lookAgain(ctx, b, parent, old)
		if err != nil {
			return nil, nil, err
		}
		live = append(live, l)
	}
	w := a.waits(shown)
	losses := a.countSince(ctx, b, parent, live, w)
	w.end()
	history, err := home.History(parent.Plan.System)
	if err != nil {
		return nil, nil, err
	}
	next, err := a.newID(home)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Back(plan.BackOptions{Parent: parent.Plan, Old: parent.State.Old, Options: plan.Options{
		Source: b.source, Run: next, Number: history.Number, Previous: history.Previous, Created: a.now(), Mode: recovery.Recovery,
		Switchers: switchers(), Live: live, Losses: losses, Expected: history.Expected}})
	return p, b, err
}

// bookOf is the runbook that a run was made from, as the run has kept it.
func (a *app) bookOf(r runner.Past) (*book, error) {
	bytes, err := r.Runbook()
	if err != nil {
		return nil, err
	}
	rb, _ := parse(r.Plan.Runbook.Path, bytes)
	return &book{Runbook: rb, path: r.Plan.Runbook.Path, bytes: bytes, source: r.Plan.Runbook, secrets: a.secrets.For(rb.Needs)}, nil
}

// lookAgain reads a target that a run has switched, and refuses one that is not
// what the run has made of it.
func (a *app) lookAgain(ctx context.Context, b *book, parent runner.Past, old recovery.Old) (recovery.Live, error) {
	i := slices.IndexFunc(parent.Plan.Components, func(c recovery.Component) bool { return c.Name == old.Component })
	if i < 0 {
		return recovery.Live{}, fmt.Errorf("switch back: the plan of run %s has no component %s", parent.ID, old.Component)
	}
	c := parent.Plan.Components[i]
	s, ok := switcher(switched(c.Kind, c.With))
	if !ok {
		return recovery.Live{}, recovery.Errorf("bring it back by hand", "switch back: this version cannot switch a component of the kind %s", c.Kind).WithExit(recovery.Refused)
	}
	l, err := s.Look(ctx, c, parent.Plan.Copies, b.secrets.Expand)
	if err != nil {
		return recovery.Live{}, fmt.Errorf("look at the live %s: %w", c.Name, err)
	}
	if differs := parent.State.Identities[old.Target].Differences(l.Target.Identity); len(differs) > 0 {
		return recovery.Live{}, recovery.Errorf("find out what happened to it since; what was put aside is "+old.Place,
			"refused: the live %s is not what run %s has made of it: %s", c.Name, parent.ID, strings.Join(differs, "; ")).WithExit(recovery.Refused)
	}
	l.Effects.Gone = []string{fmt.Sprintf("%s: all since the switch of run %s; it stays beside until it is removed", c.Name, parent.ID)}
	l.Effects.Undo = nil
	return l, nil
}

// sinceTime is how long counting may take what a switch back loses: an old system that
// is wanted back does not wait for a copy that is slow.
const sinceTime = time.Minute

// countSince counts what was written to live since a run has put it in its place. Where it cannot
// be counted, the effects of the live target say why.
func (a *app) countSince(ctx context.Context, b *book, parent runner.Past, targets []recovery.Live, w *waits) []recovery.Loss {
	ctx, cancel := context.WithTimeout(ctx, sinceTime)
	defer cancel()
	var exchanged time.Time // from then on people write to what came back
	for _, s := range parent.State.Steps {
		if s.Phase == recovery.Exchange && s.Ended.After(exchanged) {
			exchanged = s.Ended
		}
	}
	cat, err := a.survey(ctx, b, w.survey)
	w.on("counting what was written since the switch of run %s", parent.ID)
	var all []recovery.Loss
	for i, l := range targets {
		p, ok := parent.Plan.Moment.Point(l.Component)
		if !ok {
			continue
		}
		errCount := err
		if switches, ok := switcher(l.Target.Switches); ok && errCount == nil {
			if _, files := switches.(recovery.LiveLoser); files {
				p.Time = exchanged
			} else {
				p, errCount = a.resolveAt(ctx, b, cat, p, exchanged)
			}
		}
		var counted []recovery.Loss
		if errCount == nil {
			counted, errCount = a.logs(b, cat).Losses(ctx, recovery.Moment{Points: []recovery.Point{p}}, targets[i:i+1])
		}
		if errCount != nil {
			targets[i].Effects.Gone = append(targets[i].Effects.Gone, fmt.Sprintf("%s: how much that is could not be counted: %s", l.Component, a.redact(errCount.Error())))
		}
		all = append(all, counted...)
	}
	return all
}

// resolveAt is the point of a time, from where a run's point came from; a point of a
// backup that has no log is itself.
func (a *app) resolveAt(ctx context.Context, b *book, cat catalogue.Catalogue, p recovery.Point, at time.Time) (recovery.Point, error) {
	survey, ok := cat.SurveyOf(p)
	if !ok || p.Timeline == 0 {
		return p, nil
	}
	engine, store, err := a.openSurvey(ctx, b, survey)
	if err != nil {
		return p, err
	}
	return engine.Resolve(ctx, survey, recovery.Want{Kind: recovery.WantTime, Time: at, Text: at.UTC().Format(time.RFC3339Nano)}, store)
}
