package execute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/recovery/mounts/mountstest"
	"comeback/storage"
)

const runbookSHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// kind is a step made of a function.
type kind struct {
	name string
	do   func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error)
}

func (k kind) Name() string              { return k.name }
func (k kind) Restart() recovery.Restart { return recovery.Repeat }
func (k kind) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return k.do(ctx, e, s)
}

func ok(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
	return recovery.Outcome{Says: "ok"}, nil
}

// rig is a run under test.
type rig struct {
	*execute.Executor
	dir, scratch string
	waiting      chan recovery.Waiting
	environ      map[string]string
}

func step(id, kind string, after ...string) recovery.Step {
	return recovery.Step{ID: id, Kind: kind, Says: id, After: after, Args: json.RawMessage(`{}`)}
}

func newRig(t *testing.T, kinds []recovery.Kind, change func(*recovery.Plan, *execute.Options), steps ...recovery.Step) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), scratch: t.TempDir(), waiting: make(chan recovery.Waiting, 16), environ: map[string]string{}}
	p := &recovery.Plan{Format: 1, Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Stages: []recovery.Stage{{Name: "All"}}, Steps: steps,
		Targets: []recovery.Target{
			{ID: "scratch/db", Scratch: true, Place: filepath.Join(r.scratch, "comeback-7c31", "db")},
			{ID: "live/db", Place: "/srv/pg/shop"}}}
	j, err := journal.Create(filepath.Join(r.dir, journal.Name), runbookSHA256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	o := execute.Options{Plan: p, Dir: r.dir, Journal: j, Kinds: kinds, Owner: recovery.User{UID: -1, GID: -1}, Now: time.Now,
		OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) { return nil, errors.New("no store here") },
		Secrets: execute.NewSecrets(func(n string) (string, bool) { v, ok := r.environ[n]; return v, ok },
			map[string]string{"SHOP_KEY": "from the vault, path shop/key"}),
		Sample: func(recovery.Sample) {},
		Event: func(e recovery.Event) {
			if p, ok := e.Payload(); ok {
				if w, ok := p.(recovery.Waiting); ok {
					r.waiting <- w
				}
			}
		}}
	if change != nil {
		change(p, &o)
	}
	o.State = recovery.NewState(p)
	past, err := journal.Read(filepath.Join(r.dir, journal.Name), runbookSHA256) // what change has written
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range past {
		o.State = recovery.Fold(o.State, e)
	}
	if r.Executor, err = execute.New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) run(t *testing.T) recovery.State {
	t.Helper()
	s, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) journal(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, journal.Name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func unattended(_ *recovery.Plan, o *execute.Options) { o.Unattended = true }

// Independent steps run side by side: each waits until the other has started.
func TestRun_sideBySide(t *testing.T) {
	a, b := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return func(ctx context.Context, _ recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
			close(mine)
			select {
			case <-other:
				return recovery.Outcome{}, nil
			case <-ctx.Done():
				return recovery.Outcome{}, ctx.Err()
			}
		}
	}
	var after recovery.State
	var r *rig
	r = newRig(t, []recovery.Kind{kind{"a", meet(a, b)}, kind{"b", meet(b, a)}, kind{"c", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		after = r.State()
		return recovery.Outcome{}, nil
	}}}, unattended, step("1", "a"), step("2", "b"), step("3", "c", "1", "2"))
	s := r.run(t)
	if s.Result != recovery.ResultPassed || s.Exit != recovery.CameBack {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if after.Step("1").State != recovery.Done || after.Step("2").State != recovery.Done {
		t.Error("a step started before the steps that it comes after had ended")
	}
}

// Nobody there: a failed check ends the run as failed, the checks beside it are
// still made, and what comes after is skipped with its reason.
func TestRun_unattendedFailure(t *testing.T) {
	fail := kind{"fail", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{Check: &recovery.CheckResult{Name: "x", Found: "0"}}, recovery.Errorf("look at the data", "expected >= 1, found 0")
	}}
	one, two := step("1", "fail"), step("2", "ok")
	one.MayPass, two.MayPass = true, true
	s := newRig(t, []recovery.Kind{fail, kind{"ok", ok}}, unattended, one, two, step("3", "ok", "1", "2")).run(t)
	if s.Result != recovery.ResultFailed || s.Exit != recovery.Failed || !strings.Contains(s.Says, "expected >= 1, found 0") {
		t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
	}
	if st := s.Step("1"); st.State != recovery.FailedAt || st.Hint != "look at the data" || st.Outcome.Check.Found != "0" {
		t.Errorf("the failed check: %+v", st)
	}
	if s.Step("2").State != recovery.Done || s.Step("3").State != recovery.Skipped || s.Step("3").Why == "" {
		t.Errorf("beside it %s, after it %s (%s)", s.Step("2").State, s.Step("3").State, s.Step("3").Why)
	}
}

