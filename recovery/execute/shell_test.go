package execute_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// recovering makes a run of the rig a recovery with nobody there.
func recovering(p *recovery.Plan, o *execute.Options) {
	p.Mode, o.Unattended = recovery.Recovery, true
}

func shellStep(script string, change func(*recovery.ShellArgs)) recovery.Step {
	args := recovery.ShellArgs{Name: "smoke", Script: script}
	if change != nil {
		change(&args)
	}
	return recovery.NewStep("s", recovery.KindShell, "run: smoke", args)
}

func waitStep(script string, every, timeout time.Duration) recovery.Step {
	return recovery.NewStep("s", recovery.KindShellWait, "wait: healthy", recovery.ShellArgs{Name: "healthy", Script: script,
		Every: recovery.Duration(every), Timeout: recovery.Duration(timeout)})
}

// log is what the step's log says, without the times, and proves that its
// digest stands in the step's last event.
func (r *rig) log(t *testing.T, s recovery.State) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, "artifacts", "s.log"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if !slices.Contains(s.Step("s").Outcome.Artifacts, recovery.Artifact{Name: "s.log", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}) {
		t.Errorf("the log is not among the artifacts %+v", s.Step("s").Outcome.Artifacts)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		_, said, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		lines = append(lines, said)
	}
	return lines
}

// The log holds what a terminal would show, in the order of both outputs, and
// no secret, not even one in colours.
func TestShell_log(t *testing.T) {
	script := `printf '\033]0;title\007 10%%\r\033[32m100%%\033[0m\n'
echo "the key is hunter2-hunter2" >&2
printf 'hunter2\033[1m-hunter2\033[0m\n'
echo end
`
	var mu sync.Mutex
	var seen []string
	r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
		unattended(p, o)
		o.Sample = func(s recovery.Sample) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, s.Lines...)
		}
		o.Secrets = execute.NewSecrets(func(string) (string, bool) { return "hunter2-hunter2", true }, map[string]string{"SHOP_KEY": "the vault"})
	}, shellStep(script, nil))
	s := r.run(t)
	want := []string{"100%", "the key is [redacted]", "[redacted]", "end"}
	if got := r.log(t, s); s.Result != recovery.ResultPassed || !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", s.Result, got, want)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("on screen %q, want %q", seen, want)
	}
}

// A block that is asked to end can do so in order; one that does not is killed,
// with all that it started.
func TestShell_ends(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		said   string
	}{
		"in order": {"sleep 600 & p=$!\ntrap 'kill $p || :; echo in order; exit 0' TERM\n: >\"$READY\"\nwait\n", "in order"},
		"by force": {"trap '' TERM\n: >\"$READY\"\nsleep 600\n", ""},
	} {
		for _, mode := range []recovery.Mode{recovery.Rehearsal, recovery.Recovery} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				ready := filepath.Join(t.TempDir(), "ready") // which the block opens when it may be ended
				if err := syscall.Mkfifo(ready, 0o600); err != nil {
					t.Fatal(err)
				}
				bound := kind{"bind", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
					return recovery.Outcome{Bindings: []recovery.Binding{{Component: "ready", URL: ready, Scratch: true}}}, nil
				}}
				block := shellStep(c.script, func(a *recovery.ShellArgs) { a.Bind = map[string]string{"READY": "ready"} })
				block.After = []string{"1"}
				r := newRig(t, []recovery.Kind{bound}, func(p *recovery.Plan, o *execute.Options) {
					unattended(p, o)
					p.Mode = mode
				}, step("1", "bind"), block)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				var opened sync.WaitGroup
				opened.Go(func() {
					f, err := os.Open(ready)
					if err == nil {
						err = f.Close()
					}
					if err != nil {
						t.Error(err)
					}
					stop()
				})
				s, err := r.Run(ctx)
				if f, err := os.OpenFile(ready, os.O_RDWR, 0); err != nil || f.Close() != nil { // where the block never did
					t.Error(err)
				}
				opened.Wait()
				if err != nil || s.Result != recovery.ResultInterrupted {
					t.Errorf("ended as %s, %v", s.Result, err)
				}
				if c.said == "" {
					return // it has ended, which is all that can be asked of it
				}
				if got := r.log(t, s); !slices.Contains(got, c.said) {
					t.Errorf("it said %q", got)
				}
			})
		}
	}
}

// What a block started in the background and forgot ends with it, and is not
// waited for.
func TestShell_background(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Rehearsal, recovery.Recovery} {
		fifo := filepath.Join(t.TempDir(), "fifo")
		script := fmt.Sprintf("mkfifo %[1]q\nsleep 600 <>%[1]q >%[1]q &\necho started\n", fifo)
		r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) { unattended(p, o); p.Mode = mode }, shellStep(script, nil))
		if s := r.run(t); s.Result != recovery.ResultPassed {
			t.Errorf("%s: ended as %s: %s", mode, s.Result, s.Says)
		}
		// Nobody has the pipe open for reading any more.
		if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
			t.Errorf("%s: what it started is still there", mode)
		}
	}
}

