package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/shop/shoptest"
)

// screen is an output that can be watched while it is written.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer
	watch string
	seen  func()
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.text.Write(b)
	if s.seen != nil && strings.Contains(s.text.String(), s.watch) {
		s.seen()
		s.seen = nil
	}
	return n, err
}

// demo runs a demo; when its output contains watch, seen is called.
func (r *rig) demo(ctx context.Context, o demoOptions, watch string, seen func()) output {
	stdout, stderr := &screen{watch: watch, seen: seen}, &screen{}
	o.scale = 2000
	err := r.app(stdout, stderr).demo(ctx, o)
	code := recovery.ExitOf(err)
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	} else if err != nil {
		stderr.text.WriteString(err.Error() + "\nnext: " + recovery.HintOf(err))
	}
	return output{code, stdout.text.String(), stderr.text.String()}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// onlyReport fails where something but a demo's report is left.
func onlyReport(t *testing.T, dir string) {
	t.Helper()
	if left := names(t, dir); !slices.Equal(left, []string{"report"}) {
		t.Errorf("left in %s: %v", dir, left)
	}
	if left := shoptest.Processes(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// printed are the commands that the demo says verify its report.
func printed(t *testing.T, out string) string {
	t.Helper()
	_, after, ok := strings.Cut(out, "without comeback:\n")
	commands := strings.Split(after, "\n")
	if !ok || len(commands) < 3 {
		t.Fatalf("no commands in:\n%s", out)
	}
	return strings.Join(commands[:3], " &&")
}

func TestDemo_leavesAReportThatVerifies(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(shoptest.Dir(t), "demo")
	got := r.demo(t.Context(), demoOptions{dir: dir}, "", nil)
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	t.Log(got.out)
	onlyReport(t, dir)
	want := []string{"SHA256SUMS", "SHA256SUMS.sig", "allowed_signers", "artifacts", "identity", "journal.jsonl", "plan.json", "report.json", "report.md", "runbook.md"}
	if found := names(t, filepath.Join(dir, "report")); !slices.Equal(found, want) {
		t.Errorf("the report holds %v", found)
	}
	for _, says := range []string{"deletes all", "drops the table carts", "REHEARSED, EVERY CHECK HELD", "orders came back: expected >= ", filepath.Join(dir, "report", "report.md")} {
		if !strings.Contains(got.out, says) {
			t.Errorf("the demo does not say %q", says)
		}
	}
	verify := func() (string, error) {
		out, err := exec.Command("/bin/sh", "-c", printed(t, got.out)).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(); err != nil {
		t.Errorf("%s\n%v\n%s", printed(t, got.out), err, out)
	}
	for _, name := range []string{"report.json", "report.md", "journal.jsonl", "plan.json", "runbook.md", "SHA256SUMS"} {
		path := filepath.Join(dir, "report", name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(whole)
		changed[len(changed)/3] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(); err == nil {
			t.Errorf("a changed byte in %s is accepted", name)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signers, err := report.ReadAllowedSigners(filepath.Join(dir, "report", "allowed_signers"))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := report.Verify(filepath.Join(dir, "report"), report.VerifyOptions{AllowedSigners: signers, Identity: demoIdentity, Now: time.Now()}); err != nil || !v.Trusted() {
		t.Errorf("%v, %v", v, err)
	}
	// Nothing of the user's own was touched.
	if state, home := names(t, r.state), names(t, r.environ["HOME"]); len(state)+len(home) > 0 {
		t.Errorf("in the user's state %v, in the home %v", state, home)
	}
}

func TestDemo_kept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir() // closed to the server's user where that is another one
	got := r.demo(t.Context(), demoOptions{dir: dir, keep: true}, "", nil)
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	t.Cleanup(func() { r.run(context.Background(), "demo", "--stop", "--dir", dir) })
	out, err := exec.Command("/bin/sh", "-euc", `. "$1/env"; psql -X -At "$DATABASE_URL" -c "select count(*) > 0, to_regclass('carts') is null from orders"; echo "$COMEBACK_SCRATCH"; echo "$APP_URL"`, "-", dir).CombinedOutput()
	lines := strings.Split(string(out), "\n")
	if err != nil || lines[0] != "t|t" {
		t.Fatalf("the shop that was kept: %v: %s", err, out)
	}
	place := filepath.Dir(lines[1])
	visits := func() error {
		answer, err := http.Get(lines[2] + "/")
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	if err := visits(); err != nil {
		t.Errorf("the shop is not open to visitors: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "home")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the demo's key is kept: %v", err)
	}
	if got := r.run(t.Context(), "runbook", "lint", filepath.Join(dir, "shop.md")); got.code != recovery.CameBack || !strings.Contains(got.out, "no errors, 0 warnings") {
		t.Errorf("lint: exit %d\n%s%s", got.code, got.out, got.err)
	}
	// A second demo in the same directory ends the first.
	ctx, cancel := context.WithCancelCause(t.Context())
	again := r.demo(ctx, demoOptions{dir: dir}, "THE SHOP", func() { cancel(errors.New("interrupted by ctrl-c")) })
	if again.code != recovery.Interrupted {
		t.Errorf("exit %d\n%s%s", again.code, again.out, again.err)
	}
	onlyReport(t, dir)
	if err := visits(); err == nil {
		t.Error("the shop is still open to visitors")
	}
	if left := shoptest.Processes(t, place); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if _, err := os.Stat(place); place != dir && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", place, err)
	}
}

func TestDemo_stop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := filepath.Join(shoptest.Dir(t), "demo")
	// A demo that is killed while its runbook is rehearsed.
	cmd := exec.Command(os.Args[0], "demo", "--dir", dir, "--plain")
	cmd.Args[0] = "comeback"
	for name, v := range r.environ {
		cmd.Env = append(cmd.Env, name+"="+v)
	}
	said := &screen{}
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	read := &bytes.Buffer{}
	for b := make([]byte, 1); !strings.Contains(read.String(), "[2 Restore the database]"); {
		if _, err := stdout.Read(b); err != nil {
			t.Fatalf("%v after:\n%s%s", err, read, said.text.String())
		}
		read.Write(b)
	}
	// It holds its directory until it is killed, and not a moment longer.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"demo", "--dir", dir}, {"demo", "--stop", "--dir", dir}} {
		if got := r.run(t.Context(), args...); got.code != recovery.Refused || !strings.Contains(got.err, "a demo is under way") {
			t.Errorf("%v while it is under way: exit %d\n%s%s", args, got.code, got.out, got.err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if got := r.run(t.Context(), "demo", "--stop", "--dir", dir); got.code != recovery.CameBack || !strings.Contains(got.out, "left no report") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if left := shoptest.Processes(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

func TestDemo_interrupted(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"THE SHOP", "ITS BACKUPS", "THE REHEARSAL", "[2 Restore the database]"} {
		t.Run(at, func(t *testing.T) {
			r := newRig(t)
			base := shoptest.Dir(t)
			dir := filepath.Join(base, "demo")
			ctx, cancel := context.WithCancelCause(t.Context())
			got := r.demo(ctx, demoOptions{dir: dir}, at, func() { cancel(errors.New("interrupted by ctrl-c")) })
			if got.code != recovery.Interrupted || !strings.Contains(got.err, "interrupted by ctrl-c; its shop is gone") {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
			if left := shoptest.Processes(t, base); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
			if left := names(t, dir); len(left) > 1 || len(left) == 1 && left[0] != "report" {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestDemo_refuses(t *testing.T) {
	base := shoptest.Dir(t)
	foreign := filepath.Join(base, "foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	dear := filepath.Join(foreign, "dear")
	if err := os.WriteFile(dear, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args       []string
		prepare    func(t *testing.T)
		code       recovery.Exit
		says, next string
	}{
		"somebody's directory": {[]string{"--dir", foreign}, nil, recovery.Refused, "is not empty", "--dir"},
		"a file":               {[]string{"--dir", dear}, nil, recovery.Usage, "not a directory", "--dir"},
		"not to be written":    {[]string{"--dir", "/proc/demo"}, nil, recovery.Usage, "/proc/demo", "--dir"},
		"stop without a name":  {[]string{"--stop"}, nil, recovery.Usage, "which demo", "--dir DIR"},
		"stop elsewhere":       {[]string{"--stop", "--dir", foreign}, nil, recovery.Usage, "no demo", "directory"},
		"stop and keep":        {[]string{"--stop", "--keep", "--dir", foreign}, nil, recovery.Usage, "keep", "--help"},
		"no PostgreSQL": {[]string{"--dir", filepath.Join(base, "new")}, func(t *testing.T) { t.Setenv("COMEBACK_PG_BIN", t.TempDir()) },
			recovery.Usage, "PostgreSQL", "COMEBACK_PG_BIN"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.prepare != nil {
				c.prepare(t)
			}
			got := newRig(t).run(t.Context(), append([]string{"demo"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.err, c.says) || !strings.Contains(got.err, "next: ") || !strings.Contains(got.err, c.next) {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
	if b, err := os.ReadFile(dear); err != nil || string(b) != "dear" {
		t.Errorf("somebody's file: %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(base, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made in vain: %v", err)
	}
}
