package execute

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// Do carries out what a front end asks for; nil means that it is journaled. What
// cannot be done now is refused with a sentence.
func (x *Executor) Do(c recovery.Command) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state.Result != "" {
		return recovery.Errorf("read its report: comeback report show "+x.Plan.Run, "run %s has ended", x.Plan.Run)
	}
	if ending := x.state.Stop != nil || x.through || !x.state.Cleaning.IsZero(); ending && decides(c.Kind) {
		return recovery.Errorf("watch it to its end; notes can be added", "run %s is ending, there is nothing to decide any more", x.Plan.Run)
	}
	switch c.Kind {
	case recovery.DoNote:
		return x.recordLocked(recovery.Noted{Text: c.Text, By: c.By})
	case recovery.DoOutage:
		c.Outage.By = c.By
		return x.recordLocked(c.Outage)
	case recovery.DoStop:
		switch {
		case x.state.Stop != nil:
			return nil
		case x.through || !x.state.Cleaning.IsZero():
			return recovery.Errorf("watch it to its end", "every step has ended, run %s is cleaning up", x.Plan.Run)
		}
		return x.recordLocked(recovery.StopAsked{By: c.By, Reason: c.Text})
	case recovery.DoTick:
		return x.tick(c)
	case recovery.DoDecide:
		return x.decide(c)
	case recovery.DoApprove:
		return x.approve(c)
	case recovery.DoAmend:
		return x.amend(c)
	case recovery.DoConfirm:
		return x.confirm(c)
	case recovery.DoHold:
		return x.holdBack(c)
	case recovery.DoSecret:
		if c.Name == "" || c.Value == "" {
			return recovery.Errorf("", "a secret has a name and a value")
		}
		x.Secrets.Give(c.Name, c.Value)
		x.stores.anew()
		return x.recordLocked(recovery.SecretGiven{Name: c.Name, By: c.By})
	case recovery.DoHandOver:
		return x.passOn(c.To, recovery.LeaseHanded{By: c.By, To: c.To})
	case recovery.DoTakeOver:
		return x.passOn(c.By, recovery.LeaseTaken{By: c.By, From: x.state.Lease, Reason: c.Text})
	}
	return recovery.Errorf("", "this version does not know the command %q", c.Kind)
}

// passOn gives the command of the run to another, who is there from now on. Nobody else
// types on into a program of the run.
func (x *Executor) passOn(to string, p recovery.Payload) error {
	if err := x.recordLocked(p); err != nil {
		return err
	}
	x.attend()
	x.seats.leaveTo(to)
	return nil
}

// decides reports whether a command says how the steps go on.
func decides(k recovery.CommandKind) bool {
	switch k {
	case recovery.DoTick, recovery.DoDecide, recovery.DoApprove, recovery.DoAmend, recovery.DoSecret, recovery.DoConfirm, recovery.DoHold:
		return true
	}
	return false
}

// tick decides one item of a stage; the last one ends the step.
func (x *Executor) tick(c recovery.Command) error {
	st := x.state.Step(c.Step)
	switch {
	case st != nil && st.WaitsFor == recovery.WaitApproval && c.How == recovery.TickTalkedThrough && x.Plan.Mode == recovery.Rehearsal:
		return x.recordLocked(recovery.StepFinished{Step: c.Step, Outcome: recovery.Outcome{Says: "talked through by " + c.By}})
	case st == nil || st.Kind != recovery.KindTicks:
		return recovery.Errorf("", "there is nothing to tick in step %q", c.Step)
	case st.WaitsFor != recovery.WaitTicks:
		return recovery.Errorf("", "%s does not wait for ticks now", st.Says)
	case c.Item < 0 || c.Item >= len(st.Ticks):
		return recovery.Errorf("", "%s has no item %d", st.Says, c.Item+1)
	case c.How != recovery.TickDone && c.How != recovery.TickTalkedThrough && c.How != recovery.TickNotDone:
		return recovery.Errorf("", "an item is %q, %q or %q", recovery.TickDone, recovery.TickTalkedThrough, recovery.TickNotDone)
	case c.How == recovery.TickNotDone && c.Text == "":
		return recovery.Errorf("say why it is not done", "an item that is not done needs a reason")
	}
	if err := x.recordLocked(recovery.Ticked{Step: c.Step, Item: c.Item, How: c.How, By: c.By, Note: c.Text}); err != nil {
		return err
	}
	return x.endTicks(c.Step)
}

