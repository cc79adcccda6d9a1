package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storagetest"
)

// failed checks how a restore failed: which step, and in whose words.
func (r restored) failed(t testing.TB, step string, parts ...string) {
	t.Helper()
	if r.state.Result != recovery.ResultFailed && r.state.Result != recovery.ResultRefused {
		t.Fatalf("the run ended as %s, want failed or refused", r.state.Result)
	}
	if st := r.state.Step(step); st.State != recovery.FailedAt {
		t.Errorf("step %s is %s, want failed", step, st.State)
	}
	says, hint := enginetest.Failure(r.state)
	for _, part := range parts {
		if !strings.Contains(says+" | "+hint, part) {
			t.Errorf("the failure is %q (%s), want %q in it", says, hint, part)
		}
	}
	if hint == "" {
		t.Errorf("the failure %q has no hint", says)
	}
	if r.replay.Reached != nil || len(r.replay.Bindings) > 0 {
		t.Errorf("a failed replay claims to have reached %+v", r.replay.Reached)
	}
}

// impatient is an engine that gives up on a store at once.
func impatient(t testing.TB) recovery.Engine {
	e := testEngine(t).(nativeEngine).engine
	e.Read = storage.ReadOptions{Attempts: 2, Wait: func(context.Context, time.Duration) error { return nil }}
	e.form = nativeForm{e.Read}
	return nativeEngine{e}
}

// A network that fails while the log is replayed ends the step in its own
// words; doing it again goes on, and comes to the same point.
func TestReplay_NetworkFails(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "gzip")
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	for _, fault := range []struct {
		name  string
		fault storagetest.Fault
		says  string
	}{
		{"unavailable", storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Unavailable}, "Please reduce your request rate"},
		{"dropped", storagetest.Fault{Op: storagetest.OnRead, At: 700_000, Err: storagetest.Dropped}, "connection reset by peer"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			f := fault.fault
			f.Key = "wal/" + walfile.SegmentName(1, walfile.Number(l.mark(t, "order 14").before, 1<<20), 1<<20)
			store := storagetest.NewFaulty(c.store, f)
			var failures []string
			r := restore(t, store, p, func(o *enginetest.Options) {
				o.Engine = impatient(t)
				o.Answer = func(st recovery.StepState) recovery.Choice {
					failures = append(failures, st.Error)
					if len(failures) > 1 {
						return recovery.ChooseStop
					}
					store.Heal()
					return recovery.ChooseRetry
				}
			})
			r.passed(t)
			r.proven(t, p)
			if len(failures) != 1 || !strings.Contains(failures[0], fault.says) {
				t.Errorf("the failures were %q, want one with %q", failures, fault.says)
			}
			if want := l.mark(t, "order 20").orders; r.orders != want {
				t.Errorf("the orders are %s, want %s", r.orders, want)
			}
		})
	}
}

// badSegment is a way in which a segment can be of no use.
type badSegment struct {
	name   string
	damage func(t *testing.T, c *copyOf, name string)
	says   []string
}

// A segment that is missing, damaged or another cluster's when it is needed
// ends the step by its name, and the database is never opened early.
func TestReplay_BadSegment(t *testing.T) {
	l := source.get(t)
	name := walfile.SegmentName(1, walfile.Number(l.mark(t, "order 16").before, 1<<20), 1<<20)
	for _, test := range []badSegment{
		{"missing", func(t *testing.T, c *copyOf, name string) { c.remove(t, "wal/"+name) }, []string{"segment " + name + " is missing"}},
		{"flipped bit in a record", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func(b []byte) []byte { b[0x100+30]++; return b })
		}, []string{"it is damaged before", "0/1"}},
		{"other cluster", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func(b []byte) []byte { b[24]++; return b })
		}, []string{name, "belongs to another cluster", "system identifier"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, "gzip")
			p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
			test.damage(t, c, name)
			r := restore(t, c.store, p, func(o *enginetest.Options) { o.Engine = impatient(t) })
			r.failed(t, "replay", test.says...)
		})
	}
}

// The archive of a backup may lack what the backup brings itself.
func TestReplay_OwnWAL(t *testing.T) {
	l := source.get(t)
	for _, base := range []string{"tar", "plain"} {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, base)
			c.remove(t, "wal")
			s := survey(t, c.store, database)
			p := mustResolve(t, c.store, s, "latest")
			if p.Stop >= s.Backups[0].Stop || !p.Inclusive {
				t.Errorf("the end of the backup: %+v", p)
			}
			r := restore(t, c.store, p)
			r.passed(t)
			want := map[string]string{"tar": "order 4", "plain": "order 1"}[base]
			if r.orders != l.mark(t, want).orders {
				t.Errorf("the orders are %s, want those after %s", r.orders, want)
			}
			refused(t, c.store, s, l.mark(t, "order 20").time.Format(timeFormat), "after the end of the archive")
		})
	}
}

