package plan_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// What was made in scratch goes without a word; what was made of live wants its name, and
// so does what nobody knows any more who has made it.
func TestGiveBack_asksForTheName(t *testing.T) {
	parent := &recovery.Plan{Format: plan.Format, Run: "7c31", System: "shop", Mode: recovery.Recovery, Confirm: "db1/shop",
		Targets: []recovery.Target{{ID: "scratch/database", Scratch: true, Place: "/var/tmp/comeback-7c31/database"},
			{ID: "live/database", Place: "db1/shop", Name: "db1/shop", Within: "cluster 7"}},
		Live: []recovery.Live{{Component: "database", Target: recovery.Target{ID: "live/database"}}},
		Steps: []recovery.Step{{ID: "database.restore", Writes: []recovery.TargetID{"scratch/database"}},
			{ID: "database.swap", Writes: []recovery.TargetID{"live/database"}}}}
	state := recovery.NewState(parent)
	held := func(step string) recovery.ClaimState {
		return recovery.ClaimState{Step: step, Resource: recovery.Resource{Kind: recovery.Directory, ID: "/held/by/" + step}}
	}
	for name, c := range map[string]struct {
		held    []recovery.ClaimState
		confirm string
		live    int
	}{
		"scratch":      {[]recovery.ClaimState{held("database.restore")}, "", 0},
		"live":         {[]recovery.ClaimState{held("database.restore"), held("database.swap")}, "db1/shop", 1},
		"of no step":   {[]recovery.ClaimState{held("gone")}, "db1/shop", 1},
		"live, by two": {[]recovery.ClaimState{held("database.swap"), held("database.swap")}, "db1/shop", 1},
	} {
		p := plan.GiveBack(plan.GiveBackOptions{Parent: parent, State: &state, Held: c.held, Options: plan.Options{Run: "8d42", Number: 2}})
		if p.Confirm != c.confirm || len(p.Live) != c.live || len(p.Targets) != c.live {
			t.Errorf("%s: confirm %q, live %v, targets %v", name, p.Confirm, p.Live, p.Targets)
		}
		var order []recovery.Resource
		for _, claim := range c.held {
			order = append(order, claim.Resource)
		}
		if p.Parent != "7c31" || !slices.EqualFunc(p.GivesBack, order, func(a, b recovery.Resource) bool { return a.ID == b.ID }) {
			t.Errorf("%s: a child of %s, gives back %v", name, p.Parent, p.GivesBack)
		}
	}
}
