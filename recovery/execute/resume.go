package execute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"comeback/recovery"
)

// takeUp goes on where an interruption has left the run: it removes what an
// interrupted step that says so has left, takes back what came after a step that
// is to do again, brings back what ended with the runner, and asks again what a
// person was about to be asked. The end of ctx leaves the rest undone.
func (x *Executor) takeUp(ctx context.Context) {
	s := x.State()
	if len(s.Interruptions) == 0 || !s.Cleaning.IsZero() || s.Result != "" || s.Stop != nil {
		return
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		if k, ok := x.kinds[st.Kind]; ok && st.Interrupted && k.Restart() == recovery.Clean {
			// What cannot be removed now makes the next attempt fail.
			_ = x.cleanAfter(ctx, st.ID)
		}
	}
	x.loseRest()
	x.revive(ctx, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.state.Steps {
		if ctx.Err() != nil || x.state.Stop != nil || x.broken != nil {
			return
		}
		x.askAgain(&x.state.Steps[i])
	}
}

// askAgain brings one step to where its runner would have brought it: to a
// person, or to what a person has decided already.
func (x *Executor) askAgain(st *recovery.StepState) {
	chosen := recovery.Choice("")
	if n := len(st.Decisions); n > 0 && st.WaitsFor == "" {
		chosen = st.Decisions[n-1].Choice
	}
	waits := st.State == recovery.WaitsFor
	switch {
	case chosen == recovery.ChooseStop && (waits || st.State == recovery.FailedAt):
		x.recordLocked(recovery.StopAsked{By: st.Decisions[len(st.Decisions)-1].By, Reason: fmt.Sprintf("%s failed", st.Says)})
	case st.Kind == recovery.KindTicks && (st.State == recovery.Running || waits && (x.nobody() || ticked(st))):
		x.askTicks(st.Step)
	case st.Kind == recovery.KindApproval && (st.State == recovery.Running || waits):
		x.askApprovalAgain(st)
	case waits && x.nobody() && st.WaitsFor != "":
		x.recordLocked(recovery.Decided{Step: st.ID, Choice: recovery.ChooseRetry, By: recovery.Program,
			Reason: "nobody is there any more to be waited for"})
	case st.State == recovery.FailedAt && !st.Retry && (st.WaitsFor == "" || x.nobody()):
		x.askAbout(st.Step)
	}
}

// askApprovalAgain ends an approval whose signature over this very plan is
// recorded, and asks for it otherwise.
func (x *Executor) askApprovalAgain(st *recovery.StepState) {
	for _, a := range slices.Backward(x.state.Approvals) {
		if a.Step == st.ID && a.PlanSHA256 == x.state.PlanSHA256 {
			x.endApproval(a.Approved)
			return
		}
	}
	if st.State == recovery.Running || x.nobody() {
		x.askApproval(st.Step)
	}
}

// cleanAfter gives back what an earlier attempt of a step had claimed; the run's
// own scratch directory, which holds more than the step's, stays.
func (x *Executor) cleanAfter(ctx context.Context, step string) error {
	s := x.State()
	var failed error
	for _, c := range slices.Backward(s.Held()) {
		shared := c.Kind == recovery.Directory && slices.ContainsFunc(x.Plan.Targets, func(t recovery.Target) bool { return filepath.Dir(t.Place) == c.ID })
		if c.Step != step || shared {
			continue
		}
		r, ok := x.releasers[c.Kind]
		if !ok {
			failed = errors.Join(failed, fmt.Errorf("this version cannot remove a %s", c.Kind))
			continue
		}
		err := r.Release(ctx, c.Resource)
		if err == nil {
			err = x.record(recovery.ClaimReleased{Resource: c.Resource})
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return recovery.Errorf("remove it by hand and try again", "remove what an earlier attempt of %s left: %w", step, failed)
	}
	return nil
}

// reviveBefore looks at what a step comes after and reports whether any of it,
// and so the step itself, is to do again.
func (x *Executor) reviveBefore(ctx context.Context, s recovery.Step) (gone bool) {
	before := map[string]bool{}
	state := x.State()
	var collect func(step recovery.Step)
	collect = func(step recovery.Step) {
		for _, id := range step.After {
			if st := state.Step(id); st != nil && !before[id] {
				before[id] = true
				collect(st.Step)
			}
		}
	}
	collect(s)
	x.revive(ctx, before)
	state = x.State()
	return state.Step(s.ID).State == recovery.ToDo
}

// revive asks the kinds of finished steps, in the plan's order, whether what
// they made is still there; only nil is all. What is gone is to do again, with
// everything that came after it. The end of ctx leaves the rest unasked.
func (x *Executor) revive(ctx context.Context, only map[string]bool) {
	x.reviving.Lock()
	defer x.reviving.Unlock()
	for _, st := range x.State().Steps {
		if ctx.Err() != nil {
			return
		}
		now := x.State()
		done := now.Step(st.ID)
		k, ok := x.kinds[st.Kind].(recovery.Reviver)
		if !ok || done.State != recovery.Done || only != nil && !only[st.ID] || served(&now, st.Component) || leftScratch(&now, st.Component) {
			continue
		}
		x.mu.Lock()
		r := &running{cancel: func() {}, meter: x.newMeter(st.Step)}
		r.meter.unlogged = true
		x.underWay(st.ID, r)
		x.mu.Unlock()
		r.meter.Phase("look what is still there", 0, recovery.NoUnit)
		err := x.reviveStep(ctx, k, &env{x: x, step: st.Step, meter: r.meter}, done, rebootedSince(&now, done))
		x.mu.Lock()
		x.hasEnded(st.ID)
		if err != nil && ctx.Err() == nil {
			why := err.Error()
			if !errors.Is(err, recovery.ErrGone) {
				why = "it could not be brought back: " + why
			}
			x.goneLocked(st.ID, x.Secrets.Redact(why))
		}
		x.mu.Unlock()
	}
}

// served reports whether what was restored of a component is live already: what is
// left of it in scratch is of no use any more, and is not brought back.
func served(s *recovery.State, component string) bool {
	return slices.ContainsFunc(s.Steps, func(st recovery.StepState) bool {
		return st.Component == component && st.Phase == recovery.Exchange && st.State == recovery.Done
	})
}

// leftScratch reports whether the restored tree of a component has left scratch, to lie
// on its own, or is about to and lies there already: it is not restored again.
func leftScratch(s *recovery.State, component string) bool {
	if slices.ContainsFunc(s.HandedOver, func(h recovery.HandedOver) bool { return h.Component == component && h.Tree != "" }) {
		return true
	}
	return slices.ContainsFunc(s.Held(), func(c recovery.ClaimState) bool {
		if c.Kind != recovery.HandedTree || c.Details["component"] != component {
			return false
		}
		_, err := os.Lstat(c.Details["tree"])
		return err == nil
	})
}

// reviveStep is one call; a panic in a kind counts as its error.
func (x *Executor) reviveStep(ctx context.Context, k recovery.Reviver, e *env, st *recovery.StepState, rebooted bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return k.Revive(ctx, e, st.Step, st.Outcome, rebooted)
}

// rebootedSince reports whether the host was started again after a step had
// ended. A run may be taken up several times after one reboot, and a clock may
// be wrong after it: the order of events tells.
func rebootedSince(s *recovery.State, st *recovery.StepState) bool {
	return slices.ContainsFunc(s.Interruptions, func(i recovery.Interruption) bool { return i.Rebooted && i.Seq > st.EndedSeq })
}

// loseRest records what a runner could not that died, or whose disk was full, while it
// recorded what was gone: everything that came after a step that is to do is to do again,
// too. An approval is to do after each change of the plan, and what was done by it stays.
func (x *Executor) loseRest() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, st := range x.state.Steps {
		if st.State == recovery.ToDo && st.Kind != recovery.KindApproval {
			x.loseAfterLocked(st.ID)
		}
	}
}

// goneLocked records that what a step made is gone, and that everything that
// came after it is to do again.
func (x *Executor) goneLocked(id, why string) {
	if x.recordLocked(recovery.StepGone{Step: id, Why: why}) == nil {
		x.loseAfterLocked(id)
	}
}

// loseAfterLocked records that everything that came after a step is to do again. An
// attempt under way is cut off first. Where that cannot be recorded nothing more happens in
// this process, and whoever takes the run up records the rest.
func (x *Executor) loseAfterLocked(id string) {
	why := "it came after " + id
	lost := map[string]bool{id: true}
	for more := true; more; {
		more = false
		for _, st := range x.state.Steps {
			if lost[st.ID] || !slices.ContainsFunc(st.After, func(id string) bool { return lost[id] }) {
				continue
			}
			lost[st.ID], more = true, true
			if r, ok := x.running[st.ID]; ok && r.begun {
				r.void = why
				r.cancel()
				continue
			}
			if st.State == recovery.ToDo || st.State == recovery.Skipped {
				continue
			}
			if x.recordLocked(recovery.StepGone{Step: st.ID, Why: why}) != nil {
				return
			}
		}
	}
}
