// Package execute carries out a plan: it starts each step when the steps that
// it comes after have ended well, independent ones side by side, and writes
// every transition to the journal before the act that it announces and after
// the act that it reports.
//
// It executes plan.json and nothing else; it never plans. A step reaches the
// world only through its [recovery.Env], which claims what the step creates,
// refuses targets that the mode forbids, resolves secrets at the moment of use
// and keeps them out of everything that is recorded. When a run ends, however it
// ends, its claims are given back in reverse order and each is proven gone.
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
	"comeback/recovery/journal"
	"comeback/storage"
)

// Options are what an executor needs.
type Options struct {
	Plan *recovery.Plan
	// Dir is the run's directory; artifacts are kept in it.
	Dir     string
	Journal *journal.Journal
	// State is what the journal folds to so far.
	State     recovery.State
	Kinds     []recovery.Kind
	Releasers []recovery.Releaser
	// OpenStore opens a copy of the plan; its references are unresolved.
	OpenStore func(context.Context, recovery.Copy) (storage.Store, error)
	Secrets   *Secrets
	// Owner is who scratch directories belong to and servers run as.
	Owner recovery.User
	Now   func() time.Time
	// Unattended says that nobody can be asked: the ticks of a rehearsal are
	// talked through, and a step that fails stops the run.
	Unattended bool
	// VerifyApproval checks a signature over a plan's digest by the holder of
	// a public key and gives the key's fingerprint.
	VerifyApproval func(key, planSHA256, signature string) (fingerprint string, err error)
	// Hold is asked immediately before each step that changes live; an error
	// refuses the step. It may be nil.
	Hold func(context.Context) error
	// Watched reports whether somebody is looking. It may be nil.
	Watched func() bool
	// Intent is told of every event before it is written. It may be nil.
	Intent func(recovery.Payload)
	// Event and Sample are told of every event, in order, after it is
	// durable, and of every sample. They must not block.
	Event  func(recovery.Event)
	Sample func(recovery.Sample)
}

// Executor is a run in this process.
type Executor struct {
	Options
	kinds     map[string]recovery.Kind
	releasers map[recovery.ResourceKind]recovery.Releaser

	mu      sync.Mutex // guards what follows, and the journal
	state   recovery.State
	broken  error // the journal could not be written: nothing more may happen
	changed chan struct{}
	stores  map[string]storage.Store
	running map[string]*running

	reviving sync.Mutex // one at a time looks what is still there
	calls    calls
	seats    seats // at the terminals of steps that talk with a person
}

// running is a step under way.
type running struct {
	cancel context.CancelFunc
	meter  *meter
	// begun says that the attempt itself is under way, void why it counts for
	// nothing: what it builds on is gone.
	begun bool
	void  string
}

