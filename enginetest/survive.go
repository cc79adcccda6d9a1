package enginetest

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/storage"
)

// Crash is a restore whose runner dies on the way, as often as there are cuts,
// and is taken up each time by another process; the last one ends it.
type Crash struct {
	// Options are the restore's. Its stores are opened from Copies, because
	// another process cannot be handed them, and its probe is Digest.
	Options
	// Copies are directories by the names of the copies.
	Copies map[string]string
	// Digest is what was restored, as a text that is the same for the same
	// data.
	Digest func(ctx context.Context, env recovery.Env) (string, error)
	Cuts   []Cut
	// Between is called after each cut, while nobody runs the run, with the
	// component's scratch directory.
	Between func(cut int, scratch string) error
	// Rebooted says that the machine is started again after each cut, as far
	// as the journal can tell.
	Rebooted bool
}

// Survived is what a run that was cut off has come to.
type Survived struct {
	recovery.State
	// Restored is what Digest has found.
	Restored string
	// Read is how many bytes the last process had from the copies.
	Read int64
}

// Run runs it. It fails the test where the run ends before a cut, and where
// something is left.
func (c Crash) Run(t testing.TB) (end Survived) {
	t.Helper()
	o := c.Options
	o.Stores = map[string]storage.Store{}
	for name, dir := range c.Copies {
		store, err := storage.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		o.Stores[name] = store
	}
	o.Probe = func(ctx context.Context, env recovery.Env) (err error) {
		end.Restored, err = c.Digest(ctx, env)
		return err
	}
	r := newRig(t, o)
	resumed := recovery.RunResumed{PID: os.Getpid(), Reason: "its runner had died"}
	for i, cut := range c.Cuts {
		if err := r.dies(t.Context(), cut, c.Copies, resumed); err != nil {
			t.Fatalf("%s: %v", cut, err)
		}
		if c.Between != nil {
			if err := c.Between(i, r.target()); err != nil {
				t.Fatal(err)
			}
		}
		if c.Rebooted {
			resumed.BootID += "another "
		}
	}
	var read atomic.Int64
	h := noHooks()
	h.store = func(s storage.Store) storage.Store { return counted{s, &read, 0, nil} }
	var err error
	if end.State, err = r.run(t.Context(), resumed, h); err != nil {
		t.Fatalf("Run: %v", err)
	}
	r.clean(t, end.State)
	end.Read = read.Load()
	return end
}

// Whole is Run for a run that must end as one that was not cut off: passed, with
// the same data, and with each interruption in its record.
func (c Crash) Whole(t testing.TB, want string) Survived {
	t.Helper()
	end := c.Run(t)
	if end.Result != recovery.ResultPassed {
		says, hint := Failure(end.State)
		t.Fatalf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
	if diff := cmp.Diff(want, end.Restored); diff != "" {
		t.Errorf("what was restored differs:\n%s", diff)
	}
	if len(end.Interruptions) != len(c.Cuts) {
		t.Errorf("the record tells of %d interruptions, and there were %d", len(end.Interruptions), len(c.Cuts))
	}
	return end
}

// Soak reports whether the environment asks for every cut, not for a sample:
// COMEBACK_SOAK is set. That takes many minutes.
func Soak() bool { return os.Getenv("COMEBACK_SOAK") != "" }

// sample is how many cuts Survive makes otherwise.
const sample = 3

// Survive holds an engine to its promises about interruptions: whatever is cut
// off, wherever, the run goes on in another process and ends as one that was not
// cut off; what ended with the runner is brought back; what is gone is made
// again; and nothing is left. The cuts are a sample by the test's name, so that
// they are the same each time.
func Survive(t *testing.T, c Crash) {
	t.Helper()
	var last uint64 // before the probe starts
	uncut := c
	uncut.Event = func(e recovery.Event) {
		if p, _ := e.Payload(); p == (recovery.StepStarted{Step: probeID, Attempt: 1}) {
			last = e.Seq - 1
		}
	}
	end := uncut.Run(t)
	want := end.Restored
	if end.Result != recovery.ResultPassed || want == "" || last == 0 {
		says, hint := Failure(end.State)
		t.Fatalf("without a cut the run ended as %s: %s (%s), restored was %q", end.Result, says, hint, want)
	}
	var cuts []Cut
	for n := uint64(1); n <= last; n++ {
		cuts = append(cuts, Cut{Before: n}, Cut{After: n})
	}
	if !Soak() {
		seed := fnv.New64a()
		seed.Write([]byte(t.Name())) // a hash takes everything
		random := rand.New(rand.NewPCG(seed.Sum64(), 0))
		random.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		cuts = cuts[:min(sample, len(cuts))]
	}
	cuts = append(cuts, Cut{Bytes: end.Read / 3}, Cut{Bytes: end.Read * 2 / 3})
	for _, cut := range cuts {
		t.Run(strings.ReplaceAll(cut.String(), " ", "_"), func(t *testing.T) {
			t.Parallel()
			c := c
			c.Cuts = []Cut{cut}
			c.Whole(t, want)
		})
	}
	// All is done but the looking.
	ready := Cut{After: last}
	t.Run("revived", func(t *testing.T) {
		t.Parallel()
		c := c
		c.Cuts = []Cut{ready}
		s := c.Whole(t, want)
		for _, st := range s.Steps {
			if st.ID != probeID && st.Attempts != 1 {
				t.Errorf("step %s was done %d times, and nothing of it was gone", st.ID, st.Attempts)
			}
		}
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		c := c
		c.Cuts, c.Between = []Cut{ready}, func(_ int, scratch string) error { return removeAllIn(scratch) }
		s := c.Whole(t, want)
		if !slices.ContainsFunc(s.Steps, func(st recovery.StepState) bool { return st.ID != probeID && st.Attempts == 2 }) {
			t.Error("everything was gone, and no step was done again")
		}
	})
	t.Run("server_killed_under_a_check", func(t *testing.T) {
		t.Parallel()
		c := c
		digest, looks := c.Digest, 0
		c.Digest = func(ctx context.Context, env recovery.Env) (string, error) {
			if looks++; looks == 1 {
				b, _ := env.Binding(c.Component.Name)
				if err := killServer(b); err != nil {
					return "", err
				}
				return "", errors.New("the check finds no server")
			}
			return digest(ctx, env)
		}
		c.Answer = func(recovery.StepState) recovery.Choice {
			if looks > 1 {
				return recovery.ChooseStop
			}
			return recovery.ChooseRetry
		}
		c.Whole(t, want)
		if looks != 2 {
			t.Errorf("the check was made %d times", looks)
		}
	})
	t.Run("again_and_again", func(t *testing.T) {
		t.Parallel()
		c := c
		c.Cuts = []Cut{{After: last / 3}, {After: last}, {After: last + 1}}
		c.Rebooted = true
		c.Whole(t, want)
	})
}

// removeAllIn empties a directory, against a server that is just shutting down.
func removeAllIn(dir string) (err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		for range 1000 {
			if err = os.RemoveAll(filepath.Join(dir, e.Name())); err == nil {
				break
			}
		}
	}
	return err
}
