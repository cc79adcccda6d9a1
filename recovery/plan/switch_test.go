package plan_test

import (
	"slices"
	"strings"
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

// A switch of what no stage restores refuses a recovery: a rehearsal's plan says so, and what
// to write.
func TestMake_refusedSwitch(t *testing.T) {
	rehearsed, err := makePlan(t, func(o *plan.Options) { *o = switching(*o, "database", "stats") })
	if err != nil {
		t.Fatal(err)
	}
	const warns, does = "a recovery with this runbook is refused", "write `restore: stats` in a stage before its `switch:`, or leave it out of that"
	i := slices.IndexFunc(rehearsed.Warnings, func(w string) bool { return strings.HasPrefix(w, "stats: "+warns) && strings.HasSuffix(w, does) })
	if i < 0 || slices.ContainsFunc(rehearsed.Warnings, func(w string) bool { return strings.HasPrefix(w, "database: "+warns) }) {
		t.Errorf("its warnings are %q", rehearsed.Warnings)
	}
	var o plan.Options
	_, err = makePlan(t, func(given *plan.Options) {
		*given = switching(*given, "stats")
		given.Mode, o = recovery.Recovery, *given
	})
	if recovery.ExitOf(err) != recovery.Usage || recovery.HintOf(err) != does {
		t.Errorf("a recovery: %v (hint %q)", err, recovery.HintOf(err))
	}
	if all := plan.RefusedSwitches(o.Runbook); len(all) != 1 || recovery.HintOf(all["stats"]) != does {
		t.Errorf("refused are %v", all)
	}
}

// switching are options with a stage at the end that switches components, and no other.
func switching(o plan.Options, components ...string) plan.Options {
	rb := *o.Runbook
	rb.Stages = slices.Clone(rb.Stages)
	for i, s := range rb.Stages {
		rb.Stages[i].Blocks = slices.DeleteFunc(slices.Clone(s.Blocks), func(b runbooks.Block) bool { _, is := b.(runbooks.Switch); return is })
	}
	if len(components) > 0 {
		rb.Stages = append(rb.Stages, runbooks.Stage{Name: "Switch", Blocks: []runbooks.Block{runbooks.Switch{Components: components}}})
	}
	o.Runbook = &rb
	return o
}

// Stages that switch something which is live change that, and those in which a recovery runs a
// block may; what comes back is left running beside it where the runbook hands it over.
func TestChangesLive(t *testing.T) {
	rb := &runbooks.Runbook{
		Components: []runbooks.Component{{Name: "database", Kind: "postgres"}, {Name: "stats", Kind: "postgres", Settings: map[string][]string{"into": {recovery.IntoHandOver}}}},
		Stages: []runbooks.Stage{{Name: "Check"}, {Name: "Switch", Blocks: []runbooks.Block{runbooks.Switch{Components: []string{"stats", "database"}}}},
			{Name: "Hand over", Blocks: []runbooks.Block{runbooks.Switch{Components: []string{"stats"}}}},
			{Name: "Test", Blocks: []runbooks.Block{runbooks.Shell{In: runbooks.InRecovery}}}, {Name: "Wait", Blocks: []runbooks.Block{runbooks.ShellWait{Shell: runbooks.Shell{In: runbooks.InBoth}}}},
			{Name: "Rehearse", Blocks: []runbooks.Block{runbooks.Shell{In: runbooks.InRehearsal}, runbooks.ShellWait{Shell: runbooks.Shell{In: runbooks.InRehearsal}}}}},
	}
	for i, want := range []bool{false, true, false, true, true, false} {
		if got := plan.ChangesLive(rb, rb.Stages[i]); got != want {
			t.Errorf("%s changes live: %v, want %v", rb.Stages[i].Name, got, want)
		}
	}
}

// A recovery that switches nothing and runs a block may change what is live all the same: the
// system's name is typed for it. A rehearsal's blocks are shut off from it.
func TestMake_confirmsBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		mode    recovery.Mode
		block   runbooks.Block
		confirm string
	}{
		"a block":               {recovery.Recovery, runbooks.Shell{Name: "page", In: runbooks.InRecovery}, "shop"},
		"a wait":                {recovery.Recovery, runbooks.ShellWait{Shell: runbooks.Shell{Name: "page", In: runbooks.InBoth}}, "shop"},
		"none":                  {recovery.Recovery, runbooks.Shell{Name: "page", In: runbooks.InRehearsal}, ""},
		"a rehearsal's":         {recovery.Rehearsal, runbooks.Shell{Name: "page", In: runbooks.InBoth}, ""},
		"a check is no block's": {recovery.Recovery, runbooks.SQLCheck{Name: "orders", On: "database", Query: "select 1", Expect: "= 1"}, ""},
	} {
		p, err := makePlan(t, func(o *plan.Options) {
			rb := *o.Runbook
			rb.Stages = []runbooks.Stage{{Name: "Restore", Blocks: []runbooks.Block{runbooks.Restore{Components: []string{"database"}}, c.block}}}
			o.Runbook, o.Mode = &rb, c.mode
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.Confirm != c.confirm || p.OnlyBlocks() != (c.confirm != "") {
			t.Errorf("%s: confirmed by %q, want %q", name, p.Confirm, c.confirm)
		}
		if does := p.Does(); c.confirm != "" && does != "runs blocks that may change what is live of shop" {
			t.Errorf("%s: it %s", name, does)
		}
		for _, s := range p.Steps {
			if p.NeedsName(s) != (c.confirm != "" && s.IsBlock()) {
				t.Errorf("%s: %s needs the name: %v", name, s.ID, p.NeedsName(s))
			}
		}
	}
}

// A rehearsal restores on a stand-in what a recovery switches; what a recovery leaves in what is
// new is restored as a rehearsal does it.
func TestMake_standIn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Options)
		want   string
	}{
		"switched":   {func(o *plan.Options) { *o = switching(*o, "database") }, "scratch, in place of the live database"},
		"not":        {func(o *plan.Options) { *o = switching(*o) }, ""},
		"a recovery": {func(o *plan.Options) { *o = switching(*o); o.Mode = recovery.Recovery }, ""},
		"handed over": {func(o *plan.Options) {
			*o = switching(*o, "database")
			rb := *o.Runbook
			rb.Components = slices.Clone(rb.Components)
			for i := range rb.Components {
				rb.Components[i].Settings = map[string][]string{"into": {recovery.IntoHandOver}}
			}
			o.Runbook = &rb
		}, ""},
	} {
		p, err := makePlan(t, c.change)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Steps {
			want := c.want
			if !strings.HasPrefix(s.ID, "database.") { // it restores nothing
				want = ""
			}
			if s.StandIn != want {
				t.Errorf("%s: %s is done on %q, want %q", name, s.ID, s.StandIn, want)
			}
		}
	}
}

