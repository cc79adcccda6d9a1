package main

import (
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/bucket"
	"comeback/recovery/runner"
)

// Whoever runs a system next is told of the old data for which `comeback expire` has a use:
// what it removes, and what only the to-dos of its run keep.
func TestExpired(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	due := now.Add(-time.Hour)
	database := recovery.Old{Component: "database", Target: "db1/shop", Place: "shop_old_7c31", Until: due}
	run := func(state recovery.State) runner.Past {
		state.System, state.Result = "shop", recovery.ResultPassed
		return runner.Past{ID: "7c31", State: state, Plan: &recovery.Plan{Run: "7c31",
			Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}, {Name: "bucket", Kind: recovery.Files}},
			Targets:    []recovery.Target{{ID: "bucket", Switches: bucket.Live}}}}
	}
	aside := func(old recovery.Old, toDos ...string) runner.Past {
		return run(recovery.State{Old: []recovery.Old{old}, Steps: []recovery.StepState{{Outcome: recovery.Outcome{ToDo: toDos}}}})
	}
	child := func(p recovery.Plan, s recovery.State) runner.Past {
		p.Parent = "7c31"
		return runner.Past{ID: "8d01", Plan: &p, State: s}
	}
	early := database
	early.Until = now.Add(time.Hour)
	const comes = "the time of shop_old_7c31, which run 7c31 has put aside, has come"
	for name, test := range map[string]struct {
		runs []runner.Past
		want string
	}{
		"nothing keeps it":           {[]runner.Past{aside(database)}, comes + ": comeback expire 7c31"},
		"its time has not come":      {[]runner.Past{aside(early)}, ""},
		"one to-do is open":          {[]runner.Past{aside(database, "look")}, comes + ", and 1 to-do of that run is open: comeback expire"},
		"two to-dos are open":        {[]runner.Past{aside(database, "look", "tell")}, comes + ", and 2 to-dos of that run are open: comeback expire"},
		"a to-do is done":            {[]runner.Past{aside(database, "look"), child(recovery.Plan{Settled: []string{"look"}}, recovery.State{})}, comes + ": comeback expire 7c31"},
		"people were let into it":    {[]runner.Past{aside(database), child(recovery.Plan{}, recovery.State{Claims: []recovery.ClaimState{{Resource: recovery.Resource{Kind: recovery.Opened}, Step: "database.open", Released: due}}})}, ""},
		"it was removed":             {[]runner.Past{aside(database), child(recovery.Plan{Expires: []recovery.Old{database}}, recovery.State{Result: recovery.ResultPassed})}, ""},
		"it is live again":           {[]runner.Past{aside(database), child(recovery.Plan{}, recovery.State{Old: []recovery.Old{{Component: "database"}}})}, ""},
		"nobody knows since when":    {[]runner.Past{aside(recovery.Old{Component: "uploads", Place: "/srv/uploads.old-7c31", Until: due})}, ""},
		"versions stay in place":     {[]runner.Past{aside(recovery.Old{Component: "bucket", Target: "bucket", Place: "uploads/versions", Until: due, Since: due})}, ""},
		"a run that cannot be read":  {[]runner.Past{{ID: "7c31", Problem: recovery.ErrGone, State: recovery.State{System: "shop", Old: []recovery.Old{database}}}}, ""},
		"a server is no old data":    {[]runner.Past{run(recovery.State{HandedOver: []recovery.HandedOver{{}}})}, ""},
		"it is of another component": {[]runner.Past{aside(database), child(recovery.Plan{Expires: []recovery.Old{{Component: "uploads", Place: database.Place}}}, recovery.State{Result: recovery.ResultPassed})}, comes + ": comeback expire 7c31"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if got := expired(test.runs, "shop", now); !slices.Equal(got, want) {
				t.Errorf("says %q, want %q", got, want)
			}
			if got := expired(test.runs, "others", now); len(got) > 0 {
				t.Errorf("whoever runs another system is told %q", got)
			}
		})
	}
}