// startTicks starts a step of items. Where nobody can be asked in a rehearsal,
// they are talked through.
func (x *Executor) startTicks(s recovery.Step) {
	st := x.state.Step(s.ID)
	if x.recordLocked(recovery.StepStarted{Step: s.ID, Attempt: st.Attempts + 1}) == nil {
		x.askTicks(s)
	}
}

// askTicks asks for the items that are not decided.
func (x *Executor) askTicks(s recovery.Step) {
	if ticked(x.state.Step(s.ID)) {
		x.endTicks(s.ID)
		return
	}
	if !x.nobody() {
		x.recordLocked(recovery.Waiting{Step: s.ID, For: recovery.WaitTicks})
		return
	}
	how, why := recovery.TickTalkedThrough, ""
	if x.Plan.Mode != recovery.Rehearsal {
		how, why = recovery.TickNotDone, "nobody was there to do it"
	}
	for i, t := range x.state.Step(s.ID).Ticks {
		if t.How != "" {
			continue
		}
		if x.recordLocked(recovery.Ticked{Step: s.ID, Item: i, How: how, By: recovery.Nobody, Note: why}) != nil {
			return
		}
	}
	x.endTicks(s.ID)
}

// ticked reports whether all items of a step are decided.
func ticked(st *recovery.StepState) bool {
	return !slices.ContainsFunc(st.Ticks, func(t recovery.TickState) bool { return t.How == "" })
}

// endTicks finishes a step whose items are all decided.
func (x *Executor) endTicks(step string) error {
	var o recovery.Outcome
	count := map[string]int{}
	for _, t := range x.state.Step(step).Ticks {
		if t.How == "" {
			return nil
		}
		count[t.How]++
		if t.How == recovery.TickNotDone {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("not done: %q, because %s (%s)", t.Text, t.Note, t.By))
		}
	}
	o.Says = fmt.Sprintf("%d done, %d talked through, %d not done",
		count[recovery.TickDone], count[recovery.TickTalkedThrough], count[recovery.TickNotDone])
	return x.recordLocked(recovery.StepFinished{Step: step, Outcome: o})
}

// decide carries out a person's choice about a failed step.
func (x *Executor) decide(c recovery.Command) error {
	st := x.state.Step(c.Step)
	switch {
	case st == nil:
		return recovery.Errorf("", "the plan has no step %q", c.Step)
	case st.WaitsFor == "" || st.WaitsFor == recovery.WaitTicks:
		return recovery.Errorf("", "%s does not wait for a decision", st.Says)
	}
	switch c.Choice {
	case recovery.ChooseRetry:
		if st.WaitsFor == recovery.WaitApproval {
			return recovery.Errorf("hand in the signature, or go on with a reason", "an approval is given, not tried again")
		}
	case recovery.ChooseStop:
	case recovery.ChooseContinue:
		if !st.MayPass {
			return recovery.Errorf("try again, or stop", "%s cannot be passed over: what follows needs what it restores", st.Says)
		}
		if c.Text == "" {
			return recovery.Errorf("say why it is right to go on", "going on after a failure needs a reason")
		}
	default:
		return recovery.Errorf("", "the choices are retry, continue and stop, not %q", c.Choice)
	}
	waited, says := st.WaitsFor, st.Says
	if err := x.recordLocked(recovery.Decided{Step: c.Step, Choice: c.Choice, Reason: c.Text, By: c.By}); err != nil {
		return err
	}
	if c.Choice != recovery.ChooseStop {
		return nil
	}
	reason := says + " failed"
	if waited != recovery.WaitDecision { // nothing has failed yet, and yet the system did not come back
		reason = fmt.Sprintf("stopped while it waited for %s", waited.Says())
		if c.Text != "" {
			reason += ": " + c.Text
		}
		if err := x.recordLocked(recovery.StepFailed{Step: c.Step, Error: reason, Exit: recovery.Failed}); err != nil {
			return err
		}
		reason = says + ": " + reason
	}
	return x.recordLocked(recovery.StopAsked{By: c.By, Reason: reason})
}