// The bytes that run are the bytes that were planned: a file that was changed
// in between is refused.
func TestShell_changedScript(t *testing.T) {
	r := newRig(t, nil, recovering, waitStep("echo 'echo hacked; exit 0' >\"$0\"\nexit 1\n", time.Millisecond, time.Minute))
	s := r.run(t)
	if s.Result != recovery.ResultRefused || !strings.Contains(s.Says, "is not what was planned any more") {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if got := r.log(t, s); slices.Contains(got, "hacked") {
		t.Errorf("it ran: %q", got)
	}
}

func TestShellWait(t *testing.T) {
	t.Run("holds at last", func(t *testing.T) {
		count := filepath.Join(t.TempDir(), "count")
		r := newRig(t, nil, recovering, waitStep(fmt.Sprintf("echo x >>%[1]q\necho not yet\ntest $(wc -l <%[1]q) -ge 3\n", count), time.Millisecond, time.Minute))
		s := r.run(t)
		if s.Result != recovery.ResultPassed || !strings.HasSuffix(s.Step("s").Outcome.Says, "at attempt 3") {
			t.Errorf("ended as %s: %s, %s", s.Result, s.Says, s.Step("s").Outcome.Says)
		}
		want := []string{"attempt 1", "not yet", "attempt 2", "not yet", "attempt 3", "not yet"}
		if got := r.log(t, s); !slices.Equal(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
	})
	t.Run("never holds", func(t *testing.T) {
		var mu sync.Mutex
		notes := map[string]bool{}
		r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
			recovering(p, o)
			o.Sample = func(s recovery.Sample) { mu.Lock(); notes[s.Note] = true; mu.Unlock() }
		}, waitStep("echo 'health is 503'\nexit 1\n", 10*time.Millisecond, 5*time.Second))
		s := r.run(t)
		if s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "did not hold within") || !strings.Contains(s.Says, "health is 503") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
		shown := false
		for n := range notes {
			shown = shown || strings.HasPrefix(n, "attempt ") && strings.HasSuffix(n, " left")
		}
		if !shown {
			t.Errorf("on screen: %v", notes)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		s := newRig(t, nil, recovering, waitStep("echo asking\nsleep 600\n", 0, 5*time.Second)).run(t)
		if s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "in 1 attempts; the last said: sh: asking") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("is stopped", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
			recovering(p, o)
			o.Sample = func(s recovery.Sample) {
				if strings.Contains(s.Note, "attempt 1") {
					stop()
				}
			}
		}, waitStep("exit 1\n", time.Hour, 2*time.Hour))
		if s, err := r.Run(ctx); err != nil || s.Result != recovery.ResultInterrupted {
			t.Errorf("ended as %s, %v", s.Result, err)
		}
	})
	t.Run("cannot be run", func(t *testing.T) {
		r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
			unattended(p, o)
			p.Production = []string{"/"}
		}, waitStep("true\n", time.Hour, 2*time.Hour))
		if s := r.run(t); s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "owns /") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
}

// In a rehearsal a block finds production's files gone, its own claims in
// place and everything else read-only.
func TestShell_box(t *testing.T) {
	production := t.TempDir()
	secret := filepath.Join(production, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, text := range map[recovery.Mode]string{
		recovery.Rehearsal: "test ! -e %s\n! touch /etc/comeback-test\n",
		recovery.Recovery:  "test -e %s\n",
	} {
		r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
			unattended(p, o)
			p.Mode, p.Production = mode, []string{"db1", production}
		}, shellStep(fmt.Sprintf(text, secret), nil))
		if s := r.run(t); s.Result != recovery.ResultPassed {
			t.Errorf("%s: ended as %s: %s", mode, s.Result, s.Says)
		}
	}
}

// A rehearsal's programs find neither what other runs and backups have beside its scratch
// nor what its runner hides from them. What a program plants among those opens nothing.
func TestShell_others(t *testing.T) {
	made := func(in, pattern string) string {
		dir, err := os.MkdirTemp(in, pattern)
		if err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			err = os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	beside := t.TempDir()
	another, backup, own, hidden := made(beside, "comeback-9f02-"), made("/tmp", "comeback-backup-"), made(beside, "comeback-7c31-"), made(t.TempDir(), "live")
	for name, to := range map[string]string{"proc": "/proc", "run": "/run", "dev": "/dev", "usr": "/usr", "root": "/"} { // a program has planted them
		if err := os.Symlink(to, filepath.Join(beside, "comeback-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	sockets := t.TempDir() // of a live server that is down
	if err := os.WriteFile(filepath.Join(sockets, ".s.PGSQL.5432.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
		unattended(p, o)
		p.Targets[0].Place = filepath.Join(own, "db")
		p.Components = []recovery.Component{{Name: "db", Settings: recovery.Settings{"url": {"${SHOP_KEY}"}}}}
		o.Hidden = []string{hidden}
	}, shellStep(`test -e "$OWN/file" && ! ls "$ANOTHER/file" "$BACKUP/file" "$HIDDEN/file" "$SOCKETS/.s.PGSQL.5432.lock" 2>/dev/null | grep .`, func(a *recovery.ShellArgs) {
		a.Set = map[string]string{"OWN": own, "ANOTHER": another, "BACKUP": backup, "HIDDEN": hidden, "SOCKETS": sockets}
	}))
	r.environ["SHOP_KEY"] = "postgres:///shop?host=" + sockets
	s := r.run(t)
	if s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s %s", s.Result, s.Says, s.Step("s").Error)
	}
}
