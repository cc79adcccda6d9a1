package runner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
)

// hold is a step that makes its scratch directory and then waits to be let go.
type hold struct{ started, release chan struct{} }

func (hold) Name() string              { return "test.hold" }
func (hold) Restart() recovery.Restart { return recovery.Repeat }
func (h hold) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	if _, err := e.Target(ctx, "scratch/db"); err != nil {
		return recovery.Outcome{}, err
	}
	close(h.started)
	select {
	case <-h.release:
		e.Meter().Log("it is there")
		return recovery.Outcome{Says: "let go"}, nil
	case <-ctx.Done():
		return recovery.Outcome{}, ctx.Err()
	}
}

func options(home runner.Home, scratch string, h hold) runner.Options {
	p := &recovery.Plan{Format: 1, Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 1,
		Runbook: recovery.Source{Path: "shop.md", SHA256: strings.Repeat("ab", 32)},
		Stages:  []recovery.Stage{{Name: "Restore"}},
		Targets: []recovery.Target{{ID: "scratch/db", Scratch: true, Place: filepath.Join(scratch, "comeback-7c31", "db")}},
		Steps:   []recovery.Step{{ID: "hold", Kind: "test.hold", Says: "hold", Writes: []recovery.TargetID{"scratch/db"}}}}
	return runner.Options{Home: home, Plan: p, Runbook: []byte("# shop\n"), Kinds: []recovery.Kind{h},
		Secrets: execute.NewSecrets(func(string) (string, bool) { return "", false }, nil),
		Owner:   recovery.User{UID: -1, GID: -1}, Now: time.Now, Operator: "ops1", Host: "db1", Version: "test", Unattended: true,
		Finish: func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o600), os.WriteFile(filepath.Join(dir, "SHA256SUMS"), nil, 0o600))
		}}
}

func newHold() hold { return hold{make(chan struct{}), make(chan struct{})} }

func TestRun_watchers(t *testing.T) {
	home, h := runner.Home{Dir: t.TempDir()}, newHold()
	run, err := start(t.Context(), options(home, t.TempDir(), h))
	if err != nil {
		t.Fatal(err)
	}
	watch := func(from uint64) int {
		n := 0
		for e, err := range run.Events(t.Context(), from) {
			if err != nil {
				t.Error(err)
			}
			if want := max(from, 1) + uint64(n); e.Seq != want {
				t.Errorf("event %d came where %d was due", e.Seq, want)
			}
			n++
		}
		return n
	}
	var wait sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wait.Go(func() { counts[i] = watch(0) })
	}
	<-h.started
	if p, err := home.Load("7c31"); err != nil || p.Problem != nil || !p.Alive || p.State.Step("hold").State != recovery.Running {
		t.Errorf("while it runs: alive %v, %v %v", p.Alive, err, p.Problem)
	}
	if err := run.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: "coffee", By: "ops1"}); err != nil {
		t.Error(err)
	}
	close(h.release)
	s, err := run.Wait()
	wait.Wait()
	if err != nil || s.Result != recovery.ResultPassed || len(s.Notes) != 1 {
		t.Fatalf("ended as %s, %v", s.Result, err)
	}
	for _, n := range counts {
		if n != int(s.Seq) {
			t.Errorf("a watcher saw %d of %d events", n, s.Seq)
		}
	}
	if n := watch(3); n != int(s.Seq)-2 {
		t.Errorf("from the third on there are %d", n)
	}
	p, err := home.Load("7c31")
	if err != nil || p.Alive || p.State.Result != recovery.ResultPassed || p.ReportSHA256 == "" {
		t.Errorf("afterwards: %+v, %v", p.State.Result, err)
	}
	n := uint64(0)
	for e, err := range p.Replay().Events(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		n = e.Seq
	}
	if n != s.Seq {
		t.Errorf("the replay ends at %d, the run at %d", n, s.Seq)
	}
}