func TestDo_decisions(t *testing.T) {
	var mu sync.Mutex
	attempts := 0
	flaky := kind{"flaky", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		attempts++
		if attempts < 3 {
			return recovery.Outcome{}, fmt.Errorf("attempt %d failed", attempts)
		}
		return recovery.Outcome{}, nil
	}}
	check := step("2", "fail", "1")
	check.MayPass = true
	fail := kind{"fail", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, errors.New("does not hold")
	}}
	r := newRig(t, []recovery.Kind{flaky, fail, kind{"ok", ok}}, nil, step("1", "flaky"), check, step("3", "ok", "2"))
	decide := func(c recovery.Command) error {
		c.Kind, c.By = recovery.DoDecide, "ops1"
		return r.Do(c)
	}
	go func() {
		w := <-r.waiting
		if err := decide(recovery.Command{Step: w.Step, Choice: recovery.ChooseContinue, Text: "never mind"}); err == nil {
			t.Error("a restore was passed over")
		}
		if err := decide(recovery.Command{Step: "3", Choice: recovery.ChooseRetry}); err == nil {
			t.Error("a step that does not wait took a decision")
		}
		for range 2 {
			if err := decide(recovery.Command{Step: w.Step, Choice: recovery.ChooseRetry}); err != nil {
				t.Error(err)
			}
			w = <-r.waiting
		}
		if err := decide(recovery.Command{Step: w.Step, Choice: recovery.ChooseContinue}); err == nil {
			t.Error("going on without a reason")
		}
		if err := decide(recovery.Command{Step: w.Step, Choice: recovery.ChooseContinue, Text: "copied by hand"}); err != nil {
			t.Error(err)
		}
	}()
	s := r.run(t)
	if s.Result != recovery.ResultExceptions || s.Exit != recovery.WithExceptions || !strings.Contains(s.Says, "copied by hand") {
		t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
	}
	if s.Step("1").Attempts != 3 || s.Step("3").State != recovery.Done {
		t.Errorf("%d attempts, last step %s", s.Step("1").Attempts, s.Step("3").State)
	}
}

func TestDo_stopAfterFailure(t *testing.T) {
	r := newRig(t, []recovery.Kind{kind{"fail", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, recovery.Errorf("", "not now").WithExit(recovery.Refused)
	}}}, nil, step("1", "fail"))
	go func() {
		w := <-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: recovery.ChooseStop, By: "ops1"}); err != nil {
			t.Error(err)
		}
	}()
	if s := r.run(t); s.Result != recovery.ResultRefused || s.Exit != recovery.Refused {
		t.Errorf("ended as %s %d", s.Result, s.Exit)
	}
}

func ticks(items ...string) recovery.Step {
	return recovery.NewStep("t", recovery.KindTicks, "ticks", recovery.TicksArgs{Items: items})
}

func TestTicks(t *testing.T) {
	t.Run("nobody there", func(t *testing.T) {
		s := newRig(t, nil, unattended, ticks("one", "two")).run(t)
		if s.Result != recovery.ResultPassed || s.Steps[0].Ticks[1].How != recovery.TickTalkedThrough {
			t.Errorf("ended as %s, %+v", s.Result, s.Steps[0].Ticks)
		}
	})
	t.Run("by a person", func(t *testing.T) {
		r := newRig(t, nil, nil, ticks("one", "two"))
		go func() {
			<-r.waiting
			tick := recovery.Command{Kind: recovery.DoTick, Step: "t", Item: 1, How: recovery.TickNotDone, By: "ops1"}
			if r.Do(tick) == nil {
				t.Error("not done without a reason")
			}
			tick.Text = "no access"
			if err := r.Do(tick); err != nil {
				t.Error(err)
			}
			tick.Item = 2
			if r.Do(tick) == nil {
				t.Error("ticked an item that is not there")
			}
			if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: "t", Item: 0, How: recovery.TickDone, By: "ops1"}); err != nil {
				t.Error(err)
			}
		}()
		if s := r.run(t); s.Result != recovery.ResultExceptions || !strings.Contains(s.Says, "no access") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
}

