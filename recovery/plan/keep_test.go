package plan_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// swaps is a switcher that notes how long old data stays.
type swaps struct {
	recovery.Switcher
	until *time.Time
}

func (swaps) Kind() recovery.ComponentKind { return recovery.Postgres }

func (s swaps) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	*s.until = c.KeepUntil
	return recovery.Switch{Exchange: []recovery.Step{recovery.NewStep("swap", "swap", "swap", nil)}}, nil
}

func (s swaps) Back(c recovery.SwitchContext, _ recovery.Old) (recovery.Switch, error) {
	return s.Plan(c)
}

// What was live stays for as long as the runbook says, after a switch and after the way
// back, and a length that cannot be read is told and not taken for another, but where the
// run has begun with it.
func TestKeep(t *testing.T) {
	for name, c := range map[string]struct {
		keep  string
		stays time.Duration
		says  string
	}{
		"nothing is said": {"", plan.KeepOld, ""},
		"a month":         {", keep: 30d", 30 * 24 * time.Hour, ""},
		"no duration":     {`, keep: "30 days"`, 0, "`keep: 30 days` is not a duration"},
		"no unit":         {", keep: 30", 0, "`keep: 30` has no unit"},
		"no time at all":  {", keep: 0s", 0, "`keep: 0s` keeps nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			var until time.Time
			book := strings.Replace(text, `url: "${DATABASE_URL}"`, `url: "${DATABASE_URL}"`+c.keep, 1)
			live := recovery.Live{Component: "database", Target: recovery.Target{ID: "live/database", Component: "database", Name: "db1/shop", Switches: recovery.Postgres}}
			p, err := makePlan(t, func(o *plan.Options) {
				o.Runbook, o.Mode = parse(t, book), recovery.Recovery
				o.Live, o.Switchers = []recovery.Live{live}, []recovery.Switcher{swaps{until: &until}}
			})
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Usage {
					t.Fatalf("%v, hint %q, exit %d", err, recovery.HintOf(err), recovery.ExitOf(err))
				}
				_, err = makePlan(t, func(o *plan.Options) {
					o.Runbook, o.Mode, o.Begun = parse(t, book), recovery.Recovery, true
					o.Live, o.Switchers = []recovery.Live{live}, []recovery.Switcher{swaps{until: &until}}
				})
				if err != nil || !until.Equal(at.Add(plan.KeepOld)) {
					t.Errorf("of a run that has begun it stays until %s, %v", until, err)
				}
				return
			}
			if err != nil || !until.Equal(at.Add(c.stays)) {
				t.Fatalf("it stays until %s, not for %s, %v", until, c.stays, err)
			}
			later := at.Add(time.Hour)
			_, err = plan.Back(plan.BackOptions{Parent: p, Old: []recovery.Old{{Component: "database"}},
				Options: plan.Options{Run: "9a02", Created: later, Live: []recovery.Live{live}, Switchers: []recovery.Switcher{swaps{until: &until}}}})
			if err != nil || !until.Equal(later.Add(c.stays)) {
				t.Errorf("after the way back it stays until %s, not for %s, %v", until, c.stays, err)
			}
		})
	}
}
