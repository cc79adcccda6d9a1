package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"

	"golang.org/x/sys/unix"
)

func launch(t *testing.T, home runner.Home, role string) runner.Launch {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return runner.Launch{Home: home, Run: "7c31", Exe: exe, Act: runner.ActStart,
		Env: append(os.Environ(), "RUNNER_TEST_ROLE="+role, "RUNNER_TEST_DIR="+home.Dir)}
}

// dialSoon attaches to a run that is about to begin.
func dialSoon(t *testing.T, home runner.Home) *runner.Client {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := home.Dial(t.Context(), "7c31", runner.Viewer{Operator: "ops1"})
		if err == nil {
			t.Cleanup(c.Close)
			return c
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never began: %v", err)
		}
	}
}

// What cannot be launched says why, and what to do next.
func TestLaunch_fails(t *testing.T) {
	for role, want := range map[string]string{
		"absent":  "no such file",
		"silent":  "it ended before the run began\nI say nothing",
		"garbage": "invalid character",
		"refuses": "no, not now",
		"start":   "plan.json", // the run was not prepared
	} {
		t.Run(role, func(t *testing.T) {
			l := launch(t, runner.Home{Dir: t.TempDir()}, role)
			if role == "absent" {
				l.Exe = "/nonexistent/comeback"
			}
			err := l.Spawn(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
			if role == "refuses" && (recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) != "ask ops1") {
				t.Errorf("exit %d, hint %q", recovery.ExitOf(err), recovery.HintOf(err))
			}
		})
	}
}

// ended waits for a process that is not necessarily ours, and reaps it if it is.
func ended(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("process %d does not end: %v", pid, err)
		}
		return
	}
}

// A runner belongs to no terminal, and goes on when who launched it is gone.
func TestLaunch_ofItsOwn(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, home.Dir)
	if err := runner.Prepare(home, o.Plan, o.Runbook); err != nil {
		t.Fatal(err)
	}
	if err := launch(t, home, "start").Spawn(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := dial(t, home, "ops1")
	pid := c.Hello.PID
	t.Cleanup(func() { ended(t, pid) })
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the name: state, parent, process group, session, terminal.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if fields[3] != strconv.Itoa(pid) || fields[4] != "0" {
		t.Errorf("session %s of process %d, terminal %s", fields[3], pid, fields[4])
	}
	tick(t, c, "")
	ended(t, pid)
	if p, err := home.Load("7c31"); err != nil || p.State.Result != recovery.ResultPassed || p.ReportSHA256 == "" {
		t.Errorf("ended as %s: %s, %v", p.State.Result, p.State.Says, err)
	}
}

// The launcher is gone before the runner could say that the run has begun: it
// goes on all the same.
func TestLaunch_nobodyListens(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, home.Dir)
	if err := runner.Prepare(home, o.Plan, o.Runbook); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(home.Dir, "late")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	spawned := make(chan error, 1)
	go func() { spawned <- launch(t, home, "late").Spawn(ctx) }()
	let, err := os.OpenFile(fifo, os.O_WRONLY, 0) // when the process is there
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-spawned; !errors.Is(err, context.Canceled) {
		t.Errorf("Spawn: %v", err)
	}
	if err := let.Close(); err != nil {
		t.Fatal(err)
	}
	c := dialSoon(t, home)
	pid := c.Hello.PID
	t.Cleanup(func() { ended(t, pid) })
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	tick(t, c, "")
	ended(t, pid)
	if p, err := home.Load("7c31"); err != nil || p.State.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s, %v", p.State.Result, p.State.Says, err)
	}
}
