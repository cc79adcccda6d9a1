package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/rescue"
	"comeback/storage"
)

// lookLive reads the live targets of a recovery, side by side with nothing: each
// is a few queries. A rehearsal looks at none.
func (a *app) lookLive(ctx context.Context, b *book, mode recovery.Mode) ([]recovery.Live, error) {
	if mode != recovery.Recovery {
		return nil, nil
	}
	var all []recovery.Live
	for _, c := range plan.Switched(b.Runbook) {
		s, ok := switcher(switched(c.Kind, c.With))
		if !ok {
			continue // the planner refuses it in its own words
		}
		l, err := s.Look(ctx, c, plan.Copies(b.Runbook), b.secrets.Expand)
		if err != nil {
			return nil, fmt.Errorf("look at the live %s: %w", c.Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// countLosses reads from the log of the copies, or from live files, what going back to the moment loses
// so far. What cannot be counted is left out; the plan says so.
func (a *app) countLosses(ctx context.Context, b *book, cat catalogue.Catalogue, m recovery.Moment, targets []recovery.Live) ([]recovery.Loss, error) {
	var all []recovery.Loss
	for _, l := range targets {
		p, ok := m.Point(l.Component)
		if !ok {
			continue
		}
		if s, ok := switcher(l.Target.Switches); ok {
			if loser, ok := s.(recovery.LiveLoser); ok {
				loss, err := loser.LiveLoss(ctx, l, p)
				if err != nil {
					return nil, err
				}
				all = append(all, loss)
				continue
			}
		}
		survey, ok := cat.SurveyOf(p)
		if !ok {
			continue
		}
		engine, store, err := a.openSurvey(ctx, b, survey)
		if err != nil {
			return nil, err
		}
		loser, ok := engine.(recovery.Loser)
		if !ok || p.Timeline == 0 {
			continue
		}
		c, _ := b.Component(l.Component)
		o := recovery.ScanOptions{Component: plan.Component(c), Survey: survey, Store: store}
		var unnamed string
		if address, err := b.secrets.Expand(l.Target.Address); err == nil {
			var why error
			if o.Names, why = namesOf(ctx, address); why != nil {
				unnamed = a.redact(why.Error())
			}
		}
		o.Names = a.besideRestored(ctx, b, l.Component, survey.Lineage(p.Backup.Details[recovery.SystemIdentifier]), o.Names)
		loss, err := loser.Loss(ctx, o, p)
		loss.AtLeast = loss.AtLeast || err == nil && !storage.Then(store).IsZero() // what came later is not seen
		if err != nil && !loss.AtLeast {
			return nil, catalogue.Explain(err, p.Copy)
		}
		if l.Only != "" {
			loss = loss.Only(l.Only)
		}
		loss.Unnamed = unnamed
		all = append(all, loss)
	}
	return all, nil
}

// namesOf are the names of a live server's relations; nil, and why, where it gives
// none: what is counted is then counted by numbers.
func namesOf(ctx context.Context, address string) (recovery.Names, error) {
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	names, err := readNames(ctx, address)
	if err != nil {
		return nil, err
	}
	return names, nil
}

// readNames asks a live server for the names of its relations.
func readNames(ctx context.Context, address string) (*scan.Map, error) {
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return scan.ReadNames(ctx, conn)
}

// identifier reads the identity of a live target anew.
func identifier(expand func(string) (string, error)) func(context.Context, recovery.Target) (recovery.Identity, error) {
	return func(ctx context.Context, t recovery.Target) (recovery.Identity, error) {
		if t.Switches == rescue.Into {
			return rescue.Identify(ctx, t, expand)
		}
		s, ok := switcher(t.Switches)
		if !ok {
			return nil, recovery.Errorf("use the version of comeback that made the plan",
				"refused: this version knows no live targets of the kind %q", t.Switches).WithExit(recovery.Refused)
		}
		return s.Identify(ctx, t, expand)
	}
}

func switcher(kind recovery.ComponentKind) (recovery.Switcher, bool) {
	all := switchers()
	i := slices.IndexFunc(all, func(s recovery.Switcher) bool { return s.Kind() == kind })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// saveNames writes the names of a live server's relations.
func saveNames(ctx context.Context, address string, w io.Writer) error {
	names, err := readNames(ctx, address)
	if err != nil {
		return err
	}
	return scan.EncodeNames(w, names)
}

// loadNames reads what saveNames has written.
func loadNames(r io.Reader) (recovery.Names, error) { return scan.DecodeNames(r) }