// What the source had larger settings for is replayed with them.
func TestReplay_RaisesSettings(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "tar")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.mark(t, "order 9").xid))
	r := restore(t, c.store, p)
	r.passed(t)
	r.proven(t, p)
	if r.orders != l.prior(t, "order 9").orders {
		t.Errorf("the orders are %s", r.orders)
	}
	if got := r.replay.Facts["max_connections"]; !strings.HasPrefix(got, "60, raised from 20") {
		t.Errorf("max_connections: %q", got)
	}
}

// What a restored data directory says about recovery, replication and its
// surroundings is set aside.
func TestReplay_LeftoverSettings(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	c.remove(t, "base/plain/backup_manifest") // which would not fit any more
	leftovers := "recovery_target_time = '2001-01-01 00:00:00+00'\nsynchronous_standby_names = 'gone'\nprimary_conninfo = 'host=production'\n" +
		"shared_preload_libraries = 'not_there'\narchive_mode = on\nrestore_command = 'false'\n"
	for name, text := range map[string]string{"postgresql.auto.conf": leftovers, "recovery.conf": leftovers, "standby.signal": "",
		"postgresql.conf": "include_dir = '/nonexistent'\nlisten_addresses = '*'\n"} {
		path := c.path("base/plain/" + name)
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s := survey(t, c.store, database)
	p := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", l.mark(t, "order 4").xid))
	r := restore(t, c.store, p)
	r.passed(t)
	r.proven(t, p)
	if r.orders != l.prior(t, "order 4").orders {
		t.Errorf("the orders are %s", r.orders)
	}
	if !slices.ContainsFunc(r.copy.Remarks, func(s string) bool { return strings.Contains(s, "no backup_manifest") }) {
		t.Errorf("nobody is told that there is no manifest: %q", r.copy.Remarks)
	}
}

// A tablespace that the log makes would lie outside of scratch.
func TestReplay_NewTablespace(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	before, err := os.ReadDir(l.spaces)
	if err != nil {
		t.Fatal(err)
	}
	c := l.copy(t, "early")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("after-xid:%d", l.mark(t, "order 2").xid))
	restore(t, c.store, p).failed(t, "replay", "would make a tablespace outside of scratch", l.spaces)
	after, err := os.ReadDir(l.spaces)
	if err != nil || len(after) != len(before) {
		t.Errorf("the source's tablespace was touched: %v (%v)", after, err)
	}
}

// A damaged base backup is found while it is copied.
func TestCopy_Damaged(t *testing.T) {
	l := source.get(t)
	for _, test := range []struct {
		name, base string
		damage     func(t *testing.T, c *copyOf)
		says       []string
	}{
		{"flipped bit in a file", "plain", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/plain/global/1262", func(b []byte) []byte { b[len(b)/2]++; return b })
		}, []string{"global/1262 does not match backup_manifest", "CRC32C"}},
		{"file missing", "plain", func(t *testing.T, c *copyOf) { c.remove(t, "base/plain/global/1262") }, []string{"global/1262"}},
		{"flipped bit in a tar file", "tar", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/tar/base.tar", func(b []byte) []byte { b[len(b)/2]++; return b })
		}, []string{"does not match backup_manifest"}},
		{"cut tar file", "tar", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/tar/base.tar", func(b []byte) []byte { return b[:len(b)/1024*512] })
		}, []string{"base.tar"}},
		{"cut gzip", "gzip", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/gzip/base.tar.gz", func(b []byte) []byte { return b[:len(b)-10000] })
		}, []string{"base.tar.gz", "ends too early"}},
		{"flipped bit in what is packed best", "zstd", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/zstd/base.tar"+l.cluster.Tools.Packing().Suffix, func(b []byte) []byte { b[len(b)/2]++; return b })
		}, []string{"base/zstd"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, test.base)
			// Damaged before the survey, which cannot see it; or, where files
			// vanish, after.
			s := survey(t, c.store, database)
			if test.name != "file missing" {
				test.damage(t, c)
				s = survey(t, c.store, database)
			}
			p := mustResolve(t, c.store, s, "latest")
			if test.name == "file missing" {
				test.damage(t, c)
			}
			restore(t, c.store, p).failed(t, "copy", test.says...)
		})
	}
}

