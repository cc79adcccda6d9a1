package runner_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
)

// Users of the host that are no operators of ours.
const (
	nobody  = 65534
	nogroup = 65534
	daemon  = 1
)

// sharedHome is a state directory that the members of nogroup share.
func sharedHome(t *testing.T) runner.Home {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("other users can be played by root only")
	}
	dir, err := os.MkdirTemp("", "comeback")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 0, nogroup); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	return runner.Home{Dir: dir}
}

// as runs a front end as another user and gives what it says.
func as(t *testing.T, uid, gid uint32, home runner.Home, ask ...string) string {
	t.Helper()
	return actAs(t, "client", uid, gid, home, ask...)
}

func actAs(t *testing.T, role string, uid, gid uint32, home runner.Home, ask ...string) string {
	t.Helper()
	// The link leads to this program though its path is closed to others.
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = []string{"RUNNER_TEST_ROLE=" + role, "RUNNER_TEST_DIR=" + home.Dir, "RUNNER_TEST_ASK=" + strings.Join(ask, " ")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	if role == "boxed client" {
		cmd.Env[0] = "RUNNER_TEST_ROLE=client"
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	said, err := cmd.CombinedOutput()
	if err != nil {
		return string(said) + err.Error()
	}
	return string(said)
}

// In a shared state a member of the group watches, notes and takes over, in the
// name that the kernel gives, which is told apart from nobody's; who is not a member sees nothing.
func TestServer_peers(t *testing.T) {
	home := sharedHome(t)
	run := serve(t, ticking(home, t.TempDir()))
	until(t, run, waiting)

	said := as(t, nobody, nogroup, home, "note", "approve", "tick", "stop", "decide", "amend", "secret", "outage", "hand-over", "take-over", "take-over", "tick")
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) != 14 || lines[0] != "you are user nobody" || lines[1] != "note: <nil>" {
		t.Fatalf("the member was told:\n%s", said)
	}
	// An approval proves itself, whoever hands it in; here nothing waits for one.
	if want := `approve: no step "t" waits for an approval now`; lines[2] != want {
		t.Errorf("%q, not %q", lines[2], want)
	}
	for _, line := range lines[3:10] {
		if !strings.Contains(line, "ops1 commands run 7c31 since") || !strings.Contains(line, "not user nobody") {
			t.Errorf("who does not command was told %q", line)
		}
	}
	for i, want := range []string{"take-over: <nil>", "take-over: user nobody commands this run already", "tick: <nil>", "lease user nobody"} {
		if lines[10+i] != want {
			t.Errorf("%q, not %q", lines[10+i], want)
		}
	}
	if said := as(t, daemon, daemon, home, "note"); !strings.Contains(said, "permission denied") && !strings.Contains(said, "there is no run") {
		t.Errorf("a stranger was told:\n%s", said)
	}
	s, err := run.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Notes) != 1 || s.Notes[0].By != "user nobody" || s.Lease != "user nobody" || s.Steps[0].Ticks[0].By != "user nobody" || s.Stop != nil {
		t.Errorf("notes %+v, lease %s, ticks %+v", s.Notes, s.Lease, s.Steps[0].Ticks)
	}
	// Root is who root says.
	if c := dial(t, home, "ops7"); c.Hello.You != "ops7" {
		t.Errorf("root counts as %q", c.Hello.You)
	}
	modes(t, home, map[string]fs.FileMode{
		"runs": fs.ModeDir | fs.ModeSetgid | 0o770, "runs/7c31": fs.ModeDir | fs.ModeSetgid | 0o770, "runs/7c31/plan.json": 0o640,
		"runs/7c31/runbook.md": 0o640, "runs/7c31/journal.jsonl": 0o640, "live": fs.ModeDir | fs.ModeSetgid | 0o770,
		"live/7c31": fs.ModeDir | fs.ModeSetgid | 0o770, "live/7c31/socket": fs.ModeSocket | 0o660}, nogroup)
	if err := run.Do(t.Context(), recovery.Command{Kind: recovery.DoStop, By: "user nobody", Text: "enough"}); err != nil {
		t.Fatal(err)
	}
	// Whose files they are takes a run up; others are told so.
	if said := actAs(t, "resume", nobody, nogroup, home); !strings.Contains(said, "belongs to another user") || !strings.Contains(said, "next: ask root to take it up, or as root: sudo comeback resume 7c31\n") {
		t.Errorf("a member who resumes was told:\n%s", said)
	}
	run.Wait()
	modes(t, home, map[string]fs.FileMode{"runs/7c31/report.json": 0o640}, nogroup)
}

