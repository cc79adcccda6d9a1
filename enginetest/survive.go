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
	"testing"

	"comeback/recovery"
)

// Soak reports whether the environment asks for every cut, not for a sample:
// COMEBACK_SOAK is set. That takes many minutes.
func Soak() bool { return os.Getenv("COMEBACK_SOAK") != "" }

// sample is how many cuts Survive makes otherwise.
const sample = 2

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
