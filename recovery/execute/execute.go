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
	"maps"
	"slices"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Journal keeps the events of a run. It is never asked for two of them at once.
type Journal interface {
	// Append chains an event to the one before and gives it as it stands. It must not return
	// without an error before the event is durable.
	Append(recovery.Event) (recovery.Event, error)
}

// Options are what an executor needs.
type Options struct {
	Plan *recovery.Plan
	// Dir is the run's directory; artifacts are kept in it.
	Dir     string
	Journal Journal
	// State is what the journal folds to so far.
	State     recovery.State
	Kinds     []recovery.Kind
	Releasers []recovery.Releaser
	// OpenStore opens a copy of the plan; its references are unresolved.
	OpenStore func(context.Context, recovery.Copy) (storage.Store, error)
	Secrets   *Secrets
	// Hidden are directories of the host that no box may see beside what production
	// owns: where its runners are commanded.
	Hidden []string
	// Owner is who servers run as.
	Owner recovery.User
	Now   func() time.Time
	// Uptime is how long the host has run, whether or not it was asleep, by a clock that
	// nobody sets. Without it a step of the clock is only seen where it shows in the order of
	// events.
	Uptime func() time.Duration
	// Unattended says that nobody can be asked, until somebody takes the command of the run,
	// is given it, changes its plan or holds it back: the ticks of a rehearsal are
	// talked through, and a step that fails stops the run, but for one whose copy did not
	// answer, which is done again after Pauses.
	Unattended bool
	// Pauses are those of an unattended run; nil are half an hour of them. An attempt that has
	// come further begins with the first again, and no step waits for longer than all of them
	// together.
	Pauses []time.Duration
	// VerifyApproval checks a signature over a plan's digest by the holder of
	// a public key and gives the key's fingerprint.
	VerifyApproval func(key, planSHA256, signature string) (fingerprint string, err error)
	// Hold is asked immediately before each step that changes live; an error
	// refuses the step. It may be nil.
	Hold func(context.Context) error
	// Identify reads the identity of a target that is not scratch. Without it
	// no such target can be written to.
	Identify func(context.Context, recovery.Target) (recovery.Identity, error)
	// KeptOfLog is how much of the beginning, and how much of the end, of what a step says is
	// kept in its log; 0 is 32 MB of each.
	KeptOfLog int64
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
//
// Two locks keep its state. Who decides by it and records what follows holds mu until that is
// on disk, so that the events of the journal are in the order in which it was held, and nobody
// decides by what the journal does not say. Who only looks holds sight, which nobody holds
// while anything is written: a slow disk hides from nobody how far the run is.
type Executor struct {
	Options
	kinds     map[string]recovery.Kind
	releasers map[recovery.ResourceKind]recovery.Releaser
	changed   chan struct{}

	mu      sync.Mutex // guards the journal and what follows
	clock   clock
	through bool                   // no step will be started any more
	later   map[string]*time.Timer // to the end of the pauses of steps
	patient map[string]*patience   // of the steps that had any
	// attended says that a person has taken the command of a run that nobody was to be asked
	// in, or was given it, or has changed its plan: they can be asked.
	attended bool

	sight sync.Mutex // guards what follows: it is read under either lock, and changed under both
	state recovery.State
	// broken says that the journal could not be written: nothing more may happen.
	broken  error
	running map[string]*running

	stores   openings
	reviving sync.Mutex // one at a time looks what is still there
	calls    calls
	started  applications
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
		Options: o, state: o.State, clock: newClock(o.Now, o.Uptime),
		kinds:     map[string]recovery.Kind{},
		releasers: map[recovery.ResourceKind]recovery.Releaser{recovery.Directory: removeDirectory{}},
		changed:   make(chan struct{}, 1),
		running:   map[string]*running{},
		later:     map[string]*time.Timer{},
		patient:   map[string]*patience{},
		calls:     newCalls(),
	}
	if x.Pauses == nil {
		x.Pauses = pauses
	}
	for _, k := range append([]recovery.Kind{shell{x}, shellWait{x}, start{x}, stop{x}, giveBack{x}}, o.Kinds...) {
		x.kinds[k.Name()] = k
	}
	x.releasers[recovery.Application] = endApplication{x}
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
	x.endPauses()
	stop()
	<-samples
	x.endCalls()
	// Cleaning up must happen even after an interruption, so it has a context
	// of its own.
	x.finish(context.WithoutCancel(ctx))
	return x.State(), x.journalError()
}

// interrupt records why the run is to stop, unless it stops already. It names nobody: who
// commands the run has not asked for it.
func (x *Executor) interrupt(ctx context.Context) {
	cause := "interrupted"
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		cause = err.Error()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state.Stop == nil && x.state.Cleaning.IsZero() {
		x.recordLocked(recovery.StopAsked{By: recovery.Nobody, Reason: cause})
	}
}

// State is a snapshot of the run, as its journal has it on disk.
func (x *Executor) State() recovery.State {
	x.sight.Lock()
	defer x.sight.Unlock()
	return x.state
}

func (x *Executor) journalError() error {
	x.sight.Lock()
	defer x.sight.Unlock()
	return x.broken
}

// show lets everybody see a change of what is seen; mu is held.
func (x *Executor) show(change func()) {
	x.sight.Lock()
	defer x.sight.Unlock()
	change()
}

// underWay lets everybody see a step that has begun, hasEnded that it has; mu is held.
func (x *Executor) underWay(step string, r *running) { x.show(func() { x.running[step] = r }) }

func (x *Executor) hasEnded(step string) { x.show(func() { delete(x.running, step) }) }

// allUnderWay are the steps that are under way.
func (x *Executor) allUnderWay() []*running {
	x.sight.Lock()
	defer x.sight.Unlock()
	return slices.Collect(maps.Values(x.running))
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
	switch p.(type) {
	case recovery.ClockStepped, recovery.RunEnded: // what the end says goes by the events before it
	default:
		if err := x.clockLocked(); err != nil {
			return err
		}
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
		err = recovery.Errorf("make room or repair the disk, then: comeback resume "+x.Plan.Run, "the run cannot be recorded: %w", err)
		x.show(func() { x.broken = err })
		x.wake()
		return err
	}
	after := recovery.Fold(x.state, e)
	x.show(func() { x.state = after })
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
	for _, r := range x.allUnderWay() {
		r.cancel()
	}
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
