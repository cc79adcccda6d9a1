package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/storage"
)

const runbookSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// rig is one run: its plan, its journal, its directories. Any process that knows
// its Place and its Options can go on with it.
type rig struct {
	Options
	place
	plan     *recovery.Plan
	progress progress
}

// place is where a run lies.
type place struct {
	// Dir is the run's directory, Scratch where it may make its own.
	Dir, Scratch string
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	r, err := openRig(o, place{Dir: t.TempDir(), Scratch: scratchDir(t, o.Owner)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// openRig makes the plan, which is the same in every process.
func openRig(o Options, at place) (*rig, error) {
	target := recovery.Target{ID: recovery.TargetID("scratch/" + o.Component.Name), Scratch: true,
		Component: o.Component.Name, Place: filepath.Join(at.Scratch, "run", o.Component.Name)}
	steps, err := o.Engine.Plan(o.Component, o.Point, target)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if o.Probe != nil {
		last := steps[len(steps)-1]
		steps = append(steps, recovery.Step{ID: probeID, Kind: probe(nil).Name(), Says: "look", After: []string{last.ID}})
	}
	plan := &recovery.Plan{Format: 1, Run: "test", System: "test", Mode: recovery.Rehearsal,
		Components: []recovery.Component{o.Component}, Targets: []recovery.Target{target},
		Stages: []recovery.Stage{{Name: "Restore"}}, Steps: steps,
		Moment: recovery.Moment{Anchor: o.Component.Name, Points: []recovery.Point{o.Point}}}
	for name, s := range o.Stores {
		plan.Copies = append(plan.Copies, recovery.Copy{Name: name, URL: s.URL()})
	}
	return &rig{Options: o, place: at, plan: plan}, nil
}

// target is the scratch directory of the component.
func (r *rig) target() string { return r.plan.Targets[0].Place }

func (r *rig) journal() string { return filepath.Join(r.Dir, journal.Name) }

// open begins the journal, or goes on with it in the boot that first names, as a
// runner does that takes a run up.
func (r *rig) open(first recovery.RunResumed) (*journal.Journal, recovery.State, error) {
	s := recovery.NewState(r.plan)
	if _, err := os.Lstat(r.journal()); errors.Is(err, fs.ErrNotExist) {
		j, err := journal.Create(r.journal(), runbookSHA256)
		return j, s, err
	}
	j, events, err := journal.Open(r.journal(), runbookSHA256)
	if err != nil {
		return nil, s, err
	}
	e, err := recovery.NewEvent(time.Now(), first)
	if err == nil {
		e, err = j.Append(e)
	}
	if err != nil {
		return nil, s, errors.Join(err, j.Close())
	}
	for _, e := range append(events, e) {
		s = recovery.Fold(s, e)
	}
	return j, s, nil
}

// hooks see what a run is about to do.
type hooks struct {
	// before is told the number of each event before it is written, after
	// when it is durable.
	before, after func(seq uint64)
	// store gives a store in another's place.
	store func(storage.Store) storage.Store
}

// noHooks see nothing.
func noHooks() hooks {
	none := func(uint64) {}
	return hooks{before: none, after: none, store: func(s storage.Store) storage.Store { return s }}
}

// run executes the plan, or what is left of it, to its end.
func (r *rig) run(ctx context.Context, first recovery.RunResumed, h hooks) (recovery.State, error) {
	j, s, err := r.open(first)
	if err != nil {
		return s, err
	}
	defer j.Close()
	seq := s.Seq
	h.after(seq)
	kinds := r.progress.watch(r.Engine.Kinds())
	if r.Probe != nil {
		kinds = append(kinds, probe(r.Probe))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answers := make(chan error, 1)
	var x *execute.Executor
	x, err = execute.New(execute.Options{
		Plan: r.plan, Dir: r.Dir, Journal: j, State: s, Kinds: kinds, Releasers: r.Releasers,
		OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) { return h.store(r.Stores[c.Name]), nil },
		Secrets: execute.NewSecrets(func(name string) (string, bool) {
			v, ok := r.Environ[name]
			return v, ok
		}, nil),
		Owner: r.Owner, Now: time.Now, Unattended: r.Answer == nil, Sample: func(recovery.Sample) {},
		Intent: func(recovery.Payload) { // one at a time
			seq++
			h.before(seq)
		},
		Event: func(e recovery.Event) {
			h.after(e.Seq)
			if r.Event != nil {
				r.Event(e)
			}
			if p, ok := e.Payload(); ok && r.Answer != nil {
				if w, ok := p.(recovery.Waiting); ok {
					go func() {
						err := errEnded
						defer func() {
							if err != nil {
								answers <- err
								stop() // nobody answers any more
							}
						}()
						err = r.answer(x, w)
					}()
				}
			}
		},
	})
	if err != nil {
		return s, err
	}
	s, err = x.Run(ctx)
	select {
	case refused := <-answers:
		err = errors.Join(err, refused)
	default:
	}
	return s, err
}

func (r *rig) answer(x *execute.Executor, w recovery.Waiting) error {
	s := x.State()
	choice := r.Answer(*s.Step(w.Step))
	if w.For == recovery.WaitCredentials {
		for name, value := range r.Typed {
			if err := x.Do(recovery.Command{Kind: recovery.DoSecret, Step: w.Step, Name: name, Value: value, By: "test"}); err != nil {
				return fmt.Errorf("give %s: %w", name, err)
			}
		}
	}
	if err := x.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: choice, By: "test", Text: "test"}); err != nil {
		return fmt.Errorf("decide %s: %w", choice, err)
	}
	return nil
}

// clean fails the test where something of the run is left, or where the journal
// does not fold to the state in which it ended.
func (r *rig) clean(t testing.TB, s recovery.State) {
	t.Helper()
	kept := slices.Clone(r.Kept)
	for _, c := range s.Held() {
		i := slices.Index(kept, c.ID)
		if i < 0 {
			t.Errorf("%s %s was not given back: %s", c.Kind, c.ID, c.Kept)
			continue
		}
		kept = slices.Delete(kept, i, i+1)
	}
	if len(kept) > 0 {
		t.Errorf("given back, and must not be: %q", kept)
	}
	for _, c := range s.Claims {
		if _, err := os.Lstat(c.ID); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s %s is still there: %v", c.Kind, c.ID, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(r.Scratch, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the scratch directory is still there: %v", err)
	}
	events, err := journal.Read(r.journal(), runbookSHA256)
	if err != nil {
		t.Fatal(err)
	}
	again := recovery.NewState(r.plan)
	for _, e := range events {
		again = recovery.Fold(again, e)
	}
	if again.Result != s.Result || again.Seq != s.Seq || len(again.Unknown) > 0 {
		t.Errorf("the journal folds to %s at %d (not understood: %v), the run ended as %s at %d",
			again.Result, again.Seq, again.Unknown, s.Result, s.Seq)
	}
}

// probe is a last step that looks at what was restored.
type probe func(context.Context, recovery.Env) error

const probeID = "probe"

func (probe) Name() string { return "test.probe" }

func (probe) Restart() recovery.Restart { return recovery.Repeat }

// Do looks in a goroutine of its own: one that fails the test ends with it, and the step
// has to end all the same.
func (p probe) Do(ctx context.Context, env recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
	err := errEnded
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = p(ctx, env)
	}()
	<-ended
	return recovery.Outcome{Says: "looked"}, err
}

var errEnded = errors.New("the test has failed while it looked")
