// Package enginetest is the suite that every engine passes, and the harness for
// its own tests: it plans an engine's steps and executes them with the real
// executor, journal and clean-up, into real scratch directories.
package enginetest

import (
	"context"
	"os"
	"testing"

	"comeback/recovery"
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
	// Kept are the IDs of claims that must not be given back: what they name is
	// somebody else's by then.
	Kept []string
	// Answer decides about a failed step; nil stops the run.
	Answer func(st recovery.StepState) recovery.Choice
	// Environ holds the values of references, Typed what a person gives where a step
	// waits for credentials, before what Answer says.
	Environ, Typed map[string]string
	// Context ends the run early; nil runs it to its end.
	Context context.Context
	// Event sees every event.
	Event func(recovery.Event)
	// Uncounted says that nobody knows how much there is to restore, so that no step
	// can count towards it.
	Uncounted bool
}

// Restore executes the engine's plan for one component in a rehearsal and
// returns how the run ended. It fails the test where something of the run is
// left behind, where the journal does not fold to the same state, or where a step
// of a run that passed has shown no progress.
func Restore(t testing.TB, o Options) recovery.State {
	t.Helper()
	r := newRig(t, o)
	ctx := o.Context
	if ctx == nil {
		ctx = t.Context()
	}
	s, err := r.run(ctx, recovery.RunResumed{}, noHooks())
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	r.clean(t, s)
	if s.Result == recovery.ResultPassed {
		r.progress.judge(t, o.Uncounted)
	}
	return s
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
	dir, err := os.MkdirTemp("", "cbt-")
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
