package enginetest

import (
	"context"
	"os"
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
	// Copies are directories, or s3:// addresses of the server that the
	// environment names, by the names of the copies.
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
		store, err := openCopy(dir)
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