// Whoever has waited for the end finds the live targets given back; where they could not
// be, the run has come to its end all the same.
func TestRun_release(t *testing.T) {
	h := newHold()
	o := options(runner.Home{Dir: t.TempDir()}, t.TempDir(), h)
	stuck := errors.New("the copy does not answer")
	released := 0
	o.Release = func() error { released++; return stuck }
	run, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	close(h.release)
	for _, err := range run.Events(t.Context(), 1) {
		if err != nil {
			t.Errorf("whoever watches is told %v", err)
		}
	}
	if released != 1 {
		t.Errorf("it was given back %d times", released)
	}
	if s, err := run.Wait(); s.Result != recovery.ResultPassed || !errors.Is(err, stuck) {
		t.Errorf("ended as %s, %v", s.Result, err)
	}
}

func TestRun_samplesEnd(t *testing.T) {
	h := newHold()
	run, err := start(t.Context(), options(runner.Home{Dir: t.TempDir()}, t.TempDir(), h))
	if err != nil {
		t.Fatal(err)
	}
	samples := run.Samples(t.Context()) // first: what was told before goes to nobody
	ctx, cancel := context.WithCancel(t.Context())
	gone := run.Samples(ctx)
	cancel()
	for range gone {
	}
	close(h.release)
	var lines []string
	for s := range samples {
		lines = append(lines, s.Lines...)
	}
	if strings.Join(lines, "") != "it is there" {
		t.Errorf("log lines: %q", lines)
	}
}

// A runner that is killed leaves its claims behind; another process gives them
// back from the journal alone.
func TestEnd_ofADeadRun(t *testing.T) {
	dir := t.TempDir()
	scratch := filepath.Join(dir, "scratch")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "RUNNER_TEST_ROLE=hold", "RUNNER_TEST_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	home := runner.Home{Dir: dir}
	o := options(home, scratch, newHold())
	if _, err := runner.Resume(t.Context(), o, "test"); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("ending a living run: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if p, err := home.Load("7c31"); err != nil || p.Alive || p.State.Result != "" || len(p.State.Held()) != 1 {
		t.Fatalf("after the kill: alive %v, %d claims, %v", p.Alive, len(p.State.Held()), err)
	}
	run, err := runner.Resume(t.Context(), o, "cleaned up")
	if err != nil {
		t.Fatal(err)
	}
	s, err := run.Wait()
	if err != nil || s.Exit != recovery.Interrupted || len(s.Held()) != 0 || len(s.Interruptions) != 1 || s.Interruptions[0].From.IsZero() {
		t.Errorf("ended as %s, %d claims, interruptions %v, %v", s.Result, len(s.Held()), s.Interruptions, err)
	}
	if _, err := os.Lstat(filepath.Join(scratch, "comeback-7c31")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the scratch directory is still there")
	}
	if _, err := journal.Read(filepath.Join(home.RunDir("7c31"), journal.Name), o.Plan.Runbook.SHA256); err != nil {
		t.Error(err)
	}
	if _, err := runner.Resume(t.Context(), o, "again"); err == nil {
		t.Error("a run was ended twice")
	}
}

func TestStart_neverReplaces(t *testing.T) {
	home, h := runner.Home{Dir: t.TempDir()}, newHold()
	close(h.release)
	run, err := start(t.Context(), options(home, t.TempDir(), h))
	if err != nil {
		t.Fatal(err)
	}
	run.Wait()
	if _, err := start(t.Context(), options(home, t.TempDir(), newHold())); err == nil {
		t.Error("a run was started over another one")
	}
}