// An interruption ends the steps, gives back the claims and exits as such.
func TestRun_interrupted(t *testing.T) {
	started := make(chan struct{})
	hang := kind{"hang", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		if _, err := e.Target(ctx, "scratch/db"); err != nil {
			return recovery.Outcome{}, err
		}
		close(started)
		<-ctx.Done()
		return recovery.Outcome{}, ctx.Err()
	}}
	first := step("1", "hang")
	first.Writes = []recovery.TargetID{"scratch/db"}
	r := newRig(t, []recovery.Kind{hang, kind{"ok", ok}}, nil, first, step("2", "ok", "1"))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-started; cancel(errors.New("interrupted by ctrl-c")) }()
	s, err := r.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Result != recovery.ResultInterrupted || s.Exit != recovery.Interrupted || !strings.Contains(s.Says, "ctrl-c") {
		t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
	}
	if len(s.Held()) > 0 || len(s.Claims) != 1 {
		t.Errorf("claims: %+v", s.Claims)
	}
	if _, err := os.Lstat(filepath.Join(r.scratch, "comeback-7c31")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the scratch directory is still there")
	}
	if s.Step("2").State != recovery.Skipped {
		t.Errorf("the next step is %s", s.Step("2").State)
	}
}

// A stop that comes from outside is nobody's decision: neither of who started the run nor of
// who commands it.
func TestRun_interruptedAfterTakeOver(t *testing.T) {
	started := make(chan struct{})
	hang := kind{"hang", func(ctx context.Context, _ recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		close(started)
		<-ctx.Done()
		return recovery.Outcome{}, ctx.Err()
	}}
	r := newRig(t, []recovery.Kind{hang}, func(p *recovery.Plan, o *execute.Options) {
		past(t, o, time.Now(), recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1"})
	}, step("1", "hang"))
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := r.begin(ctx, t)
	<-started
	if err := r.Do(recovery.Command{Kind: recovery.DoTakeOver, By: "ops2", Text: "my shift"}); err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("interrupted by SIGTERM"))
	s := <-ended
	if s.Stop == nil || s.Stop.By != recovery.Nobody || s.Stop.Says() != "the run is stopped" || s.Result != recovery.ResultInterrupted || s.Says != "stopped: interrupted by SIGTERM" {
		t.Errorf("ended as %s: %s; %+v", s.Result, s.Says, s.Stop)
	}
}

func TestEnv_Target(t *testing.T) {
	try := func(t *testing.T, id recovery.TargetID, before func(r *rig)) (recovery.State, *rig) {
		s := step("1", "use")
		s.Writes = []recovery.TargetID{id}
		r := newRig(t, []recovery.Kind{kind{"use", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
			_, err := e.Target(ctx, id)
			return recovery.Outcome{}, err
		}}}, unattended, s)
		before(r)
		return r.run(t), r
	}
	t.Run("scratch", func(t *testing.T) {
		s, r := try(t, "scratch/db", func(*rig) {})
		if s.Result != recovery.ResultPassed {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
		j := r.journal(t)
		if made, done := strings.Index(j, "claim.made/1"), strings.Index(j, "step.finished/1"); made < 0 || done < made {
			t.Error("the claim does not stand in the journal before the step's end")
		}
	})
	for name, id := range map[string]recovery.TargetID{"live": "live/db", "unknown": "scratch/other"} {
		t.Run(name, func(t *testing.T) {
			if s, _ := try(t, id, func(*rig) {}); s.Result != recovery.ResultRefused || s.Exit != recovery.Refused {
				t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
			}
		})
	}
	t.Run("somebody else's directory", func(t *testing.T) {
		var theirs string
		s, _ := try(t, "scratch/db", func(r *rig) {
			theirs = filepath.Join(r.scratch, "comeback-7c31")
			if err := os.Mkdir(theirs, 0o700); err != nil {
				t.Fatal(err)
			}
		})
		if s.Exit != recovery.Refused {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
		if _, err := os.Stat(theirs); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	})
}

func TestGuard_room(t *testing.T) {
	s := step("1", "ok")
	s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: "scratch/db", Bytes: 1 << 60}}
	got := newRig(t, []recovery.Kind{kind{"ok", ok}}, unattended, s).run(t)
	if got.Exit != recovery.Refused || !strings.Contains(got.Says, "1.15 EB") || !strings.Contains(got.Says, "free") {
		t.Errorf("ended as %s: %s", got.Result, got.Says)
	}
}

