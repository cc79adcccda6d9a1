package execute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"comeback/recovery"
)

// goneTries bounds how often a step may find that what it builds on is lost
// before a person is asked.
const goneTries = 3

// checksAtOnce is how many checks of a component are made at a time. Each has a session of its
// own with the server, which after a switch is the one that people use.
const checksAtOnce = 4

// schedule starts what can start. It reports whether there is anything left to
// wait for; where there is not, nothing can be decided any more.
func (x *Executor) schedule(ctx context.Context, wait *sync.WaitGroup) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.through = !x.starts(ctx, wait)
	return !x.through
}

func (x *Executor) starts(ctx context.Context, wait *sync.WaitGroup) bool {
	if x.broken != nil || x.state.Stop != nil {
		return len(x.running) > 0
	}
	for i := range x.state.Steps {
		st := &x.state.Steps[i]
		_, busy := x.running[st.ID]
		_, pauses := x.later[st.ID]
		if busy || pauses || !x.startable(st) || x.crowded(st.Step) {
			continue
		}
		switch st.Kind {
		case recovery.KindTicks:
			x.startTicks(st.Step)
			continue
		case recovery.KindApproval:
			x.startApproval(st.Step)
			continue
		}
		if err := x.recordLocked(recovery.StepStarted{Step: st.ID, Attempt: st.Attempts + 1}); err != nil {
			return len(x.running) > 0
		}
		stepCtx, cancel := context.WithCancel(ctx)
		r := &running{cancel: cancel, meter: x.newMeter(st.Step)}
		x.underWay(st.ID, r)
		// Only who asked for another attempt has not looked what is there: after
		// an interruption the run has, and what was done again is new.
		step, again := st.Step, st.Retry
		if again { // addresses and keys of a profile may have changed since the one before
			x.stores.anew()
		}
		wait.Go(func() { x.do(stepCtx, step, r, again) })
	}
	if len(x.running) > 0 || x.awaited() {
		return true
	}
	return slices.ContainsFunc(x.state.Steps, func(st recovery.StepState) bool { return x.startable(&st) })
}

// crowded reports whether a check has to wait until others of its component have been made.
func (x *Executor) crowded(s recovery.Step) bool {
	under := 0
	for _, r := range x.running {
		if other := r.meter.step; other.Component == s.Component && checks(other) {
			under++
		}
	}
	return checks(s) && under >= checksAtOnce
}

// checks reports whether a step asks something of what was restored, and ends with the answer.
func checks(s recovery.Step) bool {
	switch s.Kind {
	case recovery.KindSQLCheck, recovery.KindFilesCheck, recovery.KindSoundCheck, recovery.KindHTTPCheck:
		return true
	}
	return false
}

// awaited reports whether a person is waited for who is there.
func (x *Executor) awaited() bool { return !x.nobody() && len(x.state.Waits()) > 0 }

// startable reports whether a step can start now: it is to do, or a person
// asked for it again.
func (x *Executor) startable(st *recovery.StepState) bool {
	switch st.State {
	case recovery.ToDo:
		return x.state.Ready(st) && !x.withheld(st)
	case recovery.FailedAt, recovery.WaitsFor:
		return st.Retry && x.state.Ready(st) && !x.withheld(st)
	}
	return false
}

// withheld reports whether a step may change what is live while a check does not hold that
// nobody has passed over: what failed it must not go live, also where the plan, as those of
// earlier versions, has both side by side. A system that is open already is finished.
func (x *Executor) withheld(st *recovery.StepState) bool {
	if !x.Plan.NeedsName(st.Step) || st.Phase == recovery.Protect || x.state.OpenedWith(st.Step) {
		return false
	}
	return slices.ContainsFunc(x.state.Steps, func(other recovery.StepState) bool {
		return checks(other.Step) && !other.Retry && (other.State == recovery.FailedAt || other.WaitsFor == recovery.WaitDecision)
	})
}