// What a plain user's run has restored is of no use to anybody else: root does not go on with
// it, and is told how that user does, but may give it back.
func TestResume_anotherUser(t *testing.T) {
	home := sharedHome(t)
	o := diedAsNobody(t, home)
	path, scratch := filepath.Join(home.RunDir("7c31"), journal.Name), filepath.Join(home.Dir, "scratch")
	journaled, made := read(t, path), below(t, scratch)
	_, err := runner.Resume(t.Context(), o, "")
	if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "run 7c31 was begun by nobody") || !strings.Contains(recovery.HintOf(err), "sudo -u nobody comeback resume 7c31;") {
		t.Errorf("root was told %v (%s)", err, recovery.HintOf(err))
	}
	if now := below(t, scratch); !bytes.Equal(read(t, path), journaled) || !slices.Equal(now, made) || len(made) == 0 {
		t.Errorf("the journal was changed, or scratch, which holds %q and held %q", now, made)
	}
	run, err := runner.Resume(t.Context(), o, "enough")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := run.Wait(); err != nil || s.Result != recovery.ResultInterrupted || len(s.Held()) > 0 {
		t.Errorf("ended as %s, it holds %v, %v", s.Result, s.Held(), err)
	}
}

// Where a file server gives everything to one user, whose a journal is does not tell who
// has begun the run.
func TestResume_givenToOne(t *testing.T) {
	home := sharedHome(t)
	diedAsNobody(t, home)
	if said := actAs(t, "resume, given to one", 0, 0, home); said != "" {
		t.Errorf("it was told:\n%s", said)
	}
	if left, err := filepath.Glob(filepath.Join(home.Runs(), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// diedAsNobody is a run of a plain user in a shared state whose runner was killed when its
// step had made its scratch.
func diedAsNobody(t *testing.T, home runner.Home) runner.Options {
	t.Helper()
	scratch := filepath.Join(home.Dir, "scratch")
	if err := errors.Join(os.Mkdir(scratch, 0o700), os.Chown(scratch, nobody, nogroup)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	cmd.Env = []string{"RUNNER_TEST_ROLE=hold", "RUNNER_TEST_DIR=" + home.Dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nogroup}}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1))
		err = errors.Join(err, cmd.Process.Kill())
		cmd.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	return options(home, scratch, newHold())
}

// below lists what lies below a directory, with whose it is.
func below(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err == nil {
			all = append(all, fmt.Sprintf("%s %v of %d", path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Programs of a rehearsal neither see where a run is commanded nor are let in if they reach
// it, whoever they run as.
func TestServer_boxes(t *testing.T) {
	home := sharedHome(t)
	o := ticking(home, t.TempDir())
	o.Plan.Steps = append(o.Plan.Steps, recovery.NewStep("look", recovery.KindShell, "look for the socket", recovery.ShellArgs{Name: "look",
		Script: `test -d "$STATE/live" && ! test -e "$STATE/live/7c31"`, Set: map[string]string{"STATE": home.Dir}}))
	run := serve(t, o)
	until(t, run, waiting)
	for _, uid := range []uint32{0, nobody} {
		if said := actAs(t, "boxed client", uid, nogroup, home, "note"); !strings.Contains(said, "has a network of its own") {
			t.Errorf("a program of user %d in a box was told:\n%s", uid, said)
		}
	}
	s := until(t, run, func(s recovery.State) bool {
		return s.Step("look").State == recovery.Done || s.Step("look").Error != ""
	})
	if s.Step("look").State != recovery.Done || len(s.Notes) > 0 {
		t.Errorf("the look ended as %s: %s; notes %+v", s.Step("look").State, s.Step("look").Error, s.Notes)
	}
}

// A state of one's own is for nobody else.
func TestServer_private(t *testing.T) {
	home := runner.Home{Dir: filepath.Join(t.TempDir(), "state")}
	run := serve(t, ticking(home, t.TempDir()))
	until(t, run, waiting)
	modes(t, home, map[string]fs.FileMode{".": fs.ModeDir | 0o700, "runs": fs.ModeDir | 0o700, "runs/7c31": fs.ModeDir | 0o700,
		"runs/7c31/plan.json": 0o600, "runs/7c31/runbook.md": 0o600, "runs/7c31/journal.jsonl": 0o600, "live/7c31": fs.ModeDir | 0o700,
		"live/7c31/socket": fs.ModeSocket | 0o600}, -1)
}

func modes(t *testing.T, home runner.Home, want map[string]fs.FileMode, gid int) {
	t.Helper()
	for name, mode := range want {
		info, err := os.Lstat(filepath.Join(home.Dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != mode {
			t.Errorf("%s is %v, not %v", name, info.Mode(), mode)
		}
		if st := info.Sys().(*syscall.Stat_t); gid >= 0 && int(st.Gid) != gid {
			t.Errorf("%s belongs to group %d", name, st.Gid)
		}
	}
}
