package gather

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/plan"
	"comeback/storage"
)

// switches says of the components that a recovery switches what would refuse that, as far
// as a look sees it that changes nothing. What this user may not see, whoever recovers may.
func (o Options) switches(ctx context.Context) map[string]error {
	all := map[string]error{}
	p := recovery.Plan{Production: o.Runbook.Production, Components: plan.Components(o.Runbook)}
	var seen []recovery.Live
	for _, a := range storage.Each(ctx, o.foreseen(), o.Within, func(_ context.Context, f foreseen) (recovery.Live, error) { return f.Foresee(f.component, o.Expand) }) {
		_, silent := errors.AsType[*storage.Silent](a.Err)
		switch {
		case silent:
			all[a.Of.component.Name] = &recovery.Error{What: fmt.Sprintf("its place: %v", a.Err), Hint: "look at the file server that it is mounted from", Err: a.Err}
		case errors.Is(a.Err, fs.ErrPermission):
		case a.Err != nil:
			all[a.Of.component.Name] = a.Err
		default:
			seen, p.Targets = append(seen, a.Says), append(p.Targets, a.Says.Target)
		}
	}
	refused := storage.InEach(ctx, seen, o.Within, func(_ context.Context, l recovery.Live) error {
		one := p
		one.Targets = append(slices.Clone(p.Targets), recovery.Target{ID: recovery.TargetID("scratch/" + l.Component), Scratch: true, Component: l.Component, BecomesLive: true,
			Place: filepath.Join(l.Beside, "comeback-check", l.Component)})
		_, err := execute.CheckPlan(&one)
		return err
	})
	for i, err := range refused {
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			all[seen[i].Component] = err
		}
	}
	maps.Copy(all, plan.RefusedSwitches(o.Runbook))
	return all
}

// foreseen is a component of which it can be told what would refuse its switch.
type foreseen struct {
	recovery.Foreseer
	component recovery.Component
}

func (o Options) foreseen() (all []foreseen) {
	for _, c := range plan.Switched(o.Runbook) {
		s, _ := o.Switcher(c)
		if f, ok := s.(recovery.Foreseer); ok {
			all = append(all, foreseen{f, c})
		}
	}
	return all
}
