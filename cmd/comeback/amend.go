package main

import (
	"context"
	"fmt"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/tui"
)

// amendment makes the change of a run's plan that a choice asks for: another
// moment, or another copy to restore from. It only reads.
func (a *app) amendment(ctx context.Context, s recovery.Session, state recovery.State, choice tui.Choice) (recovery.Amended, error) {
	old := s.Plan()
	b, _, err := a.openFollowed(ctx, old.Runbook.Path)
	if err != nil {
		return recovery.Amended{}, err
	}
	if b.source.SHA256 != old.Runbook.SHA256 {
		return recovery.Amended{}, recovery.Errorf("put the runbook back as it was, or stop the run and begin another",
			"the runbook was changed after the run had begun").WithExit(recovery.Refused)
	}
	cat, err := a.survey(ctx, b, nil)
	if err != nil {
		return recovery.Amended{}, err
	}
	// The moment stays as it was asked for then, unless another is, and so does the
	// component that decides.
	w := plan.Wanted{Want: state.Moment.Want, Component: state.Moment.Anchor, Copy: choice.Copy, Engine: choice.Engine}
	if choice.Want != "" {
		if w.Want, err = recovery.ParseWant(choice.Want, a.now()); err != nil {
			return recovery.Amended{}, err
		}
		w.Want.Look, w.Want.Table = state.Moment.Want.Look, state.Moment.Want.Table
		if w.Want.Kind == recovery.WantBackup && w.Want.Table == "" {
			w.Component = "" // the one that has the backup
		}
	}
	if choice.Copy != "" && choice.Component != "" {
		w.Of, w.Stay = choice.Component, state.Moment
	}
	m, err := a.resolve(ctx, b, cat, w)
	if err != nil {
		return recovery.Amended{}, err
	}
	home, err := a.home()
	if err != nil {
		return recovery.Amended{}, err
	}
	history, err := home.History(b.System)
	if err != nil {
		return recovery.Amended{}, err
	}
	live := plan.Uncounted(old)
	losses, err := a.countLosses(ctx, b, cat, m, live)
	if err != nil { // the run waits, with the writes stopped perhaps: it may go on
		for i := range live {
			live[i].Effects.Gone = append(live[i].Effects.Gone, fmt.Sprintf("%s: what it loses could not be counted: %s", live[i].Component, a.redact(err.Error())))
		}
	}
	fresh, err := plan.Make(plan.Options{Losses: losses, Runbook: b.Runbook, Source: b.source, Engines: engines(), Mode: old.Mode, Moment: m, Switchers: switchers(), Live: live,
		Run: old.Run, Number: old.Number, Previous: old.Previous, Scratch: scratchOf(old), Created: old.Created, Expected: history.Expected, Keep: old.Keep, Begun: true})
	if err != nil {
		return recovery.Amended{}, err
	}
	return plan.Amend(state, old, fresh, a.operator(), "")
}

// scratchOf is the directory that a plan's scratch directory is made in.
func scratchOf(p *recovery.Plan) string {
	if own := ownScratch(p); own != "" {
		return filepath.Dir(own)
	}
	return ""
}

// ownScratch is the directory that the run of a plan has for itself; empty where it has
// none.
func ownScratch(p *recovery.Plan) string {
	for _, t := range p.Targets {
		if t.Scratch {
			return filepath.Dir(t.Place)
		}
	}
	return ""
}