// A step that breaks its promise, or the program, fails alone.
func TestRun_panic(t *testing.T) {
	s := newRig(t, []recovery.Kind{kind{"bad", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		panic("index out of range")
	}}}, unattended, step("1", "bad")).run(t)
	if s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "index out of range") {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}

// A resource that cannot be removed is never called gone.
func TestRun_keptClaim(t *testing.T) {
	stuck := kind{"stuck", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, e.Claim(ctx, recovery.Resource{Kind: "satellite", ID: "s1"})
	}}
	s := newRig(t, []recovery.Kind{stuck}, unattended, step("1", "stuck")).run(t)
	if s.Result != recovery.ResultExceptions || s.Exit != recovery.WithExceptions || !strings.Contains(s.Says, "satellite s1") {
		t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
	}
}

func TestEnding_uncheckedIsNoSuccess(t *testing.T) {
	s := newRig(t, []recovery.Kind{kind{"ok", ok}}, func(p *recovery.Plan, o *execute.Options) {
		o.Unattended = true
		p.NotExecuted = []recovery.NotExecuted{{What: "check: uploads", Why: "nothing restores them", Check: true}, {What: "run: deploy", Why: "in recovery only"}}
	}, step("1", "ok")).run(t)
	if s.Exit != recovery.WithExceptions || !strings.Contains(s.Says, "check: uploads") || strings.Contains(s.Says, "deploy") {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}

func TestNew_unknownKind(t *testing.T) {
	p := &recovery.Plan{Steps: []recovery.Step{step("1", "teleport")}}
	if _, err := execute.New(execute.Options{Plan: p}); err == nil || !strings.Contains(err.Error(), "teleport") {
		t.Errorf("New: %v", err)
	}
}

// Whatever a step says, writes, or fails with, a secret does not reach the
// journal or an artifact.
func TestSecrets_neverRecorded(t *testing.T) {
	const secret = `p"ss\wörd<&>-91`
	leak := kind{"leak", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		url, err := e.Secret("postgres://u:${SHOP_KEY}@db1/shop")
		if err != nil {
			return recovery.Outcome{}, err
		}
		e.Meter().Log("connecting to " + url)
		if err := e.Meter().Checkpoint(ctx, url); err != nil {
			return recovery.Outcome{}, err
		}
		err = e.Command(ctx, recovery.Cmd{Path: "/bin/sh", Args: []string{"-c", `echo "no such user: $K" >&2; exit 3`}, Env: []string{"K=" + url, "PATH=/usr/bin:/bin"}})
		return recovery.Outcome{Says: url, Facts: map[string]string{url: url}}, err
	}}
	r := newRig(t, []recovery.Kind{leak}, unattended, step("1", "leak"))
	r.environ["SHOP_KEY"] = secret
	s := r.run(t)
	if s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "no such user") {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	files := []string{r.journal(t)}
	logs, err := filepath.Glob(filepath.Join(r.dir, "artifacts", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log was kept: %v", err)
	}
	for _, l := range logs {
		b, err := os.ReadFile(l)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(b))
	}
	for _, text := range files {
		for _, form := range []string{secret, strings.Trim(string(quoted), `"`)} {
			if strings.Contains(text, form) {
				t.Errorf("the secret stands in %s", text)
			}
		}
	}
}

// stuck is a releaser that cannot reach what it is to give back.
type stuck struct{ kind recovery.ResourceKind }

func (s stuck) Resource() recovery.ResourceKind { return s.kind }
func (stuck) Release(context.Context, recovery.Resource) error {
	return errors.New("its server does not answer")
}

