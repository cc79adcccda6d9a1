package execute_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// What takes the place of a live tree lies beside it, and so in whatever holds that tree: the
// checkout of the code, what production owns. Where the plan exchanges that, too, it is
// refused; other scratch is refused in all of them.
func TestCheckPlan_treesInEachOther(t *testing.T) {
	const component, production, nested = "where the component site lives", "which the runbook calls production's", "where site lives"
	for name, test := range map[string]struct {
		// is what the directory around the live uploads is to the plan.
		is      func(p *recovery.Plan, site string)
		becomes bool // or else a rehearsal's scratch lies there
		says    string
		hint    string
	}{
		"in another component's path": {is: ofComponent, becomes: true},
		"in production's":             {is: ofProduction, becomes: true},
		"in both":                     {is: func(p *recovery.Plan, site string) { ofComponent(p, site); ofProduction(p, site) }, becomes: true},
		"in a tree that is exchanged": {is: switched, becomes: true, says: nested, hint: "leave one of them out of the `switch:`"},
		"scratch in a component's":    {is: ofComponent, says: component, hint: "--scratch"},
		"scratch in production's":     {is: ofProduction, says: production, hint: "--scratch"},
		"scratch in one exchanged":    {is: switched, says: nested, hint: "--scratch"},
	} {
		t.Run(name, func(t *testing.T) {
			site := t.TempDir()
			content := filepath.Join(site, "content")
			uploads := filepath.Join(content, "uploads")
			if err := os.MkdirAll(uploads, 0o700); err != nil {
				t.Fatal(err)
			}
			p := &recovery.Plan{Run: "7c31", Components: []recovery.Component{{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {uploads}}}},
				Targets: []recovery.Target{{ID: "scratch/uploads", Scratch: true, Component: "uploads", Place: filepath.Join(content, "comeback-7c31", "uploads"), BecomesLive: test.becomes}}}
			if test.becomes {
				p.Targets = append(p.Targets, recovery.Target{ID: "live/uploads", Component: "uploads", Place: uploads})
			}
			test.is(p, site)
			_, err := execute.CheckPlan(p)
			if test.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), site+", "+test.says) || !strings.Contains(recovery.HintOf(err), test.hint) {
				t.Errorf("%v (exit %d), next: %q", err, recovery.ExitOf(err), recovery.HintOf(err))
			}
		})
	}
}

func ofComponent(p *recovery.Plan, site string) {
	p.Components = append(p.Components, recovery.Component{Name: "site", Kind: recovery.Code, Settings: recovery.Settings{"path": {site}}})
}

func ofProduction(p *recovery.Plan, site string) { p.Production = append(p.Production, site) }

func switched(p *recovery.Plan, site string) {
	ofComponent(p, site)
	p.Targets = append(p.Targets, recovery.Target{ID: "live/site", Component: "site", Place: site})
}
