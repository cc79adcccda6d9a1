package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/rescue"
	"comeback/recovery/runner"
)

// planUndo plans to take a rescue back, with the runbook that it was made from.
func (a *app) planUndo(ctx context.Context, r runner.Past, leave bool) (*recovery.Plan, *book, error) {
	args, script, err := undoOf(r)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.Runbook(); err != nil {
		return nil, nil, err
	}
	b, _, err := a.openFollowed(ctx, filepath.Join(r.Dir, recovery.RunbookFile))
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(r.Plan.Components, func(c recovery.Component) bool { return c.Name == args.Component })
	if i < 0 {
		return nil, nil, fmt.Errorf("find the component %s: the plan of run %s has none", args.Component, r.ID)
	}
	target, err := rescue.Look(ctx, r.Plan.Components[i], b.secrets.Expand)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range r.Plan.Targets {
		if t.ID != args.Live {
			continue
		}
		if differs := t.Identity.Differences(target.Identity); len(differs) > 0 {
			return nil, nil, recovery.Errorf("find out what happened to it; the undo script is an artifact of run "+r.ID,
				"refused: live is not the database that run %s brought rows back into: %s", r.ID, differs[0]).WithExit(recovery.Refused)
		}
	}
	o, err := a.newRun(b, "")
	if err != nil {
		return nil, nil, err
	}
	o.Moment.Want = recovery.Want{Text: "before the rescue of run " + r.ID}
	p := plan.RescueUndo(o, r.ID, args.Component, target, args.UndoLocks(), func(scratch recovery.Target) recovery.Step {
		return rescue.UndoStep(rescue.UndoArgs{Component: args.Component, Scratch: scratch.ID, Live: target.ID, Address: args.Address, Identity: target.Identity,
			Script: filepath.Join(r.Dir, recovery.ArtifactsDir, script.Name), SHA256: script.SHA256, Leave: leave})
	})
	return p, b, nil
}

// undoOf is what a rescue has left to take it back by.
func undoOf(r runner.Past) (rescue.Args, recovery.Artifact, error) {
	var args rescue.Args
	i := slices.IndexFunc(r.State.Steps, func(s recovery.StepState) bool { return s.Kind == rescue.KindApply })
	if i < 0 {
		return args, recovery.Artifact{}, usage("name a run of comeback rescue", "run %s is no rescue that changes anything", r.ID)
	}
	st := &r.State.Steps[i]
	if err := st.Decode(&args); err != nil {
		return args, recovery.Artifact{}, err
	}
	script := recovery.Artifact{Name: st.Outcome.Facts[rescue.FactUndo], SHA256: st.Outcome.Facts[rescue.FactUndoSHA256]}
	if st.State != recovery.Done || script.Name == "" {
		return args, recovery.Artifact{}, recovery.Errorf("read what it did: comeback status "+r.ID, "run %s has brought nothing back that could be taken back", r.ID).WithExit(recovery.Refused)
	}
	return args, script, nil
}

// keyFor finds the key to sign with, if one is asked for: one that is not there is
// better noticed before the run than after it.
func (a *app) keyFor(ctx context.Context, name string) (*report.Key, error) {
	if name == "" {
		return nil, nil
	}
	key, err := a.findKey(ctx, name)
	return &key, err
}
