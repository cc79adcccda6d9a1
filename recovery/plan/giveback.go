package plan

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// GiveBackOptions are what the plan of a run is made from that gives back what an earlier
// one still holds.
type GiveBackOptions struct {
	// Parent is the plan of the run that has ended, State what its journal folds to, Held
	// what it still holds, the oldest first.
	Parent *recovery.Plan
	State  *recovery.State
	Held   []recovery.ClaimState
	// Options are those of the new run: Run, Number, Previous, Created and Source.
	Options
}

// GiveBack makes the plan of a run, a child of one that has ended, that gives back what
// that one still holds. Where any of it was made of what is live, the name of the
// parent's target is to be typed again: people may have gone on there since. It is pure.
func GiveBack(o GiveBackOptions) *recovery.Plan {
	parent := o.Parent
	p := &recovery.Plan{
		Format: Format, Run: o.Run, System: parent.System, Mode: recovery.Recovery, Number: o.Number, Previous: o.Previous, Parent: parent.Run,
		Created: o.Created.UTC(), Runbook: o.Source, RehearseEvery: parent.RehearseEvery,
		Moment:     recovery.Moment{Want: recovery.Want{Kind: recovery.WantBackup, Text: "giving back what run " + parent.Run + " still holds"}, Anchor: parent.Moment.Anchor},
		Components: parent.Components, Copies: parent.Copies, Needs: parent.Needs, Production: parent.Production, Notify: parent.Notify, People: parent.People,
		Stages: []recovery.Stage{{Name: "Give back"}},
	}
	for _, c := range o.Held {
		p.GivesBack = append(p.GivesBack, c.Resource)
		for _, t := range liveTargets(parent, o.State, c) {
			p.Confirm = parent.Confirm
			if slices.ContainsFunc(p.Targets, func(known recovery.Target) bool { return known.ID == t.ID }) {
				continue
			}
			p.Targets = append(p.Targets, t)
			i := slices.IndexFunc(parent.Live, func(l recovery.Live) bool { return l.Target.ID == t.ID })
			if i < 0 || !t.Changes() {
				continue
			}
			p.Live = append(p.Live, recovery.Live{Component: parent.Live[i].Component, Target: t, At: o.Created.UTC(), Effects: recovery.Effects{
				Target:    []string{fmt.Sprintf("%s, of which run %s still holds the %s %s", name(t), parent.Run, c.Kind, c.ID)},
				Gone:      []string{fmt.Sprintf("what was written to %s since, where giving back makes live again what was before run %s", name(t), parent.Run)},
				NotUndone: []string{"nothing but a recovery brings it back"}}})
		}
	}
	s := recovery.NewStep("give-back", recovery.KindGiveBack, "take over what run "+parent.Run+" still holds", struct{}{})
	s.Phase = recovery.GivingBack
	p.Steps = []recovery.Step{s}
	p.NotExecuted = []recovery.NotExecuted{{Stage: p.Stages[0].Name, What: "the stages and checks of the runbook", Why: "only what an earlier run still holds is given back"}}
	return p
}

// liveTargets are the targets but scratch that the step of a claim writes to. Of a step
// that nobody knows any more, they are all of the plan.
func liveTargets(p *recovery.Plan, s *recovery.State, c recovery.ClaimState) []recovery.Target {
	step := s.Step(c.Step)
	var live []recovery.Target
	for _, t := range p.Targets {
		if !t.Scratch && (step == nil || slices.Contains(step.Writes, t.ID)) {
			live = append(live, t)
		}
	}
	return live
}

func name(t recovery.Target) string {
	if t.Name != "" {
		return t.Name
	}
	return t.Place
}
