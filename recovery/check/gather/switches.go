package gather

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/plan"
)

// switches says of the components that a recovery switches what would refuse that, as far
// as a look sees it that changes nothing. What this user may not see, whoever recovers may.
func (o Options) switches() map[string]error {
	all := map[string]error{}
	p := recovery.Plan{Production: o.Runbook.Production, Components: plan.Components(o.Runbook)}
	var seen []recovery.Live
	for _, c := range plan.Switched(o.Runbook) {
		s, _ := o.Switcher(c)
		f, ok := s.(recovery.Foreseer)
		if !ok {
			continue
		}
		l, err := f.Foresee(c, o.Expand)
		switch {
		case errors.Is(err, fs.ErrPermission):
		case err != nil:
			all[c.Name] = err
		default:
			seen, p.Targets = append(seen, l), append(p.Targets, l.Target)
		}
	}
	for _, l := range seen {
		one := p
		one.Targets = append(slices.Clone(p.Targets), recovery.Target{ID: recovery.TargetID("scratch/" + l.Component), Scratch: true, Component: l.Component, BecomesLive: true,
			Place: filepath.Join(l.Beside, "comeback-check", l.Component)})
		if _, err := execute.CheckPlan(&one); err != nil && !errors.Is(err, fs.ErrPermission) {
			all[l.Component] = err
		}
	}
	maps.Copy(all, plan.RefusedSwitches(o.Runbook))
	return all
}