func (p phases) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	s, err := p.Back(c, recovery.Old{})
	s.Prepare = []recovery.Step{recovery.NewStep("load", "load", "load", nil)}
	return s, err
}

func (phases) HandOver(recovery.SwitchContext) ([]recovery.Step, error) {
	return []recovery.Step{recovery.NewStep("hand-over", "hand-over", "hand over", nil)}, nil
}

// In a recovery, whatever may change what is live, is handed over or is asked of a person waits
// for the checks above it in its own section, too; checks are made side by side, and what only
// prepares waits for none. A rehearsal goes on beside them.
func TestMake_checksHoldBack(t *testing.T) {
	orders := runbooks.SQLCheck{Name: "orders", On: "database", Query: "select 1", Expect: "= 1"}
	for name, c := range map[string]struct {
		below    runbooks.Block
		settings map[string][]string
		steps    string // that it comes to
		held     bool
	}{
		"a switch":      {runbooks.Switch{Components: []string{"database"}}, nil, "database.fence", true},
		"a hand-over":   {runbooks.Switch{Components: []string{"database"}}, map[string][]string{"into": {recovery.IntoHandOver}}, "database.hand-over", true},
		"a block":       {runbooks.Shell{Name: "page", In: runbooks.InBoth}, nil, "1.5.run", true},
		"a wait":        {runbooks.ShellWait{Shell: runbooks.Shell{Name: "page", In: runbooks.InBoth}}, nil, "1.5.wait", true},
		"a query":       {runbooks.SQLWait{SQLCheck: orders}, nil, "1.5.wait", true},
		"items":         {runbooks.Ticks{Items: []runbooks.Tick{{Text: "Looked"}}}, nil, "1.5.ticks", true},
		"an approval":   {runbooks.Approval{Role: "approver"}, nil, "1.5.approval", true},
		"another check": {runbooks.HTTPCheck{Name: "page", URL: "http://127.0.0.1/"}, nil, "1.5.check", false},
		"the load":      {runbooks.Switch{Components: []string{"database"}}, nil, "database.load", false},
	} {
		for _, mode := range []recovery.Mode{recovery.Recovery, recovery.Rehearsal} {
			p, err := makePlan(t, func(o *plan.Options) {
				rb := *o.Runbook
				rb.Stages = []runbooks.Stage{{Name: "All of it", Blocks: []runbooks.Block{runbooks.Restore{Components: []string{"database"}}, orders,
					runbooks.SoundCheck{Name: "sound", On: "database"}, runbooks.HTTPCheck{Name: "site", URL: "http://127.0.0.1/"}, c.below}}}
				rb.Components = slices.Clone(rb.Components)
				for i := range rb.Components {
					rb.Components[i].Settings = c.settings
				}
				o.Runbook, o.Mode, o.Switchers = &rb, mode, []recovery.Switcher{phases{kind: recovery.Postgres, fence: true}}
				o.Live = []recovery.Live{{Component: "database", Target: recovery.Target{ID: "live/database", Component: "database", Name: "db1/shop", Switches: recovery.Postgres}}}
			})
			if err != nil {
				t.Fatal(name, err)
			}
			s, ok := p.Step(c.steps)
			if mode == recovery.Rehearsal && !ok {
				continue // it has none of them
			}
			for _, check := range []string{"1.2.check", "1.3.check", "1.4.check"} {
				_, made := p.Step(check)
				if want := c.held && mode == recovery.Recovery; !ok || made && slices.Contains(s.After, check) != want || mode == recovery.Recovery && !made {
					t.Errorf("%s in a %s: %s comes after %q, after %s: want %v", name, mode, c.steps, s.After, check, want)
				}
			}
		}
	}
}
