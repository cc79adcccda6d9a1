package plan_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// A rescue restores a component twice, side by side, and what needs both copies
// comes after both; only what writes to live needs the typed name.
func TestRescue(t *testing.T) {
	rb := parse(t, amended)
	point := recovery.Point{Component: "database", Copy: "nearby", Engine: "dump", Backup: recovery.Backup{ID: "nightly"}}
	live := recovery.Target{ID: "live/database", Name: "db1/shop", Component: "database", Identity: recovery.Identity{"database oid": "5"}}
	for _, apply := range []bool{true, false} {
		var copies []string
		p, err := plan.Rescue(plan.RescueOptions{Options: plan.Options{Runbook: rb, Engines: []recovery.Engine{tape{"dump"}}, Run: "7c31", Scratch: "/var/tmp", Created: at},
			Component: "database", Before: point, After: &point, Target: live,
			Steps: func(before, after string, scratch recovery.Target) []recovery.Step {
				copies = []string{before, after, string(scratch.ID), scratch.Place}
				look := recovery.Step{ID: "diff", Writes: []recovery.TargetID{scratch.ID}}
				do := recovery.Step{ID: "apply", Stage: 1, After: []string{"diff"}, Writes: []recovery.TargetID{live.ID}}
				if !apply {
					return []recovery.Step{look}
				}
				return []recovery.Step{look, do}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"database.before", "database.after", "scratch/database.rescue", "/var/tmp/comeback-7c31/database.rescue"}; !slices.Equal(copies, want) {
			t.Errorf("the copies are %q", copies)
		}
		diff, ok := p.Step("database.diff")
		if !ok || !slices.Equal(diff.After, []string{"database.before.settle", "database.after.settle"}) || diff.Stage != 1 {
			t.Errorf("what compares them: %+v", diff)
		}
		var targets []recovery.TargetID
		for _, target := range p.Targets {
			targets = append(targets, target.ID)
		}
		want, confirm := []recovery.TargetID{"scratch/database.before", "scratch/database.after", "scratch/database.rescue"}, ""
		if apply {
			want, confirm = append(want, live.ID), live.Name
			if s, ok := p.Step("database.apply"); !ok || s.Stage != 2 || !slices.Equal(s.After, []string{"database.diff"}) {
				t.Errorf("what brings the rows back: %+v", s)
			}
		}
		if !slices.Equal(targets, want) || p.Confirm != confirm || p.Mode != recovery.Recovery || (len(p.Live) == 1) != apply {
			t.Errorf("apply %v: targets %q, name to type %q, mode %s, %d live", apply, targets, p.Confirm, p.Mode, len(p.Live))
		}
		if p.RPO != 0 || p.RTO != 0 || len(p.NotExecuted) == 0 {
			t.Errorf("a rescue owes what a recovery does: %v, %v, %v", p.RPO, p.RTO, p.NotExecuted)
		}
	}
}
