package plan_test

import (
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// What was made in scratch is given back; nothing is where any of it was made of live, or
// where nobody knows any more what has made it.
func TestGiveBack(t *testing.T) {
	parent := &recovery.Plan{Format: plan.Format, Run: "7c31", System: "shop", Mode: recovery.Recovery, Confirm: "db1/shop",
		Targets: []recovery.Target{{ID: "scratch/database", Scratch: true, Place: "/var/tmp/comeback-7c31/database"},
			{ID: "beside/database", Place: "db1/shop", Beside: true}, {ID: "live/database", Place: "db1/shop", Name: "db1/shop", Within: "cluster 7"}},
		Live: []recovery.Live{{Component: "database", Target: recovery.Target{ID: "live/database"}}},
		Steps: []recovery.Step{{ID: "database.restore", Writes: []recovery.TargetID{"scratch/database"}},
			{ID: "database.load", Writes: []recovery.TargetID{"beside/database"}}, {ID: "database.fence", Writes: []recovery.TargetID{"live/database"}},
			{ID: "database.swap", Writes: []recovery.TargetID{"live/database"}}}}
	state := recovery.NewState(parent)
	held := func(step string) recovery.ClaimState {
		return recovery.ClaimState{Step: step, Resource: recovery.Resource{Kind: recovery.Directory, ID: "/held/by/" + step}}
	}
	closed := recovery.ClaimState{Step: "database.fence", Resource: recovery.Resource{Kind: recovery.Fenced, ID: "db1/shop"}}
	for name, c := range map[string]struct {
		held []recovery.ClaimState
		says string
	}{
		"scratch":           {[]recovery.ClaimState{held("database.restore")}, ""},
		"beside":            {[]recovery.ClaimState{held("database.load")}, ""},
		"a fence":           {[]recovery.ClaimState{closed}, ""},
		"a fence, and live": {[]recovery.ClaimState{held("database.swap"), closed}, "still holds the directory /held/by/database.swap"},
		"live":              {[]recovery.ClaimState{held("database.restore"), held("database.swap")}, "still holds the directory /held/by/database.swap, which was made of what is live"},
		"of no step":        {[]recovery.ClaimState{held("gone")}, "still holds the directory /held/by/gone"},
	} {
		p, err := plan.GiveBack(plan.GiveBackOptions{Parent: parent, State: &state, Held: c.held, Options: plan.Options{Run: "8d42", Number: 2}})
		if c.says != "" {
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || p.Parent != "7c31" || p.Confirm != "" || len(p.GivesBack) != 1 || p.GivesBack[0].ID != c.held[0].ID {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