// New prepares an executor. Every kind of step in the plan must be known.
func New(o Options) (*Executor, error) {
	x := &Executor{
		Options: o, state: o.State,
		kinds:     map[string]recovery.Kind{},
		releasers: map[recovery.ResourceKind]recovery.Releaser{recovery.Directory: removeDirectory{}},
		changed:   make(chan struct{}, 1),
		stores:    map[string]storage.Store{},
		running:   map[string]*running{},
		calls:     newCalls(),
	}
	for _, k := range append([]recovery.Kind{shell{x}, shellWait{x}}, o.Kinds...) {
		x.kinds[k.Name()] = k
	}
	for _, r := range o.Releasers {
		x.releasers[r.Resource()] = r
	}
	steps := slices.Clone(o.Plan.Steps)
	for _, s := range o.State.Steps { // an amendment may have changed them
		steps = append(steps, s.Step)
	}
	for _, s := range steps {
		if err := x.known(s); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// known refuses a step of a kind that this version does not have.
func (x *Executor) known(s recovery.Step) error {
	if _, ok := x.kinds[s.Kind]; ok || s.Kind == recovery.KindTicks || s.Kind == recovery.KindApproval {
		return nil
	}
	return recovery.Errorf("use the version of comeback that made the plan",
		"step %s is of the kind %q, which this version does not know", s.ID, s.Kind)
}

// Run executes the plan until it has ended, then cleans up. The end of ctx is
// an interruption: the run stops in order, gives back what it claimed and ends
// as interrupted. The error is not nil only where the journal could not be
// written.
func (x *Executor) Run(ctx context.Context) (recovery.State, error) {
	steps, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	samples := x.publishSamples(steps)
	var wait sync.WaitGroup
	interrupted := ctx.Done()
	taken := make(chan struct{})
	taking, give := context.WithCancel(steps)
	defer give()
	go func() {
		defer close(taken)
		x.takeUp(taking)
	}()
	for looking := true; looking; {
		select {
		case <-taken:
			looking = false
		case <-x.changed:
			if x.State().Stop != nil || x.journalError() != nil {
				give()
			}
		case <-interrupted:
			interrupted = nil
			x.interrupt(ctx)
		}
	}
	for x.State().Cleaning.IsZero() {
		more := x.schedule(steps, &wait)
		if !more {
			break
		}
		select {
		case <-x.changed:
		case <-interrupted:
			interrupted = nil
			x.interrupt(ctx)
		}
		if x.State().Stop != nil || x.journalError() != nil {
			x.cancelSteps()
		}
	}
	x.cancelSteps()
	wait.Wait()
	stop()
	<-samples
	x.endCalls()
	// Cleaning up must happen even after an interruption, so it has a context
	// of its own.
	x.finish(context.WithoutCancel(ctx))
	return x.State(), x.journalError()
}

// interrupt records why the run is to stop, unless it stops already.
func (x *Executor) interrupt(ctx context.Context) {
	cause := "interrupted"
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		cause = err.Error()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state.Stop == nil && x.state.Cleaning.IsZero() {
		x.recordLocked(recovery.StopAsked{By: x.state.Operator, Reason: cause})
	}
}

// State is a snapshot of the run.
func (x *Executor) State() recovery.State {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state
}

func (x *Executor) journalError() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.broken
}

// record makes an event durable and folds it in. After a failure nothing more
// is recorded: what cannot be journaled must not be done.
func (x *Executor) record(p recovery.Payload) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.recordLocked(p)
}

func (x *Executor) recordLocked(p recovery.Payload) error {
	if x.broken != nil {
		return x.broken
	}
	if x.Intent != nil {
		x.Intent(p)
	}
	e, err := recovery.NewEvent(x.Now(), p)
	if err == nil {
		if _, sealed := p.(recovery.Amended); !sealed { // its digest is over its bytes
			e.Data = x.Secrets.RedactJSON(e.Data)
		}
		e, err = x.Journal.Append(e)
	}
	if err != nil {
		x.broken = recovery.Errorf("make room or repair the disk, then: comeback resume "+x.Plan.Run, "the run cannot be recorded: %w", err)
		x.wake()
		return x.broken
	}
	x.state = recovery.Fold(x.state, e)
	if x.Event != nil {
		x.Event(e)
	}
	x.wake()
	if w, ok := p.(recovery.Waiting); ok {
		x.call(w)
	}
	return nil
}

// note records an event whose failure has no caller to tell: the run's end
// reports it.
func (x *Executor) note(p recovery.Payload) {
	if err := x.record(p); err != nil {
		x.wake()
	}
}

// wake makes the scheduler look again.
func (x *Executor) wake() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

func (x *Executor) cancelSteps() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.running {
		r.cancel()
	}
}

// schedule starts what can start. It reports whether there is anything left to
// wait for.
func (x *Executor) schedule(ctx context.Context, wait *sync.WaitGroup) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken != nil || x.state.Stop != nil {
		return len(x.running) > 0
	}
	for i := range x.state.Steps {
		st := &x.state.Steps[i]
		if _, busy := x.running[st.ID]; busy || !x.startable(st) {
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
		x.running[st.ID] = r
		// Only who asked for another attempt has not looked what is there: after
		// an interruption the run has, and what was done again is new.
		step, again := st.Step, st.Retry
		wait.Go(func() { x.do(stepCtx, step, r, again) })
	}
	if len(x.running) > 0 || !x.Unattended && len(x.state.Waits()) > 0 {
		return true
	}
	return slices.ContainsFunc(x.state.Steps, func(st recovery.StepState) bool { return x.startable(&st) })
}

// startable reports whether a step can start now: it is to do, or a person
// asked for it again.
func (x *Executor) startable(st *recovery.StepState) bool {
	switch st.State {
	case recovery.ToDo:
		return x.state.Ready(st)
	case recovery.FailedAt, recovery.WaitsFor:
		return st.Retry && x.state.Ready(st)
	}
	return false
}

