package plan_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// A rescue restores a component twice, side by side, and further copies after these;
// what needs the copies comes after all; only what writes to live needs the typed name.
func TestRescue(t *testing.T) {
	rb := parse(t, amended)
	point := recovery.Point{Component: "database", Copy: "nearby", Engine: "dump", Backup: recovery.Backup{ID: "nightly"}}
	live := recovery.Target{ID: "live/database", Name: "db1/shop", Component: "database", Identity: recovery.Identity{"database oid": "5"}}
	for _, apply := range []bool{true, false} {
		var copies []string
		p, err := plan.Rescue(plan.RescueOptions{Options: plan.Options{Runbook: rb, Engines: []recovery.Engine{tape{"dump"}}, Run: "7c31", Scratch: "/var/tmp", Created: at},
			Component: "database", Before: point, After: &point, Target: live,
			Further: []plan.Around{{Before: point, After: point}},
			Steps: func(all []plan.Copied, scratch recovery.Target) []recovery.Step {
				copies = []string{string(scratch.ID), scratch.Place}
				for _, c := range all {
					copies = append(copies, c.Before, c.After)
				}
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
		if want := []string{"scratch/database.rescue", "/var/tmp/comeback-7c31/database.rescue", "database.before", "database.after", "database.before-2", "database.after-2"}; !slices.Equal(copies, want) {
			t.Errorf("the copies are %q", copies)
		}
		diff, ok := p.Step("database.diff")
		if !ok || !slices.Equal(diff.After, []string{"database.before.settle", "database.after.settle", "database.before-2.settle", "database.after-2.settle"}) || diff.Stage != 1 {
			t.Errorf("what compares them: %+v", diff)
		}
		if first, _ := p.Step("database.before.cluster"); len(first.After) > 0 {
			t.Errorf("the first copy waits for %q", first.After)
		}
		for _, which := range []string{"before-2", "after-2"} {
			if s, ok := p.Step("database." + which + ".cluster"); !ok || !slices.Equal(s.After, []string{"database.before.settle", "database.after.settle"}) {
				t.Errorf("more than two are restored at a time: %s comes after %q", s.ID, s.After)
			}
		}
		var targets []recovery.TargetID
		for _, target := range p.Targets {
			targets = append(targets, target.ID)
		}
		want, confirm := []recovery.TargetID{"scratch/database.before", "scratch/database.after", "scratch/database.before-2", "scratch/database.after-2", "scratch/database.rescue"}, ""
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
