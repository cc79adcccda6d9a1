package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/plan"
	"comeback/recovery/runner"
	"comeback/recovery/verify"

	"github.com/jackc/pgx/v5"
)

// lookedLost is the first transaction that is lost, as the log and the restored
// copy tell it: a table that it drops is still there, and has its name.
type lookedLost struct {
	recovery.Transaction
	// Says is it in words.
	Says string `json:"says"`
}

// firstLost reads what the first transaction after a run's moment did. The names
// are those of the copy, which stands just before it. It is nil where the moment
// has none, or where the engine reads no log.
func (a *app) firstLost(ctx context.Context, r runner.Past, component string, conn *pgx.Conn, counted []verify.TableRows) (*lookedLost, error) {
	p, ok := r.State.Moment.Point(component)
	if !ok || p.Lost.LSN == 0 {
		return nil, nil
	}
	b, _, err := a.openFollowed(ctx, r.Plan.Runbook.Path)
	if err != nil {
		return nil, err
	}
	b.readAs(r.Plan)
	components, copies := plan.Restored(b.Runbook), plan.Copies(b.Runbook)
	c := slices.IndexFunc(components, func(c recovery.Component) bool { return c.Name == component })
	cp := slices.IndexFunc(copies, func(c recovery.Copy) bool { return c.Name == p.Copy })
	if c < 0 || cp < 0 {
		return nil, recovery.Errorf("look into the runbook", "the runbook does not know %s in %s any more", component, p.Copy)
	}
	engine, store, err := a.openSurvey(ctx, b, recovery.Survey{Engine: p.Engine, Copy: p.Copy})
	if err != nil {
		return nil, err
	}
	scanner, ok := engine.(recovery.Scanner)
	if !ok {
		return nil, nil
	}
	survey, err := engine.Survey(ctx, components[c], copies[cp], neighbours.See(components[c], store))
	if err != nil {
		return nil, err
	}
	names, err := scan.ReadNames(ctx, conn)
	if err != nil {
		return nil, err
	}
	o := recovery.ScanOptions{Component: components[c], Survey: survey, Store: store, Names: names, Span: recovery.Span{From: p.Lost.Time, To: p.Lost.Time}}
	for t, err := range scanner.Scan(ctx, o) {
		if err != nil {
			return nil, err
		}
		if t.LSN == p.Lost.LSN {
			for i := range t.Tables { // they were counted just now, at this moment
				k := slices.IndexFunc(counted, func(c verify.TableRows) bool { return c.Table == t.Tables[i].Name })
				if k >= 0 && counted[k].Rows >= 0 {
					t.Tables[i].Rows, t.Tables[i].Dated = counted[k].Rows, counted[k].Estimate
				}
			}
			n := namer{names: names, home: conn.Config().Database, unnamed: map[uint32]bool{}}
			return &lookedLost{t, fmt.Sprintf("first lost  xid %d of %s: %s", t.XID, t.Time.In(a.now().Location()).Format(time.RFC3339Nano), n.line(t, recovery.Usual{}))}, nil
		}
	}
	return nil, nil
}