// A run that was stopped and could not give everything back does not end as cleaned up: it
// names what is left, and how to give it back.
func TestRun_interruptedWithSomethingLeft(t *testing.T) {
	for _, what := range []recovery.ResourceKind{recovery.Exchanged, recovery.Cluster} {
		t.Run(string(what), func(t *testing.T) {
			started := make(chan struct{})
			hang := kind{"hang", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
				if err := e.Claim(ctx, recovery.Resource{Kind: what, ID: "db1/shop"}); err != nil {
					return recovery.Outcome{}, err
				}
				close(started)
				<-ctx.Done()
				return recovery.Outcome{}, ctx.Err()
			}}
			r := newRig(t, []recovery.Kind{hang}, func(_ *recovery.Plan, o *execute.Options) { o.Releasers = []recovery.Releaser{stuck{what}} }, step("1", "hang"))
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-started; cancel(errors.New("interrupted by ctrl-c")) }()
			s, err := r.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if s.Result != recovery.ResultInterrupted || s.Exit != recovery.WithExceptions ||
				!strings.Contains(s.Says, fmt.Sprintf("ctrl-c; not given back: %s db1/shop; for that: comeback stop", what)) {
				t.Errorf("ended as %s %d: %s", s.Result, s.Exit, s.Says)
			}
		})
	}
}

func TestSecrets_missing(t *testing.T) {
	s := execute.NewSecrets(func(string) (string, bool) { return "", false }, map[string]string{"DATABASE_URL": "from the vault, path shop/db"})
	_, err := s.Expand("${DATABASE_URL}")
	if err == nil || !strings.Contains(recovery.HintOf(err), "vault, path shop/db") || recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
	}
}

// A command, and what it started, ends with the run.
func TestCommand_endsWithTheRun(t *testing.T) {
	pids := make(chan string, 1)
	run := kind{"run", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, e.Command(ctx, recovery.Cmd{Path: "/bin/sh", Env: []string{"PATH=/usr/bin:/bin"}, Grace: 5 * time.Second,
			Args:   []string{"-c", `sleep 600 & echo $!; wait`},
			Stdout: writer(func(b []byte) { pids <- strings.TrimSpace(string(b)) })})
	}}
	r := newRig(t, []recovery.Kind{run}, nil, step("1", "run"))
	ctx, cancel := context.WithCancel(t.Context())
	var pid string
	go func() { pid = <-pids; cancel() }()
	s, err := r.Run(ctx)
	if err != nil || s.Exit != recovery.Interrupted {
		t.Fatalf("ended as %s, %v", s.Result, err)
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(n, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// It was killed; the kernel may still be at it.
	if ended, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); ended != 1 {
		t.Errorf("process %d is still there: %v", n, err)
	}
}

