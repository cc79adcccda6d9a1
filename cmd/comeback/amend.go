package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

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
	b.readAs(old)
	cat, err := a.survey(ctx, b, nil)
	if err != nil {
		return recovery.Amended{}, err
	}
	w, err := wantedNow(old, state.Moment, choice, a.now())
	if err != nil {
		return recovery.Amended{}, err
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
	losses, err := a.logs(b, cat).Losses(ctx, m, live)
	if err != nil { // the run waits, with the writes stopped perhaps: it may go on
		for i := range live {
			live[i].Effects.Gone = append(live[i].Effects.Gone, fmt.Sprintf("%s: what it loses could not be counted: %s", live[i].Component, a.redact(err.Error())))
		}
	}
	a.warnOfShrinking(b, cat, &m)
	a.logs(b, cat).WarnOfHarm(ctx, &m, live)
	fresh, err := plan.Make(plan.Options{Losses: losses, Runbook: b.Runbook, Source: b.source, Engines: engines(), Mode: old.Mode, Moment: m, Switchers: switchers(), Live: live,
		Run: old.Run, Number: old.Number, Previous: old.Previous, Scratch: scratchOf(old), Created: old.Created, Expected: history.Expected, Keep: old.Keep, Begun: true})
	if err != nil {
		return recovery.Amended{}, err
	}
	return plan.Amend(state, old, fresh, a.operator(), "")
}

// wantedNow is what a choice asks for of a run that goes back to a moment. That stays as it
// was asked for then, unless another is, and so does the component that decides.
func wantedNow(p *recovery.Plan, m recovery.Moment, choice tui.Choice, now time.Time) (plan.Wanted, error) {
	w := plan.Wanted{Want: m.Want, Component: m.Anchor, Copy: choice.Copy, Engine: choice.Engine}
	if choice.Want != "" {
		var err error
		if w.Want, err = recovery.ParseWant(choice.Want, now); err != nil {
			return w, err
		}
		w.Want.Look, w.Want.Table = m.Want.Look, m.Want.Table
		switch {
		case w.Want.Kind == recovery.WantBackup && w.Want.Table == "":
			w.Component = "" // the one that has the backup
		case m.Want.Kind == recovery.WantBackup && m.Want.Table == "" && !slices.ContainsFunc(p.Components, func(c recovery.Component) bool {
			return c.Name == m.Anchor && c.Kind == recovery.Postgres
		}):
			w.Component = "" // it decided since it had the backup; to its last one the databases do not go back
		}
	}
	if choice.Copy != "" && choice.Component != "" {
		w.Of, w.Stay = choice.Component, m
	}
	return w, nil
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
