package aftermath_test

import (
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/runner"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// Old data of a database and of a tree, as the run 7c31 has put them aside: the time of both
// has come.
var (
	database = recovery.Old{Component: "database", Target: "db1/shop", Place: "shop_old_7c31", Until: now.Add(-time.Hour)}
	uploads  = recovery.Old{Component: "uploads", Target: "srv1/uploads", Place: "/srv/uploads.old-7c31", Until: now.Add(-time.Hour), Since: now.Add(-24 * time.Hour)}
)

// recovered is the run that has put both aside.
func recovered() runner.Past {
	return runner.Past{ID: "7c31", Plan: &recovery.Plan{Run: "7c31", System: "shop", Mode: recovery.Recovery, Components: []recovery.Component{
		{Name: "database", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}}},
		State: recovery.State{System: "shop", Result: recovery.ResultPassed, Old: []recovery.Old{database, uploads}}}
}

// child is a run that followed 7c31.
func child(id string, plan recovery.Plan, state recovery.State) runner.Past {
	plan.Run, plan.Parent = id, "7c31"
	return runner.Past{ID: id, Plan: &plan, State: state}
}

// entered are the claims of a switch back that gave up.
func entered(step string, kind recovery.ResourceKind, adopted bool) recovery.State {
	return recovery.State{Result: recovery.ResultFailed, Claims: []recovery.ClaimState{{Resource: recovery.Resource{Kind: kind, ID: "x"}, Step: step, Adopted: adopted, Released: now}}}
}

func TestKeeps(t *testing.T) {
	later, undated, served := database, uploads, database
	handed := recovery.HandedOver{Component: "uploads", Tree: "/srv/comeback-7c31.uploads/uploads", Place: "/srv/comeback-7c31.uploads"}.Old()
	later.Until, undated.Since, served.Served = now.Add(time.Second), time.Time{}, true
	removes := recovery.Plan{Expires: []recovery.Old{database}}
	for name, test := range map[string]struct {
		old  recovery.Old
		runs []runner.Past
		open []string
		want aftermath.Reason
	}{
		"its time has come":                       {old: database},
		"that of a tree has":                      {old: uploads},
		"its time is now":                         {old: recovery.Old{Component: "database", Until: now}},
		"it has no time":                          {old: recovery.Old{Component: "database"}},
		"its time has not come":                   {old: later, want: aftermath.Reason{Why: aftermath.Early, Until: later.Until}},
		"before the to-dos":                       {old: later, open: []string{"look"}, want: aftermath.Reason{Why: aftermath.Early, Until: later.Until}},
		"to-dos are open":                         {old: database, open: []string{"look", "tell"}, want: aftermath.Reason{Why: aftermath.Unsettled, Open: 2}},
		"of a server they keep nothing":           {old: served, open: []string{"look"}},
		"nor of a tree that was handed over":      {old: handed, open: []string{"look"}},
		"a tree of which nobody knows since when": {old: undated, want: aftermath.Reason{Why: aftermath.Undated}},
		"an expiry removed it": {old: database, runs: []runner.Past{child("8d01", removes, recovery.State{Result: recovery.ResultPassed})},
			want: aftermath.Reason{Why: aftermath.Removed, Run: "8d01"}},
		"an expiry removed something else": {old: uploads, runs: []runner.Past{child("8d01", removes, recovery.State{Result: recovery.ResultPassed})}},
		"an expiry failed":                 {old: database, runs: []runner.Past{child("8d01", removes, recovery.State{Result: recovery.ResultFailed})}},
		"that of another run": {old: database, runs: []runner.Past{{ID: "8d01", Plan: &recovery.Plan{Parent: "6b20", Expires: removes.Expires},
			State: recovery.State{Result: recovery.ResultPassed}}}},
		"a run that cannot be read": {old: database, runs: []runner.Past{{ID: "8d01", Problem: recovery.ErrGone}}},
		"a switch back opened it and gave up": {old: database, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("database.open", recovery.Opened, false))},
			want: aftermath.Reason{Why: aftermath.Entered, Run: "8d01"}},
		"before its time, too": {old: later, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("database.open", recovery.Opened, false))},
			want: aftermath.Reason{Why: aftermath.Entered, Run: "8d01"}},
		"a switch back opened it for good":                {old: database, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("database.open", recovery.Opened, true))}},
		"a switch back opened another component":          {old: uploads, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("database.open", recovery.Opened, false))}},
		"a database that is exchanged is not yet open":    {old: database, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("database.exchange", recovery.Exchanged, false))}},
		"a tree is open as soon as it is exchanged":       {old: uploads, runs: []runner.Past{child("8d01", recovery.Plan{}, entered("uploads.exchange", recovery.Exchanged, false))}, want: aftermath.Reason{Why: aftermath.Entered, Run: "8d01"}},
		"what was removed is gone, whatever was its time": {old: later, runs: []runner.Past{child("8d01", removes, recovery.State{Result: recovery.ResultPassed})}, want: aftermath.Reason{Why: aftermath.Removed, Run: "8d01"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := aftermath.Keeps(recovered(), test.old, test.runs, test.open, now); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// A to-do is open until an expiry of this run was told that it is done.
func TestOpen(t *testing.T) {
	r := recovered()
	r.State.Steps = []recovery.StepState{{Outcome: recovery.Outcome{ToDo: []string{"look", "tell"}}}}
	if got := aftermath.Open(r, nil); !slices.Equal(got, []string{"look", "tell"}) {
		t.Errorf("open are %q", got)
	}
	runs := []runner.Past{child("8d01", recovery.Plan{Settled: []string{"look"}}, recovery.State{}),
		{ID: "8d02", Plan: &recovery.Plan{Parent: "6b20", Settled: []string{"tell"}}}}
	if got := aftermath.Open(r, runs); !slices.Equal(got, []string{"tell"}) {
		t.Errorf("open are %q", got)
	}
	r.Settled = []runner.Settlement{{ToDo: "tell"}}
	if got := aftermath.Open(r, runs); len(got) > 0 {
		t.Errorf("open are %q", got)
	}
}

// A run was switched back by the child that has put something aside itself.
func TestSwitchedBack(t *testing.T) {
	gaveUp := child("8d01", recovery.Plan{}, entered("database.open", recovery.Opened, false))
	back := child("8d02", recovery.Plan{}, recovery.State{Old: []recovery.Old{{Component: "database", Place: "shop_old_8d02"}}})
	for by, runs := range map[string][]runner.Past{"": {gaveUp}, "8d02": {gaveUp, back}} {
		if got := aftermath.SwitchedBack(recovered(), runs); got != by {
			t.Errorf("switched back by %q, want %q", got, by)
		}
	}
}

// A run is undone by the child that has put all of it aside, until that one is switched back
// itself; a run that is undone leaves nothing to do.
func TestUndone(t *testing.T) {
	r := recovered()
	r.State.Steps = []recovery.StepState{{Outcome: recovery.Outcome{ToDo: []string{"decide about the old files"}}}}
	aside := func(components ...string) (s recovery.State) {
		for _, c := range components {
			s.Old = append(s.Old, recovery.Old{Component: c, Place: c + "_old"})
		}
		return s
	}
	half, whole := child("8d01", recovery.Plan{}, aside("database")), child("8d02", recovery.Plan{}, aside("database", "uploads"))
	again := child("8d03", recovery.Plan{}, aside("database", "uploads"))
	again.Plan.Parent = "8d02"
	for name, test := range map[string]struct {
		runs []runner.Past
		by   string
	}{
		"no child":           {},
		"one component only": {runs: []runner.Past{half}},
		"all of it":          {runs: []runner.Past{half, whole}, by: "8d02"},
		"and switched again": {runs: []runner.Past{whole, again}},
	} {
		t.Run(name, func(t *testing.T) {
			by := ""
			if u := aftermath.Undone(r, test.runs); u != nil {
				by = u.ID
			}
			if open := aftermath.Open(r, test.runs); by != test.by || (len(open) == 0) != (test.by != "") {
				t.Errorf("undone by %q, open are %q; want by %q", by, open, test.by)
			}
		})
	}
}

// What a run did not give back is there until a child has given it back; what a recovery
// kept on purpose is no claim.
func TestHeld(t *testing.T) {
	r := runner.Past{ID: "7c31", Plan: &recovery.Plan{Run: "7c31", Mode: recovery.Recovery}, State: recovery.State{Result: recovery.ResultFailed, Claims: []recovery.ClaimState{
		{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "a"}},
		{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "b"}},
		{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "c"}, OnPurpose: true},
	}}}
	gives := func(result recovery.Result, released time.Time) runner.Past {
		return child("8d01", recovery.Plan{GivesBack: []recovery.Resource{{Kind: recovery.Cluster, ID: "a"}}},
			recovery.State{Result: result, Claims: []recovery.ClaimState{{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "a"}, Released: released}}})
	}
	ids := func(claims []recovery.ClaimState) (all []string) {
		for _, c := range claims {
			all = append(all, c.ID)
		}
		return all
	}
	if h := aftermath.Held(r, nil); !slices.Equal(ids(h.Still), []string{"a", "b"}) || len(h.Gone) > 0 || h.Under != nil {
		t.Errorf("without children: %+v", h)
	}
	if h := aftermath.Held(r, []runner.Past{gives("", time.Time{})}); !slices.Equal(ids(h.Still), []string{"a", "b"}) || h.Under == nil || h.Under.ID != "8d01" {
		t.Errorf("while a child gives back: %+v", h)
	}
	h := aftermath.Held(r, []runner.Past{gives(recovery.ResultPassed, now)})
	if !slices.Equal(ids(h.Still), []string{"b"}) || len(h.Gone) != 1 || h.Gone[0].By != "8d01" || h.Under != nil {
		t.Errorf("after a child gave back: %+v", h)
	}
	then := h.Now(r.State)
	if got := ids(then.Held()); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("now it holds %q", got)
	}
	if got := ids(r.State.Held()); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the state that was folded has changed: %q", got)
	}
	r.Plan.Mode = recovery.Rehearsal
	if h := aftermath.Held(r, nil); !slices.Equal(ids(h.Still), []string{"a", "b", "c"}) {
		t.Errorf("a rehearsal holds %q", ids(h.Still))
	}
}