// A program that has ended well is done, although a daemon that it has started keeps
// its output open; the daemon lives on.
func TestCommand_leavesADaemon(t *testing.T) {
	dir := t.TempDir()
	for _, fifo := range []string{"up", "down"} {
		if err := unix.Mkfifo(filepath.Join(dir, fifo), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := kind{"run", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, e.Command(ctx, recovery.Cmd{Path: "/bin/sh", Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir, Grace: 50 * time.Millisecond,
			Args: []string{"-c", `setsid sh -c 'exec 3<>down; echo >up; read x <&3' & read x <up; echo started`}})
	}}
	r := newRig(t, []recovery.Kind{run}, recovering, step("1", "run"))
	s := r.run(t)
	if st := s.Step("1"); st.State != recovery.Done {
		t.Errorf("it is %s: %s", st.State, st.Error)
	}
	down, err := os.OpenFile(filepath.Join(dir, "down"), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("the daemon is gone: %v", err)
	}
	_, err = down.WriteString("end\n")
	if err := errors.Join(err, down.Close()); err != nil {
		t.Error(err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestShell(t *testing.T) {
	block := func(script string, bind map[string]string) recovery.Step {
		s := recovery.NewStep("s", recovery.KindShell, "run: smoke", recovery.ShellArgs{Name: "smoke", Script: script, Bind: bind, Timeout: recovery.Duration(time.Minute)})
		s.After = []string{"1"}
		return s
	}
	bound := kind{"bind", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{Bindings: []recovery.Binding{{Component: "database", URL: "postgres:///shop?host=/tmp/x", Scratch: true}}}, nil
	}}
	run := func(t *testing.T, s recovery.Step) (recovery.State, *rig) {
		r := newRig(t, []recovery.Kind{bound}, unattended, step("1", "bind"), s)
		return r.run(t), r
	}
	t.Run("sees its address and nothing of ours", func(t *testing.T) {
		t.Setenv("SSH_AUTH_SOCK", "/tmp/agent")
		s, r := run(t, block("test \"$DATABASE_URL\" = 'postgres:///shop?host=/tmp/x'\ntest \"$COMEBACK_MODE\" = rehearsal\ntest -z \"${SSH_AUTH_SOCK:-}\"\n", map[string]string{"DATABASE_URL": "database"}))
		if s.Result != recovery.ResultPassed {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
		if b, err := os.ReadFile(filepath.Join(r.dir, "artifacts", "s.sh")); err != nil || !strings.Contains(string(b), "COMEBACK_MODE") {
			t.Errorf("the script is not kept: %v", err)
		}
		if !slices.ContainsFunc(s.Step("s").Outcome.Artifacts, func(a recovery.Artifact) bool { return a.Name == "s.sh" }) {
			t.Errorf("artifacts: %+v", s.Step("s").Outcome.Artifacts)
		}
	})
	t.Run("sees the secret in an address that only names it", func(t *testing.T) {
		named := kind{"bind", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{Bindings: []recovery.Binding{{Component: "database", URL: "postgres://shop:${SHOP_KEY}@db.example/shop", Scratch: true}}}, nil
		}}
		r := newRig(t, []recovery.Kind{named}, unattended, step("1", "bind"), block("test \"$DATABASE_URL\" = 'postgres://shop:opensesame@db.example/shop'\n", map[string]string{"DATABASE_URL": "database"}))
		r.environ = map[string]string{"SHOP_KEY": "opensesame"}
		if s := r.run(t); s.Result != recovery.ResultPassed {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("has no network but loopback", func(t *testing.T) {
		s, _ := run(t, block("test \"$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')\" = lo\n", nil))
		if s.Result != recovery.ResultPassed {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("fails in its own words", func(t *testing.T) {
		s, _ := run(t, block("echo 'health is 503' >&2\nexit 7\n", nil))
		if s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "health is 503") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("a failing command in it fails it", func(t *testing.T) {
		if s, _ := run(t, block("false\ntrue\n", nil)); s.Result != recovery.ResultFailed {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("has a time limit", func(t *testing.T) {
		b := recovery.NewStep("s", recovery.KindShell, "run: smoke", recovery.ShellArgs{Name: "smoke", Script: "sleep 600\n", Timeout: recovery.Duration(50 * time.Millisecond)})
		b.After = []string{"1"}
		if s, _ := run(t, b); s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "did not end within") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
	t.Run("unbound address", func(t *testing.T) {
		if s, _ := run(t, block("true\n", map[string]string{"URL": "uploads"})); s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "no address") {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
}

func TestRemoveDirectory(t *testing.T) {
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	claims := func(id string) kind {
		return kind{"claim", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{}, e.Claim(ctx, recovery.Resource{Kind: recovery.Directory, ID: id})
		}}
	}
	for _, id := range []string{link, "/", "/srv", "relative/dir", outside + "/../" + filepath.Base(outside)} {
		s := newRig(t, []recovery.Kind{claims(id)}, unattended, step("1", "claim")).run(t)
		if s.Exit != recovery.WithExceptions {
			t.Errorf("%s: ended as %s", id, s.Result)
		}
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
}

// What a program has mounted below a run's directory, and left there, keeps what it holds: the
// directory stays claimed, with what to do about it.
func TestRemoveDirectory_mounted(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	dir := filepath.Join(t.TempDir(), "comeback-7c31")
	share := filepath.Join(dir, "db", "share")
	precious := mountstest.Share(t, share)
	s := newRig(t, []recovery.Kind{kind{"claim", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, e.Claim(ctx, recovery.Resource{Kind: recovery.Directory, ID: dir})
	}}}, unattended, step("1", "claim")).run(t)
	want := "directory " + dir + " could not be removed: remove directory: " + share + " is mounted below " + dir + "; unmount it, then: comeback stop 7c31"
	if held := s.Held(); s.Exit != recovery.WithExceptions || len(held) != 1 || !strings.HasSuffix(s.Says, want) {
		t.Errorf("it holds %+v and says %q, want %q", held, s.Says, want)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("the share was emptied: %v", err)
	}
}

func FuzzRedactJSON(f *testing.F) {
	f.Add("secret", `{"a":"x secret y","b":["\u0073ecret",1]}`)
	f.Add(`q"uo\te`, `{"a":"q\"uo\\te"}`)
	f.Fuzz(func(t *testing.T, secret, text string) {
		if !json.Valid([]byte(text)) || len(secret) < 4 {
			return
		}
		s := execute.NewSecrets(func(string) (string, bool) { return secret, true }, nil, "X")
		if out := s.RedactJSON([]byte(text)); !json.Valid(out) {
			t.Errorf("%q became %q", text, out)
		}
	})
}
