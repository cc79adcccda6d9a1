package execute

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// credentials makes a wait of a failure that fresh credentials would mend, or a secret
// that was not given, or is not the right one. Where nobody can be asked it stays a failure.
func (x *Executor) credentials(s recovery.Step, err error, o recovery.Outcome) (recovery.Waiting, bool) {
	var missing MissingSecret
	if x.nobody() || x.state.Stop != nil || !errors.Is(err, storage.ErrExpired) && !errors.Is(err, recovery.ErrUnfit) && !errors.As(err, &missing) {
		return recovery.Waiting{}, false
	}
	return recovery.Waiting{Step: s.ID, For: recovery.WaitCredentials, Cause: x.Secrets.Redact(err.Error()),
		Hint: x.Secrets.Redact(recovery.HintOf(err)), Artifacts: o.Artifacts}, true
}

// startApproval starts a step that waits for a second person's signature.
func (x *Executor) startApproval(s recovery.Step) {
	st := x.state.Step(s.ID)
	if x.recordLocked(recovery.StepStarted{Step: s.ID, Attempt: st.Attempts + 1}) == nil {
		x.askApproval(s)
	}
}

// askApproval waits for the approver. Where nobody can be asked, a rehearsal
// talks it through and a recovery stops.
func (x *Executor) askApproval(s recovery.Step) {
	switch {
	case !x.nobody():
		x.recordLocked(recovery.Waiting{Step: s.ID, For: recovery.WaitApproval})
	case x.Plan.Mode == recovery.Rehearsal:
		x.recordLocked(recovery.StepFinished{Step: s.ID, Outcome: recovery.Outcome{Says: "talked through: nobody was there to sign"}})
	default:
		if x.recordLocked(recovery.StepFailed{Step: s.ID, Error: "nobody is there to approve", Exit: recovery.Refused,
			Hint: "run it from a terminal"}) == nil {
			x.askAbout(s)
		}
	}
}

// approve takes a signature over the plan's digest.
func (x *Executor) approve(c recovery.Command) error {
	st := x.state.Step(c.Step)
	if st == nil || st.WaitsFor != recovery.WaitApproval {
		return recovery.Errorf("", "no step %q waits for an approval now", c.Step)
	}
	var args recovery.ApprovalArgs
	if err := st.Decode(&args); err != nil {
		return err
	}
	if x.VerifyApproval == nil {
		return recovery.Errorf("go on with a reason", "this run cannot verify approvals")
	}
	fingerprint, err := x.VerifyApproval(args.Key, x.state.PlanSHA256, c.Signature)
	if err != nil {
		return err
	}
	a := recovery.Approved{Step: c.Step, Role: args.Role, Fingerprint: fingerprint,
		PlanSHA256: x.state.PlanSHA256, Signature: c.Signature, By: c.By}
	if err := x.recordLocked(a); err != nil {
		return err
	}
	return x.endApproval(a)
}

// endApproval finishes a step whose approval is recorded.
func (x *Executor) endApproval(a recovery.Approved) error {
	return x.recordLocked(recovery.StepFinished{Step: a.Step, Outcome: recovery.Outcome{
		Says: fmt.Sprintf("approved by %s, key %s", a.Role, a.Fingerprint), Facts: map[string]string{"approved plan": a.PlanSHA256}}})
}

// amend takes a change of the plan that fits what has happened so far.
func (x *Executor) amend(c recovery.Command) error {
	if c.Amend == nil || c.Amend.Says == "" {
		return recovery.Errorf("", "an amendment says what it changes")
	}
	a := *c.Amend
	a.By, a.Says, a.Why = c.By, x.Secrets.Redact(a.Says), x.Secrets.Redact(a.Why)
	sealed, err := recovery.Amend(x.state.PlanSHA256, *c.Amend)
	if err != nil {
		return err
	}
	if sealed.PlanSHA256 != c.Amend.PlanSHA256 {
		return recovery.Errorf("prepare it again", "the plan has changed since this amendment was made").WithExit(recovery.Refused)
	}
	if a, err = recovery.Amend(x.state.PlanSHA256, a); err != nil {
		return err
	}
	for _, s := range a.Steps {
		if err := x.known(s); err != nil {
			return err
		}
		if s.Stage < 0 || s.Stage >= len(x.state.Stages) {
			return recovery.Errorf("prepare it again", "step %s is of no stage", s.ID)
		}
		for _, id := range s.Writes {
			if _, err := x.target(id); err != nil {
				return err
			}
		}
	}
	changed := slices.Concat(a.Redo, a.Skip)
	for _, s := range a.Steps {
		changed = append(changed, s.ID)
	}
	for _, id := range changed {
		if _, busy := x.running[id]; busy {
			return recovery.Errorf("wait for its end, or stop the run", "%s is under way and cannot be changed now", id).WithExit(recovery.Refused)
		}
	}
	again := slices.Clone(a.Steps)
	for _, id := range a.Redo {
		st := x.state.Step(id)
		if st == nil {
			return recovery.Errorf("prepare it again", "the plan has no step %q", id)
		}
		again = append(again, st.Step)
	}
	for _, s := range again {
		if err := x.state.MayRedo(s); err != nil {
			return err
		}
	}
	for _, id := range a.Skip {
		if err := x.mayLeaveOut(a, id); err != nil {
			return err
		}
	}
	if err := x.recordLocked(a); err != nil {
		return err
	}
	x.attend()
	return nil
}

// mayLeaveOut refuses what follows cannot go without. Where the moment or the steps change
// as well, the plan that they are of says what it does not need any more.
func (x *Executor) mayLeaveOut(a recovery.Amended, id string) error {
	st := x.state.Step(id)
	switch {
	case st == nil:
		return recovery.Errorf("prepare it again", "the plan has no step %q", id)
	case st.State == recovery.Done, st.State == recovery.Passed, st.State == recovery.Skipped:
		return recovery.Errorf("leave out a step that is still to do", "%q is %s already", st.Says, st.State).WithExit(recovery.Refused)
	case a.Moment == nil && len(a.Steps) == 0 && !st.MayPass:
		return recovery.Errorf("choose another moment or another copy, or stop the run",
			"%q cannot be left out: what follows needs what it makes", st.Says).WithExit(recovery.Refused)
	case strings.TrimSpace(a.Why) == "":
		return recovery.Errorf("say why the run is right without it", "leaving out %q needs a reason", st.Says).WithExit(recovery.Usage)
	}
	return nil
}