// do executes one step and records how it ended. An attempt that a person asked
// for looks first whether all that the step comes after is still there.
func (x *Executor) do(ctx context.Context, s recovery.Step, r *running, again bool) {
	defer r.cancel()
	e := &env{x: x, step: s, meter: r.meter}
	if again && x.reviveBefore(ctx, s) || !x.begin(s, r) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.hasEnded(s.ID)
		x.wake()
		return
	}
	outcome, err := x.attempt(ctx, e, s)
	logged, closeErr := r.meter.close()
	err = errors.Join(err, closeErr)
	if errors.Is(err, recovery.ErrGone) && r.meter.attempt < goneTries {
		// What it builds on is lost: those whose it is say so, and then all of
		// it is to do again without asking anybody.
		x.reviveBefore(ctx, s)
	}
	outcome.Artifacts = append(outcome.Artifacts, append(e.artifacts, logged...)...)
	outcome.Old = x.keptFromNow(outcome.Old)
	if s.StandIn != "" {
		outcome.Facts = maps.Clone(outcome.Facts)
		if outcome.Facts == nil {
			outcome.Facts = map[string]string{}
		}
		outcome.Facts[recovery.FactStandIn] = s.StandIn
	}

	x.mu.Lock()
	defer x.mu.Unlock()
	x.hasEnded(s.ID)
	defer x.wake()
	if r.void != "" {
		x.recordLocked(recovery.StepFailed{Step: s.ID, Error: "cut off: " + r.void, Outcome: recovery.Outcome{Artifacts: outcome.Artifacts}})
		x.recordLocked(recovery.StepGone{Step: s.ID, Why: r.void})
		return
	}
	if err == nil {
		if s.Phase == recovery.Open {
			outcome.Adopted = append(outcome.Adopted, x.exchangedWith(s)...)
		}
		if err = x.recordLocked(recovery.StepFinished{Step: s.ID, Outcome: outcome}); err == nil {
			return
		}
	}
	if w, ok := x.waits(s, err, outcome); ok {
		x.recordLocked(w)
		return
	}
	if x.state.Stop != nil && errors.Is(err, context.Canceled) {
		err = recovery.Errorf("", cutShort+": %w", context.Canceled)
	}
	failed := recovery.StepFailed{Step: s.ID, Error: x.Secrets.Redact(err.Error()),
		Hint: x.Secrets.Redact(x.hintOf(err)), Exit: recovery.ExitOf(err), Outcome: outcome}
	if x.recordLocked(failed) != nil || x.state.Stop != nil {
		return
	}
	if !x.triesLater(s, err, r.meter.came()) {
		x.askAbout(s)
	}
}

// keptFromNow lets what a step has put aside stay for as long as was planned from now on: the
// plan counts from when it was made, and a run may have waited for longer than that since.
func (x *Executor) keptFromNow(old []recovery.Old) []recovery.Old {
	since := x.Now().Sub(x.Plan.Created).Truncate(time.Second)
	if x.Plan.Created.IsZero() || since <= 0 {
		return old
	}
	old = slices.Clone(old)
	for i := range old {
		if !old[i].Until.IsZero() {
			old[i].Until = old[i].Until.Add(since)
		}
	}
	return old
}

// begin marks a step's attempt as under way; false if the step is to do again
// since it was started, because what it comes after is gone.
func (x *Executor) begin(s recovery.Step, r *running) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	r.begun = x.state.Step(s.ID).State == recovery.Running
	return r.begun
}

// askAbout leaves a failed step to a person; where nobody can be asked the run stops.
func (x *Executor) askAbout(s recovery.Step) {
	if x.nobody() {
		// Checks beside this one are still made, so that the report tells of all.
		if !x.othersGoOn(s) {
			x.recordLocked(recovery.StopAsked{By: recovery.Program, Reason: fmt.Sprintf("%s failed and nobody is there to decide", s.Says)})
		}
		return
	}
	x.recordLocked(recovery.Waiting{Step: s.ID, For: recovery.WaitDecision})
}

// othersGoOn reports whether steps that do not depend on a failed one are under
// way or can start.
func (x *Executor) othersGoOn(failed recovery.Step) bool {
	if !failed.MayPass {
		return false
	}
	if len(x.running) > 0 {
		return true
	}
	return slices.ContainsFunc(x.state.Steps, func(st recovery.StepState) bool { return x.startable(&st) })
}

// attempt checks the guards and does the step; a panic in a kind is an error of
// that step.
func (x *Executor) attempt(ctx context.Context, e *env, s recovery.Step) (o recovery.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovery.Errorf("report this as a bug, with the run's directory", "step %s: internal error: %v", s.ID, p)
		}
	}()
	for _, g := range s.Guards {
		if err := x.guard(g, e.meter.attempt); err != nil {
			return o, err
		}
	}
	if err := x.beforeLive(ctx, s); err != nil {
		return o, err
	}
	if x.kinds[s.Kind].Restart() == recovery.Clean {
		if err := x.cleanAfter(ctx, s.ID); err != nil {
			return o, err
		}
	}
	if s.Budget > 0 && s.Kind == recovery.KindShell {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.Budget))
		defer cancel()
	}
	return x.kinds[s.Kind].Do(ctx, e, s)
}
