package plan

import "comeback/recovery"

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
// that one still holds. It is pure. Where any of it was made of what is live it refuses:
// people may have gone on there since, and scratch may hold what was live. What only keeps
// people out of live is given back.
func GiveBack(o GiveBackOptions) (*recovery.Plan, error) {
	parent := o.Parent
	p := childOf(parent, o.Options, "giving back what run "+parent.Run+" still holds", "Give back")
	for _, c := range o.Held {
		if parent.OfLive(o.State, c) {
			return nil, recovery.Errorf("see what is live now: comeback status "+parent.Run+"; put it right by hand, and then remove what the run has left in scratch",
				"refused: run %s still holds the %s %s, which was made of what is live: people may have gone on there since", parent.Run, c.Kind, c.ID).WithExit(recovery.Refused)
		}
		p.GivesBack = append(p.GivesBack, c.Resource)
	}
	s := recovery.NewStep("give-back", recovery.KindGiveBack, "take over what run "+parent.Run+" still holds", struct{}{})
	s.Phase = recovery.GivingBack
	p.Steps = []recovery.Step{s}
	p.NotExecuted = []recovery.NotExecuted{{Stage: p.Stages[0].Name, What: "the stages and checks of the runbook", Why: "only what an earlier run still holds is given back"}}
	return p, nil
}
