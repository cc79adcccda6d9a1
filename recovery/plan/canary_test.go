package plan_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// A canary restores one table, waits for a person who looks, and lists all else
// as not checked.
func TestMake_canary(t *testing.T) {
	rb := parse(t, amended)
	m := recovery.Moment{Want: recovery.Want{Kind: recovery.WantLatest, Text: "latest", Table: "carts"}, Anchor: "database",
		Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "dump", Backup: recovery.Backup{ID: "nightly"}}}}
	p, err := plan.Make(plan.Options{Runbook: rb, Mode: recovery.Rehearsal, Moment: m, Engines: []recovery.Engine{tape{"dump"}}, Run: "7c31", Scratch: "/var/tmp", Created: at})
	if err != nil {
		t.Fatal(err)
	}
	var steps, unchecked, skipped []string
	for _, s := range p.Steps {
		steps = append(steps, s.ID)
	}
	for _, n := range p.NotExecuted {
		if n.Why != "only carts comes back" {
			t.Errorf("%s: %s", n.What, n.Why)
		}
		if n.Check {
			unchecked = append(unchecked, n.What)
		} else {
			skipped = append(skipped, n.What)
		}
	}
	if want := []string{"database.cluster", "database.restore", "database.settle", "database.look"}; !slices.Equal(steps, want) {
		t.Errorf("the steps are %q", steps)
	}
	if want := []string{"all of database but carts", "check: orders", "wait: index"}; !slices.Equal(unchecked, want) {
		t.Errorf("not checked are %q", unchecked)
	}
	if want := []string{"1 item to tick", "approval by lead", "restore [stats]", "run: smoke", "1 item to tick"}; !slices.Equal(skipped, want) {
		t.Errorf("left out are %q", skipped)
	}
}
