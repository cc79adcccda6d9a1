package plan

import "comeback/recovery"

// childOf begins the plan of a run that deals with what an earlier one has left or done, in
// one stage: wanted says what is wanted, in place of a moment.
func childOf(parent *recovery.Plan, o Options, wanted, stage string) *recovery.Plan {
	return &recovery.Plan{
		Format: Format, Run: o.Run, System: parent.System, Mode: recovery.Recovery, Number: o.Number, Previous: o.Previous, Parent: parent.Run,
		Created: o.Created.UTC(), Runbook: o.Source, RehearseEvery: parent.RehearseEvery,
		Moment:     recovery.Moment{Want: recovery.Want{Kind: recovery.WantBackup, Text: wanted}, Anchor: parent.Moment.Anchor},
		Components: parent.Components, Copies: parent.Copies, Needs: parent.Needs, Production: parent.Production, Notify: parent.Notify, People: parent.People,
		Stages: []recovery.Stage{{Name: stage}},
	}
}
