package pitr

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
)

// dyingEngine is the engine in a runner that dies: it tells the journal of every
// few megabytes that it has copied.
func dyingEngine() recovery.Engine {
	exe, err := os.Executable()
	if err != nil {
		panic(err) // /proc is not there
	}
	return New(Options{Exe: exe, SyncEvery: 4 << 20})
}

// dying is a restore to a point by a runner that dies.
func dying(t *testing.T, c *copyOf, p recovery.Point) enginetest.Crash {
	t.Helper()
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	return enginetest.Crash{
		Options: enginetest.Options{Engine: dyingEngine(), Component: database, Point: p, Owner: owner,
			Releasers: []recovery.Releaser{postgres.ReleaseCluster{}}},
		Copies: map[string]string{"nearby": c.dir},
		Digest: func(ctx context.Context, env recovery.Env) (string, error) {
			b, ok := env.Binding("database")
			if !ok || !b.Scratch {
				return "", fmt.Errorf("the binding is %+v", b)
			}
			conn, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return "", err
			}
			defer conn.Close(ctx)
			var orders, bulk string
			err = conn.QueryRow(ctx, ordersQuery).Scan(&orders)
			if err == nil {
				err = conn.QueryRow(ctx, "select count(*) || ' ' || coalesce(md5(string_agg(id || filler, '' order by id, filler)), '') from bulk").Scan(&bulk)
			}
			return orders + " " + bulk, err
		},
	}
}

func TestSurvive(t *testing.T) {
	l := source.get(t)
	bases := []string{"tar", "zstd", "plain"}
	if !enginetest.Soak() {
		bases = bases[:1]
	}
	for _, base := range bases {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, base)
			p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.mark(t, "order 19").xid))
			enginetest.Survive(t, dying(t, c, p))
		})
	}
}

// sizeUnder is how many bytes the objects under a prefix have.
func (c *copyOf) sizeUnder(t *testing.T, prefix string) (n int64) {
	t.Helper()
	for o, err := range c.store.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		n += o.Size
	}
	return n
}

// What was copied whole is not copied again, nor is the log replayed from its
// beginning: what the last process reads shows it.
func TestCopy_GoesOn(t *testing.T) {
	l := source.get(t)
	for _, test := range []struct {
		base string
		// again says that all of the base backup is read again.
		again bool
	}{{"plain", false}, {"tar", false}, {"gzip", true}} {
		t.Run(test.base, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, test.base)
			p := mustResolve(t, c.store, survey(t, c.store, database), "base/"+test.base)
			d := dying(t, c, p)
			whole := d.Run(t)
			if whole.Restored == "" {
				t.Fatalf("without a cut the run ended as %s", whole.Result)
			}
			base := c.sizeUnder(t, "base/")
			d.Cuts = []enginetest.Cut{{Bytes: base / 2}, {Bytes: base / 4}}
			end := d.Whole(t, whole.Restored)
			switch {
			case test.again && end.Read < whole.Read:
				t.Errorf("%d of %d bytes were read, and the half of them cannot be taken up", end.Read, whole.Read)
			case !test.again && end.Read > whole.Read-base/2:
				t.Errorf("%d of %d bytes were read again, after three quarters of %d", end.Read, whole.Read, base)
			}
			st := end.Step("copy")
			if !strings.Contains(st.Outcome.Says, "were there from the attempt before") || st.Attempts != 3 || !strings.Contains(st.Checkpoint, "copied and on disk") {
				t.Errorf("attempt %d, checkpoint %q, it says %q", st.Attempts, st.Checkpoint, st.Outcome.Says)
			}
		})
	}
}