// The exit codes of restore_command: only a proven absence is 1.
func TestRestoreCommand_ExitCodes(t *testing.T) {
	dir := t.TempDir()
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for exe, want := range map[string]int{
		script("found", `[ "$*" = "wal fetch 000000010000000000000001 pg_wal/RECOVERYXLOG" ]`): 0,
		script("absent", "exit 1"):            1,
		script("panic", "exit 2"):             200,
		script("failed", "exit 200"):          200,
		script("odd", "exit 125"):             200,
		script("killed", "kill -9 $$"):        200,
		script("terminated", "kill -TERM $$"): 200,
		filepath.Join(dir, "not there"):       200,
		dir:                                   200,
		"":                                    200,
	} {
		command := strings.NewReplacer("%f", "000000010000000000000001", "%p", "pg_wal/RECOVERYXLOG").Replace(restoreCommand)
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", command)
		cmd.Env = []string{exeEnv + "=" + exe, "PATH=/usr/bin:/bin"}
		err := cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d (%v), want %d", filepath.Base(exe), got, err, want)
		}
	}
}

// A program that crashes, is killed, is not there, or claims that there is no
// log, never makes the server open early.
func TestReplay_BrokenExe(t *testing.T) {
	l := source.get(t)
	for _, test := range []struct{ name, body, says string }{
		{"panic", "exit 2", "could not restore file"},
		{"no interpreter", "", "could not restore file"},
		{"claims absence", "exit 1", "before configured recovery target was reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, "gzip")
			p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
			exe := filepath.Join(t.TempDir(), "exe")
			text := "#!/bin/sh\n" + test.body + "\n"
			if test.body == "" {
				text = "#!/not/there\n"
			}
			if err := os.WriteFile(exe, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			r := restore(t, c.store, p, func(o *enginetest.Options) { o.Engine.(nativeEngine).Exe = exe })
			r.failed(t, "replay", test.says)
		})
	}
}

// A server that is killed in the middle goes on when the step is done again;
// the operator's stop in the middle leaves nothing.
func TestReplay_Interrupted(t *testing.T) {
	l := source.get(t)
	held := "wal/" + walfile.SegmentName(1, walfile.Number(l.mark(t, "order 14").before, 1<<20), 1<<20)
	setUp := func(t *testing.T) (*storagetest.Faulty, *storagetest.Gate, recovery.Point) {
		c := l.copy(t, "gzip")
		p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
		gate := storagetest.NewGate()
		return storagetest.NewFaulty(c.store, storagetest.Fault{Op: storagetest.OnOpen, Key: held, Gate: gate}), gate, p
	}
	t.Run("killed server", func(t *testing.T) {
		t.Parallel()
		store, gate, p := setUp(t)
		var data atomic.Value
		var attempts int
		r := restore(t, store, p, func(o *enginetest.Options) {
			o.Event = func(e recovery.Event) {
				if c, ok := payload[recovery.ClaimMade](e); ok && c.Resource.Kind == recovery.Cluster {
					data.Store(c.Resource.ID)
				}
				if s, ok := payload[recovery.StepStarted](e); ok && s.Step == "replay" && s.Attempt == 1 {
					go func() {
						<-gate.Entered()
						if err := killServer(data.Load().(string)); err != nil {
							t.Error(err)
						}
					}()
				}
			}
			o.Answer = func(st recovery.StepState) recovery.Choice {
				if attempts++; attempts > 1 {
					return recovery.ChooseStop
				}
				gate.Open()
				return recovery.ChooseRetry
			}
		})
		r.passed(t)
		r.proven(t, p)
		if r.orders != l.mark(t, "order 20").orders || attempts != 1 {
			t.Errorf("the orders are %s after %d failures", r.orders, attempts)
		}
	})
	t.Run("killed server at the point", func(t *testing.T) {
		t.Parallel()
		_, _, p := setUp(t)
		c := l.copy(t, "gzip")
		var data string
		var attempts int
		r := restore(t, c.store, p, func(o *enginetest.Options) {
			o.Event = func(e recovery.Event) {
				if c, ok := payload[recovery.ClaimMade](e); ok && c.Resource.Kind == recovery.Cluster {
					data = c.Resource.ID
				}
				// It is paused and proven, and about to be opened.
				if s, ok := payload[recovery.StepCheckpoint](e); ok && s.Step == "replay" && attempts == 0 {
					if err := killServer(data); err != nil {
						t.Error(err)
					}
				}
			}
			o.Answer = func(st recovery.StepState) recovery.Choice {
				if attempts++; attempts > 1 {
					return recovery.ChooseStop
				}
				return recovery.ChooseRetry
			}
		})
		r.passed(t)
		r.proven(t, p)
		if attempts != 1 {
			t.Errorf("it failed %d times", attempts)
		}
	})
	t.Run("stopped run", func(t *testing.T) {
		t.Parallel()
		store, gate, p := setUp(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-gate.Entered()
			cancel()
		}()
		r := restore(t, store, p, func(o *enginetest.Options) { o.Context = ctx })
		if r.state.Result != recovery.ResultInterrupted {
			t.Errorf("the run ended as %s", r.state.Result)
		}
	})
}

