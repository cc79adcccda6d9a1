package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comeback/recovery"
)

// takeUp goes on where an interruption has left the run: it removes what an
// interrupted step that says so has left, brings back what ended with the
// runner, and asks again what a person was about to be asked.
func (x *Executor) takeUp(ctx context.Context) {
	s := x.State()
	if len(s.Interruptions) == 0 || !s.Cleaning.IsZero() || s.Result != "" || s.Stop != nil {
		return
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		if k, ok := x.kinds[st.Kind]; ok && st.Interrupted && k.Restart() == recovery.Clean {
			x.cleanAfter(ctx, st.ID)
		}
	}
	x.revive(ctx, s.Interruptions[len(s.Interruptions)-1].Rebooted, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.state.Steps {
		switch st := &x.state.Steps[i]; {
		case st.State == recovery.Running && st.Kind == recovery.KindTicks:
			x.askTicks(st.Step)
		case st.State == recovery.Running && st.Kind == recovery.KindApproval:
			x.askApproval(st.Step)
		case st.State == recovery.WaitsFor && x.Unattended && (st.Kind == recovery.KindTicks || st.Kind == recovery.KindApproval):
			// It waited for a person, and now nobody can be asked.
			if st.Kind == recovery.KindTicks {
				x.askTicks(st.Step)
			} else {
				x.askApproval(st.Step)
			}
		case st.State == recovery.FailedAt && !st.Retry && (st.WaitsFor == "" || x.Unattended):
			x.askAbout(st.Step)
		}
	}
}

// cleanAfter gives back what an interrupted step had claimed.
func (x *Executor) cleanAfter(ctx context.Context, step string) {
	s := x.State()
	for _, c := range slices.Backward(s.Held()) {
		if r, ok := x.releasers[c.Kind]; ok && c.Step == step {
			// What cannot be removed now is tried again at the end, and
			// makes the step's own attempt fail before.
			if err := r.Release(ctx, c.Resource); err == nil {
				x.note(recovery.ClaimReleased{Resource: c.Resource})
			}
		}
	}
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
	x.revive(ctx, false, before)
	state = x.State()
	return state.Step(s.ID).State == recovery.ToDo
}

// revive asks the kinds of finished steps, in the plan's order, whether what
// they made is still there; only nil is all. What is gone is to do again, with
// everything that came after it.
func (x *Executor) revive(ctx context.Context, rebooted bool, only map[string]bool) {
	x.reviving.Lock()
	defer x.reviving.Unlock()
	for _, st := range x.State().Steps {
		now := x.State()
		done := now.Step(st.ID)
		k, ok := x.kinds[st.Kind].(recovery.Reviver)
		if !ok || done.State != recovery.Done || only != nil && !only[st.ID] {
			continue
		}
		r := &running{cancel: func() {}, meter: x.newMeter(st.Step)}
		r.meter.unlogged = true
		x.mu.Lock()
		x.running[st.ID] = r
		x.mu.Unlock()
		r.meter.Phase("look what is still there", 0, recovery.NoUnit)
		err := x.reviveStep(ctx, k, &env{x: x, step: st.Step, meter: r.meter}, done, rebooted)
		x.mu.Lock()
		delete(x.running, st.ID)
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

// reviveStep is one call; a panic in a kind counts as its error.
func (x *Executor) reviveStep(ctx context.Context, k recovery.Reviver, e *env, st *recovery.StepState, rebooted bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return k.Revive(ctx, e, st.Step, st.Outcome, rebooted)
}

// goneLocked records that what a step made is gone, and that everything that
// came after it is to do again.
func (x *Executor) goneLocked(id, why string) {
	x.recordLocked(recovery.StepGone{Step: id, Why: why})
	lost := map[string]bool{id: true}
	for more := true; more; {
		more = false
		for _, st := range x.state.Steps {
			if lost[st.ID] || !slices.ContainsFunc(st.After, func(id string) bool { return lost[id] }) {
				continue
			}
			lost[st.ID], more = true, true
			if st.State != recovery.ToDo && st.State != recovery.Skipped {
				x.recordLocked(recovery.StepGone{Step: st.ID, Why: "it came after " + id})
			}
		}
	}
}
