package main

import (
	"context"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// rescuePoint resolves where one of a rescue's copies goes to.
func (a *app) rescuePoint(ctx context.Context, b *book, cat catalogue.Catalogue, c recovery.Component, text, copy string) (recovery.Point, error) {
	want, err := recovery.ParseWant(text, a.now())
	if err != nil {
		return recovery.Point{}, err
	}
	return plan.ResolvePoint(ctx, cat, opener(b.secrets), b.Runbook, engines(), c, plan.Wanted{Want: want, Copy: copy})
}

// changes are what the log says that a transaction did to tables. Their names are
// not needed: the copy from before it knows their files.
func (a *app) changes(ctx context.Context, b *book, cat catalogue.Catalogue, c recovery.Component, p recovery.Point, xid recovery.XID) ([]recovery.TableChange, error) {
	for _, s := range cat.Surveys {
		if s.Component != c.Name || s.Copy != p.Copy || s.Engine != p.Engine {
			continue
		}
		engine, store, err := a.openSurvey(ctx, b, s)
		if err != nil {
			return nil, err
		}
		scanner, ok := engine.(recovery.Scanner)
		if !ok {
			break
		}
		o := recovery.ScanOptions{Component: c, Survey: s, Store: store, Span: recovery.Span{From: p.Kept.Time, To: p.Kept.Time}}
		for t, err := range scanner.Scan(ctx, o) {
			if err != nil {
				return nil, catalogue.Explain(err, s.Copy)
			}
			if t.XID == xid {
				return t.Tables, nil
			}
		}
		return nil, recovery.Errorf("name the tables with --table", "the log in %s does not tell what transaction %d did", s.Copy, xid).WithExit(recovery.Refused)
	}
	return nil, recovery.Errorf("choose a copy that holds the log", "nothing in %s tells what transaction %d did", p.Copy, xid).WithExit(recovery.Refused)
}
