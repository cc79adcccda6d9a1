// Package enginetest is the suite that every engine passes, and the harness for
// its own tests: it plans an engine's steps and executes them with the real
// executor, journal and clean-up, into real scratch directories.
package enginetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/storage"
)

// Options describe one restore.
type Options struct {
	Engine    recovery.Engine
	Component recovery.Component
	Point     recovery.Point
	// Stores are the copies by name.
	Stores map[string]storage.Store
	// Releasers remove what the engine's steps claim.
	Releasers []recovery.Releaser
	// Owner is who servers run as.
	Owner recovery.User
	// Probe looks at what was restored, before it is cleaned up.
	Probe func(ctx context.Context, env recovery.Env) error
	// Answer decides about a failed step; nil stops the run.
	Answer func(st recovery.StepState) recovery.Choice
	// Environ holds the values of references.
	Environ map[string]string
	// Context ends the run early; nil runs it to its end.
	Context context.Context
	// Event sees every event.
	Event func(recovery.Event)
}

const runbookSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Restore executes the engine's plan for one component in a rehearsal and
// returns how the run ended. It fails the test where something of the run is
// left behind, or where the journal does not fold to the same state.
func Restore(t testing.TB, o Options) recovery.State {
	t.Helper()
	scratch := scratchDir(t, o.Owner)
	dir := t.TempDir()
	target := recovery.Target{ID: recovery.TargetID("scratch/" + o.Component.Name), Scratch: true,
		Component: o.Component.Name, Place: filepath.Join(scratch, "run", o.Component.Name)}
	steps, err := o.Engine.Plan(o.Component, o.Point, target)
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	kinds := o.Engine.Kinds()
	if o.Probe != nil {
		last := steps[len(steps)-1]
		steps = append(steps, recovery.Step{ID: "probe", Kind: "test.probe", Says: "look", After: []string{last.ID}})
		kinds = append(kinds, probe(o.Probe))
	}
	plan := &recovery.Plan{Format: 1, Run: "test", System: "test", Mode: recovery.Rehearsal,
		Components: []recovery.Component{o.Component}, Targets: []recovery.Target{target},
		Stages: []recovery.Stage{{Name: "Restore"}}, Steps: steps,
		Moment: recovery.Moment{Anchor: o.Component.Name, Points: []recovery.Point{o.Point}}}
	for name, s := range o.Stores {
		plan.Copies = append(plan.Copies, recovery.Copy{Name: name, URL: s.URL()})
	}
	path := filepath.Join(dir, journal.Name)
	j, err := journal.Create(path, runbookSHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var x *execute.Executor
	x, err = execute.New(execute.Options{
		Plan: plan, Dir: dir, Journal: j, State: recovery.NewState(plan), Kinds: kinds, Releasers: o.Releasers,
		OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) { return o.Stores[c.Name], nil },
		Secrets: execute.NewSecrets(func(name string) (string, bool) {
			v, ok := o.Environ[name]
			return v, ok
		}, nil),
		Owner: o.Owner, Now: time.Now, Unattended: o.Answer == nil, Sample: func(recovery.Sample) {},
		Event: func(e recovery.Event) {
			if o.Event != nil {
				o.Event(e)
			}
			if p, ok := e.Payload(); ok && o.Answer != nil {
				if w, ok := p.(recovery.Waiting); ok {
					go answer(t, x, w, o.Answer)
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := o.Context
	if ctx == nil {
		ctx = t.Context()
	}
	s, err := x.Run(ctx)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	for _, c := range s.Held() {
		t.Errorf("%s %s was not given back: %s", c.Kind, c.ID, c.Kept)
	}
	if _, err := os.Lstat(filepath.Join(scratch, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the scratch directory is still there: %v", err)
	}
	events, err := journal.Read(path, runbookSHA256)
	if err != nil {
		t.Fatal(err)
	}
	again := recovery.NewState(plan)
	for _, e := range events {
		again = recovery.Fold(again, e)
	}
	if again.Result != s.Result || again.Seq != s.Seq || len(again.Unknown) > 0 {
		t.Errorf("the journal folds to %s at %d (not understood: %v), the run ended as %s at %d",
			again.Result, again.Seq, again.Unknown, s.Result, s.Seq)
	}
	return s
}

func answer(t testing.TB, x *execute.Executor, w recovery.Waiting, choose func(recovery.StepState) recovery.Choice) {
	s := x.State()
	choice := choose(*s.Step(w.Step))
	if err := x.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: choice, By: "test", Text: "test"}); err != nil {
		t.Errorf("decide %s: %v", choice, err)
	}
}

// Failure is the error of the step that failed, and its hint; both are empty
// where the run passed.
func Failure(s recovery.State) (says, hint string) {
	for _, st := range s.Steps {
		if st.State == recovery.FailedAt {
			return st.Error, st.Hint
		}
	}
	return "", ""
}

// scratchDir is a directory with a short path that servers can reach.
func scratchDir(t testing.TB, owner recovery.User) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "cbt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if owner.UID >= 0 {
		if err := os.Chown(dir, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type probe func(context.Context, recovery.Env) error

func (probe) Name() string { return "test.probe" }

func (probe) Restart() recovery.Restart { return recovery.Repeat }

func (p probe) Do(ctx context.Context, env recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
	return recovery.Outcome{Says: "looked"}, p(ctx, env)
}

// Suite holds an engine to what every engine promises, whatever it restores: a
// usable schema, a survey of an empty copy that is not an error, kinds that
// cover its plan, and refusals that say what to do.
func Suite(t *testing.T, e recovery.Engine, empty storage.Store) {
	t.Helper()
	schema := e.Schema()
	if schema.Engine == "" || schema.Kind == "" {
		t.Errorf("the schema names engine %q and kind %q", schema.Engine, schema.Kind)
	}
	for _, k := range schema.Keys {
		if k.Name == "" || k.Doc == "" || k.Example == "" || strings.ToLower(k.Name) != k.Name {
			t.Errorf("key %+v needs a lower-case name, a description and an example", k)
		}
	}
	for _, k := range e.Kinds() {
		if !strings.Contains(k.Name(), ".") {
			t.Errorf("kind %q is not named after its package", k.Name())
		}
		switch k.Restart() {
		case recovery.Repeat, recovery.Continue, recovery.Clean:
		default:
			t.Errorf("kind %q does not say what an interruption needs: %q", k.Name(), k.Restart())
		}
	}
	c := recovery.Component{Name: "part", Kind: schema.Kind}
	s, err := e.Survey(t.Context(), c, recovery.Copy{Name: "empty", URL: empty.URL()}, empty)
	if err != nil {
		t.Fatalf("survey of an empty copy: %v", err)
	}
	if len(s.Backups)+len(s.Windows) > 0 {
		t.Errorf("an empty copy has %d backups and %d windows", len(s.Backups), len(s.Windows))
	}
	if s.Engine != schema.Engine || s.Component != "part" || s.Copy != "empty" {
		t.Errorf("the survey is of %s in %s by %s", s.Component, s.Copy, s.Engine)
	}
	if _, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, empty); err == nil || recovery.HintOf(err) == "" {
		t.Errorf("resolving latest in an empty copy: %v (hint %q), want a refusal with a hint", err, recovery.HintOf(err))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Survey(cancelled, c, recovery.Copy{Name: "empty"}, empty); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("survey with an ended context: %v", err)
	}
}