// The backups of a chain that were copied when the runner died are there when another
// combines them. `make test-majors` runs this on PostgreSQL 17 and 18.
func TestCopy_Combined(t *testing.T) {
	l := source.get(t)
	if !postgres.TakesIncremental(l.cluster.Tools.Major) {
		return
	}
	c := l.copy(t, "zstd", "incremental")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.special["drop table"]))
	if p.Backup.ID != "base/incremental" {
		t.Fatalf("it is restored from %s", p.Backup.ID)
	}
	d := dying(t, c, p)
	whole := d.Run(t)
	if whole.Restored == "" {
		t.Fatalf("without a cut the run ended as %s", whole.Result)
	}
	d.Cuts = []enginetest.Cut{{Bytes: c.sizeUnder(t, "base/zstd/") + c.sizeUnder(t, "base/incremental/")/2}}
	end := d.Whole(t, whole.Restored)
	if st := end.Step("copy"); st.Attempts != 2 || !strings.Contains(st.Outcome.Says, "copied with the 1 before it") {
		t.Errorf("attempt %d says %q", st.Attempts, st.Outcome.Says)
	}
}

// A replay that is cut off goes on from its last restart point.
func TestReplay_GoesOn(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "tar")
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	d := dying(t, c, p)
	whole := d.Run(t)
	log := whole.Read - c.sizeUnder(t, "base/")
	if log < 4<<20 {
		t.Fatalf("the log that is replayed has only %d bytes", log)
	}
	d.Cuts = []enginetest.Cut{{Bytes: whole.Read - log/4}, {Bytes: log / 8}}
	end := d.Whole(t, whole.Restored)
	if n := end.Step("copy").Attempts; n != 1 {
		t.Errorf("the base backup was copied %d times", n)
	}
	if end.Read > log {
		t.Errorf("the last process read %d bytes, the log has %d", end.Read, log)
	}
}

// After another boot neither the copy nor what was replayed on it is there: the
// server ran with fsync off. A copy that no server has run on survives.
func TestRevive_AfterAReboot(t *testing.T) {
	l := source.get(t)
	c := l.copy(t, "tar")
	p := mustResolve(t, c.store, survey(t, c.store, database), "base/tar")
	uncut, seq := dying(t, c, p), map[string]uint64{}
	uncut.Event = func(e recovery.Event) {
		if f, ok := payload[recovery.StepFinished](e); ok {
			seq[f.Step] = e.Seq
		}
	}
	want := uncut.Run(t).Restored
	for name, test := range map[string]struct {
		// after is the step whose end the runner dies after.
		after string
		boot  string
		// copies is how often the base backup is copied.
		copies int
	}{
		"copied":                      {"copy", "another boot", 1},
		"opened":                      {"replay", "another boot", 2},
		"opened, but not found so":    {"replay", ledger.Boot(), 1},
		"copied, and not written yet": {"copy", "lost", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dying(t, c, p)
			d.Cuts = []enginetest.Cut{{After: seq[test.after]}}
			d.Rebooted = test.boot != ledger.Boot()
			d.Between = func(_ int, scratch string) error {
				if test.boot != "lost" {
					return nil
				}
				// The end of the ledger never came to the disk.
				path := filepath.Join(scratch, ledgerFile)
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				return os.WriteFile(path, b[:len(b)/2], 0o600)
			}
			end := d.Whole(t, want)
			if n := end.Step("copy").Attempts; n != test.copies {
				t.Errorf("the base backup was copied %d times, want %d", n, test.copies)
			}
		})
	}
}

// A restored server that cannot be started again is restored again, from the
// base backup on.
func TestRevive_Damaged(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "tar")
	p := mustResolve(t, c.store, survey(t, c.store, database), "base/tar")
	d := dying(t, c, p)
	var opened uint64
	d.Event = func(e recovery.Event) {
		if f, ok := payload[recovery.StepFinished](e); ok && f.Step == "replay" && opened == 0 {
			opened = e.Seq
		}
	}
	want := d.Run(t).Restored
	d.Cuts = []enginetest.Cut{{After: opened}}
	d.Between = func(_ int, scratch string) error {
		return os.Remove(filepath.Join(scratch, dataDir, "global", "pg_filenode.map"))
	}
	var failures []string
	d.Answer = func(st recovery.StepState) recovery.Choice {
		if failures = append(failures, st.Error); len(failures) > 1 {
			return recovery.ChooseStop
		}
		return recovery.ChooseRetry
	}
	end := d.Whole(t, want)
	if n := end.Step("copy").Attempts; n != 2 {
		t.Errorf("the base backup was copied %d times, after %q", n, failures)
	}
}