// do executes one step and records how it ended. An attempt that a person asked
// for looks first whether all that the step comes after is still there.
func (x *Executor) do(ctx context.Context, s recovery.Step, r *running, again bool) {
	defer r.cancel()
	e := &env{x: x, step: s, meter: r.meter}
	if again && x.reviveBefore(ctx, s) || !x.begin(s, r) {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.running, s.ID)
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

	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.running, s.ID)
	defer x.wake()
	if r.void != "" {
		x.recordLocked(recovery.StepFailed{Step: s.ID, Error: "cut off: " + r.void, Outcome: recovery.Outcome{Artifacts: outcome.Artifacts}})
		x.recordLocked(recovery.StepGone{Step: s.ID, Why: r.void})
		return
	}
	if err == nil {
		if err = x.recordLocked(recovery.StepFinished{Step: s.ID, Outcome: outcome}); err == nil {
			return
		}
	}
	if w, ok := x.waits(s, err, outcome); ok {
		x.recordLocked(w)
		return
	}
	if x.state.Stop != nil && errors.Is(err, context.Canceled) {
		err = recovery.Errorf("", "stopped before it had ended: %w", context.Canceled)
	}
	failed := recovery.StepFailed{Step: s.ID, Error: x.Secrets.Redact(err.Error()),
		Hint: x.Secrets.Redact(recovery.HintOf(err)), Exit: recovery.ExitOf(err), Outcome: outcome}
	if x.recordLocked(failed) != nil || x.state.Stop != nil {
		return
	}
	x.askAbout(s)
}

// goneTries bounds how often a step may find that what it builds on is lost
// before a person is asked.
const goneTries = 3

// begin marks a step's attempt as under way; false if the step is to do again
// since it was started, because what it comes after is gone.
func (x *Executor) begin(s recovery.Step, r *running) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	r.begun = x.state.Step(s.ID).State == recovery.Running
	return r.begun
}

// askAbout leaves a failed step to a person; where nobody can be asked the run
// stops.
func (x *Executor) askAbout(s recovery.Step) {
	if x.Unattended {
		// Checks beside this one are still made, so that the report tells of all.
		if !x.othersGoOn(s) {
			x.recordLocked(recovery.StopAsked{By: "comeback", Reason: fmt.Sprintf("%s failed and nobody is there to decide", s.Says)})
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
	if x.Hold != nil && x.changesLive(s) {
		if err := x.Hold(ctx); err != nil {
			return o, err
		}
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

// store opens each copy once.
func (x *Executor) store(ctx context.Context, name string) (storage.Store, error) {
	x.mu.Lock()
	s, ok := x.stores[name]
	x.mu.Unlock()
	if ok {
		return s, nil
	}
	i := slices.IndexFunc(x.Plan.Copies, func(c recovery.Copy) bool { return c.Name == name })
	if i < 0 {
		return nil, recovery.Errorf("make a new plan", "the plan has no copy %q", name)
	}
	s, err := x.OpenStore(ctx, x.Plan.Copies[i])
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stores[name] = s
	return s, nil
}

// changesLive reports whether a step writes to anything but scratch.
func (x *Executor) changesLive(s recovery.Step) bool {
	return slices.ContainsFunc(s.Writes, func(id recovery.TargetID) bool {
		return !slices.ContainsFunc(x.Plan.Targets, func(t recovery.Target) bool { return t.ID == id && t.Scratch })
	})
}

// target resolves a target of the plan; a rehearsal yields scratch only.
func (x *Executor) target(id recovery.TargetID) (recovery.Target, error) {
	i := slices.IndexFunc(x.Plan.Targets, func(t recovery.Target) bool { return t.ID == id })
	if i < 0 {
		return recovery.Target{}, recovery.Errorf("make a new plan", "the plan has no target %q", id).WithExit(recovery.Refused)
	}
	t := x.Plan.Targets[i]
	if x.Plan.Mode == recovery.Rehearsal && !t.Scratch {
		return t, recovery.Errorf("a rehearsal restores into scratch only", "refused: target %s is live and this is a rehearsal", id).WithExit(recovery.Refused)
	}
	return t, nil
}

// Kinds lists the kinds of steps that this executor knows, for tests.
func (x *Executor) Kinds() []string { return slices.Sorted(maps.Keys(x.kinds)) }