func TestHome_History(t *testing.T) {
	home, h := runner.Home{Dir: t.TempDir()}, newHold()
	if hist, err := home.History("shop"); err != nil || hist.Number != 1 || hist.Previous != "" {
		t.Errorf("without a run: %+v, %v", hist, err)
	}
	close(h.release)
	run, err := start(t.Context(), options(home, t.TempDir(), h))
	if err != nil {
		t.Fatal(err)
	}
	s, err := run.Wait()
	if err != nil {
		t.Fatal(err)
	}
	hist, err := home.History("shop")
	if err != nil || hist.Number != 2 || len(hist.Previous) != 64 {
		t.Errorf("after a run: %+v, %v", hist, err)
	}
	took := s.Step("hold").Ended.Sub(s.Step("hold").Started).Round(time.Millisecond)
	if got := hist.Expected(s.Steps[0].Step); got != took {
		t.Errorf("expected %v, it took %v", got, took)
	}
	// A run that was brought is of another count, signed or not.
	if err := home.MarkBrought("7c31"); err != nil {
		t.Fatal(err)
	}
	brought, err := home.History("shop")
	if past := brought.Rehearsals(1); err != nil || brought.Number != 1 || brought.Previous != "" || len(past) != 1 || !past[0].Brought {
		t.Errorf("after a run was brought: %+v, %v", brought, err)
	}
	if other, err := home.History("billing"); err != nil || other.Number != 1 {
		t.Errorf("another system: %+v, %v", other, err)
	}
	for _, id := range []string{"none", "../7c31", "0000"} {
		if _, err := home.Load(id); err == nil || recovery.HintOf(err) == "" {
			t.Errorf("Load(%q): %v", id, err)
		}
	}
}

// What follows a run goes by the runbook that it was made from, and by no other.
func TestPast_Runbook(t *testing.T) {
	home, h := runner.Home{Dir: t.TempDir()}, newHold()
	close(h.release)
	o := options(home, t.TempDir(), h)
	o.Plan.Runbook.SHA256 = fmt.Sprintf("%x", sha256.Sum256(o.Runbook))
	run, err := start(t.Context(), o)
	if err == nil {
		_, err = run.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	past, err := home.Load("7c31")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := past.Runbook(); err != nil || !bytes.Equal(b, o.Runbook) {
		t.Errorf("it is %q, %v", b, err)
	}
	rewrite(t, filepath.Join(past.Dir, recovery.RunbookFile), []byte("# Another\n"))
	if _, err := past.Runbook(); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("one that was changed: %v", err)
	}
	if err := os.Remove(filepath.Join(past.Dir, recovery.RunbookFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := past.Runbook(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestFindHome(t *testing.T) {
	env := func(kv ...string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == name {
					return kv[i+1], true
				}
			}
			return "", false
		}
	}
	if h, err := runner.FindHome(env("COMEBACK_STATE", "/x", "HOME", "/root")); err != nil || h.Dir != "/x" {
		t.Errorf("%v %v", h, err)
	}
	if _, err := os.Stat(runner.SharedState); errors.Is(err, fs.ErrNotExist) {
		if h, err := runner.FindHome(env("XDG_STATE_HOME", "/s", "HOME", "/root")); err != nil || h.Dir != "/s/comeback" {
			t.Errorf("%v %v", h, err)
		}
		if h, err := runner.FindHome(env("HOME", "/root")); err != nil || h.Dir != "/root/.local/state/comeback" {
			t.Errorf("%v %v", h, err)
		}
		if _, err := runner.FindHome(env()); recovery.ExitOf(err) != recovery.Usage {
			t.Errorf("no place: %v", err)
		}
	}
}

// A call of the run's end that hangs holds up nothing: the report is there, the run is over
// for everybody, and only its process waits for the call.
func TestRun_callHangs(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "page")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	home, h := runner.Home{Dir: t.TempDir()}, newHold()
	o := options(home, t.TempDir(), h)
	o.Plan.Notify = []string{"/bin/sh", "-c", "read word <" + fifo}
	released := make(chan struct{})
	o.Release = func() error { close(released); return nil }
	run := serve(t, o)
	<-h.started
	close(h.release)
	page, err := os.OpenFile(fifo, os.O_WRONLY, 0) // it is read now
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-released:
	default:
		t.Error("what the run held is not released")
	}
	if p, err := home.Load("7c31"); err != nil || p.Alive || p.ReportSHA256 == "" {
		t.Errorf("while it hangs: alive %v, report %q, %v", p.Alive, p.ReportSHA256, err)
	}
	if s := until(t, run, over); s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	for _, err := range run.Events(t.Context(), 1) { // to their end
		if err != nil {
			t.Error(err)
		}
	}
	select {
	case <-run.Done():
		t.Error("nobody waits for the call")
	default:
	}
	if err := page.Close(); err != nil {
		t.Error(err)
	}
	if _, err := run.Wait(); err != nil {
		t.Error(err)
	}
}
