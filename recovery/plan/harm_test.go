package plan_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/runbooks"
	"comeback/storage"
)

// scanned is an engine whose log tells what it was told to, newest first, and may end with an
// error.
type scanned struct {
	recovery.Engine
	log []recovery.Transaction
	err error
}

func (s scanned) Scan(_ context.Context, o recovery.ScanOptions) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		for _, t := range s.log {
			if !t.Time.Before(o.Span.From) && !t.Time.After(o.Span.To) && !yield(t, nil) {
				return
			}
		}
		if s.err != nil {
			yield(recovery.Transaction{}, s.err)
		}
	}
}

// purged is a transaction that has deleted most of the sessions.
func purged(xid recovery.XID, at time.Time) recovery.Transaction {
	return recovery.Transaction{Commit: recovery.Commit{XID: xid, Time: at, LSN: recovery.LSN(at.Unix())}, How: recovery.Committed,
		Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "sessions", Of: "table", Rows: 100_000}, Deleted: 60_000}}}
}

// A moment is told what harm of the day before it keeps, with how to go to before that: no harm
// that happens on most days, none from after it; and that the log could not be read.
func TestLogs_WarnOfHarm(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	harm := purged(81214, at.Add(-time.Hour))
	var nightly []recovery.Transaction
	for d := range 8 {
		nightly = append(nightly, purged(recovery.XID(90-d), harm.Time.AddDate(0, 0, -d)))
	}
	const before = "the nearest moment before: --to before-xid:81214"
	for name, c := range map[string]struct {
		engine scanned
		copy   string
		want   []string
	}{
		"one":                      {scanned{log: []recovery.Transaction{harm}}, "nearby", []string{recovery.KeepsHarm, before}},
		"none":                     {scanned{}, "nearby", nil},
		"after the moment":         {scanned{log: []recovery.Transaction{purged(1, at.Add(time.Minute))}}, "dumps", nil},
		"of the log beside a dump": {scanned{log: []recovery.Transaction{harm}}, "dumps", []string{recovery.KeepsHarm, before}},
		"older than a day":         {scanned{log: []recovery.Transaction{purged(1, at.AddDate(0, 0, -2))}}, "nearby", nil},
		"each night":               {scanned{log: nightly}, "nearby", nil},
		"and the log ends":         {scanned{log: []recovery.Transaction{harm}, err: errors.New("a gap near secret")}, "nearby", []string{before, "whether it keeps harm of the day before is not known: a gap near ***"}},
	} {
		p := recovery.Point{Component: "database", Copy: c.copy, Engine: "pitr", Timeline: 1, Time: at, Warnings: []string{"first"}}
		if c.copy == "dumps" {
			p.Engine, p.Timeline = "dump", 0
		}
		m := recovery.Moment{Points: []recovery.Point{p, {Component: "uploads", Time: at}}}
		points := m.Points
		g := plan.Logs{Runbook: &runbooks.Runbook{System: "shop", Components: []runbooks.Component{{Name: "database", Kind: "postgres"}, {Name: "uploads", Kind: "files"}},
			Stages: []runbooks.Stage{{Blocks: []runbooks.Block{runbooks.Restore{Components: []string{"database", "uploads"}}}}}},
			Catalogue: catalogue.Catalogue{Surveys: []recovery.Survey{{Component: "database", Copy: "nearby", Engine: "pitr", Windows: []recovery.Window{{
				From: recovery.Instant{Time: at.AddDate(0, 0, -30), LSN: 1}, To: recovery.Instant{Time: at, LSN: recovery.LSN(at.Unix())}}}}}},
			Open: func(context.Context, recovery.Survey) (recovery.Engine, storage.Store, error) {
				return c.engine, struct{ storage.Store }{}, nil
			},
			Names:  func(context.Context, string, string, recovery.Survey) (recovery.Names, error) { return nil, nil },
			Redact: func(text string) string { return strings.ReplaceAll(text, "secret", "***") }, Zone: time.UTC}
		g.WarnOfHarm(t.Context(), &m, nil)
		says := strings.Join(m.Points[0].Warnings[1:], "\n")
		if len(points[0].Warnings) != 1 || len(m.Points[1].Warnings) > 0 || len(c.want) == 0 && says != "" {
			t.Errorf("%s: it says %q", name, says)
		}
		for _, want := range c.want {
			if !strings.Contains(says, want) {
				t.Errorf("%s: it says %q, without %q", name, says, want)
			}
		}
	}
}