func payload[P recovery.Payload](e recovery.Event) (P, bool) {
	any, _ := e.Payload()
	p, ok := any.(P)
	return p, ok
}

// killServer kills the postmaster of a data directory as the kernel would.
func killServer(data string) error {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(string(b)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// crashing is the engine with two more steps: the opened server is killed after something was
// written to it, and the replay is done again, as after a crash of the whole machine.
type crashing struct{ recovery.Engine }

func (c crashing) Kinds() []recovery.Kind { return append(c.Engine.Kinds(), crash{}) }

func (c crashing) Plan(component recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	steps, err := c.Engine.Plan(component, p, t)
	if err != nil {
		return nil, err
	}
	again := steps[1]
	again.ID, again.After = "again", []string{"crash"}
	return append(steps, recovery.Step{ID: "crash", Kind: "test.crash", After: []string{"replay"}, Writes: []recovery.TargetID{t.ID},
		Args: steps[1].Args}, again), nil
}

type crash struct{}

func (crash) Name() string              { return "test.crash" }
func (crash) Restart() recovery.Restart { return recovery.Repeat }
func (crash) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	h, err := env.Target(ctx, s.Writes[0])
	if err != nil {
		return recovery.Outcome{}, err
	}
	data := filepath.Join(h.Dir, dataDir)
	server, err := postgres.Attach(postgres.Cluster{Data: data, Owner: h.Owner})
	if err != nil {
		return recovery.Outcome{}, err
	}
	conn, err := server.Connect(ctx, "postgres")
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, sql := range []string{"create table since (id int)", "insert into since values (1)", "insert into since values (2)", "checkpoint"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return recovery.Outcome{}, err
		}
	}
	conn.Close(ctx)
	err = killServer(data)
	select {
	case <-server.Exited():
	case <-ctx.Done():
		err = ctx.Err()
	}
	return recovery.Outcome{Says: "killed"}, err
}

// A step that is done again after it has opened the database proves it again, and what was
// written there since, under the numbers of transactions that are lost, is no contradiction.
func TestReplay_AgainAfterOpening(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	p := mustResolve(t, c.store, survey(t, c.store, database), "lsn:"+l.mark(t, "order 19").before.String()) // where it has no number yet
	r := restore(t, c.store, p, func(o *enginetest.Options) { o.Engine = crashing{o.Engine} })
	r.passed(t)
	again := r.state.Step("again").Outcome.Reached
	if again == nil || again.Timeline != r.replay.Reached.Timeline || again.LSN != r.replay.Reached.LSN {
		t.Errorf("again reached %+v, first %+v", again, r.replay.Reached)
	}
	if r.orders != l.prior(t, "order 19").orders {
		t.Errorf("the orders are %s", r.orders)
	}
}

// A point that the copied cluster is not of is never claimed: neither another
// archive's, nor one whose transactions are otherwise.
func TestReplay_NotProven(t *testing.T) {
	l := source.get(t)
	for _, test := range []struct {
		name   string
		change func(*recovery.Point)
		says   string
	}{
		{"kept is not committed", func(p *recovery.Point) { p.Kept.XID = p.Lost.XID }, "the last to keep, is in progress"},
		{"lost is committed", func(p *recovery.Point) { p.Lost.XID = p.Kept.XID }, "the first to lose, is committed"},
		{"no such record", func(p *recovery.Point) { p.Stop += 8 }, "not at the point"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, "zstd")
			p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.mark(t, "order 18").xid))
			test.change(&p)
			restore(t, c.store, p).failed(t, "replay", test.says)
		})
	}
}
