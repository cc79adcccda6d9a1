package plan

import (
	"context"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/runbooks"
	"comeback/storage"
)

// Logs are what tells of a moment what is lost by going back to it, and what harm it keeps: the
// logs in copies, and what is live.
type Logs struct {
	Runbook   *runbooks.Runbook
	Catalogue catalogue.Catalogue
	Switchers []recovery.Switcher
	// Open opens what a survey was made of.
	Open func(context.Context, recovery.Survey) (recovery.Engine, storage.Store, error)
	// Names are those of a component's relations for the log of a survey: of its live server,
	// by an address that may be empty, and of what was restored. The error says why the server
	// gives none; then there may be numbers in their place.
	Names func(ctx context.Context, component, address string, s recovery.Survey) (recovery.Names, error)
	// Redact takes secrets out of what is said.
	Redact func(string) string
	// Zone is by whose days it is told what is usual.
	Zone *time.Location
}

// Losses counts, from the logs or from live files, what going back to a moment loses of live
// targets so far. What cannot be counted is left out; the plan says so.
func (g Logs) Losses(ctx context.Context, m recovery.Moment, targets []recovery.Live) ([]recovery.Loss, error) {
	var all []recovery.Loss
	for _, l := range targets {
		p, ok := m.Point(l.Component)
		if !ok {
			continue
		}
		loss, counted, err := g.loss(ctx, l, p)
		if err != nil {
			return nil, err
		}
		if counted {
			all = append(all, loss)
		}
	}
	return all, nil
}

// loss counts what is lost of one target.
func (g Logs) loss(ctx context.Context, l recovery.Live, p recovery.Point) (loss recovery.Loss, counted bool, err error) {
	if i := slices.IndexFunc(g.Switchers, func(s recovery.Switcher) bool { return s.Kind() == l.Target.Switches }); i >= 0 {
		if loser, ok := g.Switchers[i].(recovery.LiveLoser); ok {
			loss, err = loser.LiveLoss(ctx, l, p)
			return loss, true, err
		}
	}
	survey, ok := g.Catalogue.SurveyOf(p)
	if !ok {
		return loss, false, nil
	}
	engine, store, err := g.Open(ctx, survey)
	if err != nil {
		return loss, false, err
	}
	loser, ok := engine.(recovery.Loser)
	if !ok || p.Timeline == 0 {
		return loss, false, nil
	}
	c, _ := g.Runbook.Component(l.Component)
	o := recovery.ScanOptions{Component: Component(c), Survey: survey, Store: store}
	var why error
	o.Names, why = g.Names(ctx, l.Component, l.Target.Address, survey.Lineage(p.Backup.Details[recovery.SystemIdentifier]))
	loss, err = loser.Loss(ctx, o, p)
	loss.AtLeast = loss.AtLeast || err == nil && !storage.Then(store).IsZero() // what came later is not seen
	if err != nil && !loss.AtLeast {
		return loss, false, catalogue.Explain(err, p.Copy)
	}
	if l.Only != "" {
		loss = loss.Only(l.Only)
	}
	if why != nil {
		loss.Unnamed = g.Redact(why.Error())
	}
	return loss, true, nil
}
