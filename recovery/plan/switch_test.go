package plan_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/runbooks"
)

// phases is a switcher with one step in each phase; without a fence what it switches is
// never closed to its users.
type phases struct {
	recovery.Switcher
	kind  recovery.ComponentKind
	fence bool
}

func (p phases) Kind() recovery.ComponentKind { return p.kind }

func (p phases) Back(recovery.SwitchContext, recovery.Old) (recovery.Switch, error) {
	step := func(id string) []recovery.Step { return []recovery.Step{recovery.NewStep(id, id, id, nil)} }
	s := recovery.Switch{Exchange: step("swap"), Open: step("open")}
	if p.fence {
		s.Fence = step("fence")
	}
	return s, nil
}

// What was closed opens first, side by side; what was never closed is kept when that has
// worked, whichever of them the runbook names first: until then all of it goes back.
func TestSwitch_opensWhatWasClosed(t *testing.T) {
	parent, err := makePlan(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := plan.BackOptions{Parent: parent, Options: plan.Options{Run: "9a02", Created: at,
		Switchers: []recovery.Switcher{phases{kind: recovery.Postgres, fence: true}, phases{kind: recovery.Files}}}}
	parent.Components = append(parent.Components, recovery.Component{Name: "uploads", Kind: recovery.Files})
	for _, name := range []string{"uploads", "database", "stats"} {
		kind := recovery.Postgres
		if name == "uploads" {
			kind = recovery.Files
		}
		o.Old = append(o.Old, recovery.Old{Component: name})
		o.Live = append(o.Live, recovery.Live{Component: name, Target: recovery.Target{ID: recovery.TargetID("live/" + name), Component: name, Name: name, Switches: kind}})
	}
	p, err := plan.Back(o)
	if err != nil {
		t.Fatal(err)
	}
	swaps := []string{"uploads.swap", "database.swap", "stats.swap"}
	for id, after := range map[string][]string{
		"database.fence": nil, "database.swap": {"database.fence", "stats.fence"}, "uploads.swap": {"database.fence", "stats.fence"},
		"database.open": swaps, "stats.open": swaps, "uploads.open": {"database.open", "stats.open"},
	} {
		if s, ok := p.Step(id); !ok || !slices.Equal(s.After, after) {
			t.Errorf("%s comes after %q, want %q", id, s.After, after)
		}
	}
	if s, _ := p.Step("uploads.open"); s.Phase != recovery.Open {
		t.Errorf("its phase is %s", s.Phase)
	}
}

// Stages that switch something which is live change that; what comes back is left running
// beside it where the runbook hands it over.
func TestChangesLive(t *testing.T) {
	rb := &runbooks.Runbook{
		Components: []runbooks.Component{{Name: "database", Kind: "postgres"}, {Name: "stats", Kind: "postgres", Settings: map[string][]string{"into": {recovery.IntoHandOver}}}},
		Stages: []runbooks.Stage{{Name: "Check"}, {Name: "Switch", Blocks: []runbooks.Block{runbooks.Switch{Components: []string{"stats", "database"}}}},
			{Name: "Hand over", Blocks: []runbooks.Block{runbooks.Switch{Components: []string{"stats"}}}}},
	}
	for i, want := range []bool{false, true, false} {
		if got := plan.ChangesLive(rb, rb.Stages[i]); got != want {
			t.Errorf("%s changes live: %v, want %v", rb.Stages[i].Name, got, want)
		}
	}
}
