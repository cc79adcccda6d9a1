package plan_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/runbooks"
	"comeback/storage"
)

// counter is an engine that counts what it was told to.
type counter struct {
	recovery.Engine
	loss recovery.Loss
	err  error
	// asked is what it was asked with.
	asked *recovery.ScanOptions
}

func (c counter) Loss(_ context.Context, o recovery.ScanOptions, _ recovery.Point) (recovery.Loss, error) {
	*c.asked = o
	return c.loss, c.err
}

// aware is a switcher that counts by what is live.
type aware struct{ recovery.Switcher }

func (aware) Kind() recovery.ComponentKind { return recovery.Files }
func (aware) LiveLoss(_ context.Context, l recovery.Live, _ recovery.Point) (recovery.Loss, error) {
	return recovery.Loss{Component: l.Component, Commits: 7}, nil
}

// What is lost is counted from the log of the copy that a point is of, or by what is live; what
// nothing counts is left out, and what could be counted in part is the least that is lost.
func TestLogs_Losses(t *testing.T) {
	t.Parallel()
	loss := recovery.Loss{Component: "database", Commits: 9, Databases: []recovery.DatabaseLoss{{Name: "shop", Commits: 3}, {Name: "blog", Commits: 6}}}
	some := loss
	some.AtLeast = true
	database := recovery.Live{Component: "database", Target: recovery.Target{Switches: recovery.Postgres, Address: "${DATABASE_URL}"}}
	own := database
	own.Only = "shop"
	point := recovery.Point{Component: "database", Copy: "nearby", Engine: "pitr", Timeline: 1}
	dumped, elsewhere := point, point
	dumped.Timeline, elsewhere.Copy = 0, "offsite"
	for name, c := range map[string]struct {
		live    recovery.Live
		point   recovery.Point
		engine  counter
		names   error
		commits int64
		unnamed string
		fails   string
	}{
		"all of its cluster":           {live: database, point: point, engine: counter{loss: loss}, commits: 9},
		"its database alone":           {live: own, point: point, engine: counter{loss: loss}, commits: 3},
		"without names":                {live: database, point: point, engine: counter{loss: loss}, names: errors.New("no answer from secret"), commits: 9, unnamed: "no answer from ***"},
		"a part of the log is missing": {live: database, point: point, engine: counter{loss: some, err: errors.New("a gap")}, commits: 9},
		"the log cannot be read":       {live: database, point: point, engine: counter{loss: loss, err: errors.New("a gap")}, fails: "a gap"},
		"a dump":                       {live: database, point: dumped, engine: counter{loss: loss}},
		"no survey of the copy":        {live: database, point: elsewhere, engine: counter{loss: loss}},
		"another component's":          {live: recovery.Live{Component: "uploads"}, point: point, engine: counter{loss: loss}},
		"by what is live": {live: recovery.Live{Component: "database", Target: recovery.Target{Switches: recovery.Files}}, point: point,
			engine: counter{err: errors.New("the log is not asked")}, commits: 7},
	} {
		var asked recovery.ScanOptions
		c.engine.asked = &asked
		g := plan.Logs{Runbook: &runbooks.Runbook{System: "shop", Components: []runbooks.Component{{Name: "database", Kind: "postgres"}}},
			Catalogue: catalogue.Catalogue{Surveys: []recovery.Survey{{Component: "database", Copy: "nearby", Engine: "pitr"}}}, Switchers: []recovery.Switcher{aware{}},
			Open: func(context.Context, recovery.Survey) (recovery.Engine, storage.Store, error) {
				return c.engine, struct{ storage.Store }{}, nil
			},
			Names: func(_ context.Context, component, address string, _ recovery.Survey) (recovery.Names, error) {
				if component != "database" || address != "${DATABASE_URL}" {
					t.Errorf("%s: asked for the names of %q at %q", name, component, address)
				}
				return nil, c.names
			},
			Redact: func(text string) string { return strings.ReplaceAll(text, "secret", "***") }}
		all, err := g.Losses(t.Context(), recovery.Moment{Points: []recovery.Point{c.point}}, []recovery.Live{c.live})
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) || all != nil {
				t.Errorf("%s: %v, %v", name, all, err)
			}
		case err != nil, c.commits == 0 && len(all) > 0, c.commits > 0 && (len(all) != 1 || all[0].Commits != c.commits || all[0].Unnamed != c.unnamed):
			t.Errorf("%s: %+v, %v", name, all, err)
		case c.commits > 0 && c.live.Target.Switches == recovery.Postgres && asked.Component.Name != "database":
			t.Errorf("%s: the log of %q was read", name, asked.Component.Name)
		}
	}
}
