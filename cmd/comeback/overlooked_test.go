package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// asSecond goes on as somebody else than root, to whom files belong that nobody else may
// use: for what is asked of the kernel about access, and in this goroutine alone, whose
// thread ends with it.
func asSecond(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if os.Geteuid() != 0 {
		return
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, ^uintptr(0), ^uintptr(0)); errno != 0 {
		t.Fatal(errno)
	}
}

// Where this host's runs are in a place that the second responder cannot use, "no runs" is
// not the whole answer.
func TestRuns_overlooked(t *testing.T) {
	asSecond(t)
	shared, state := t.TempDir(), t.TempDir()
	if err := os.Chown(shared, -1, 4); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	if err := os.Chmod(shared, 0o070|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]os.FileMode{filepath.Dir(state): 0o755, state: 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(shared, 0o700) // or it cannot be removed
	environ := map[string]string{"XDG_STATE_HOME": state, "HOME": state, "USER": "ops2"}
	run := func(shared string, args ...string) output {
		var out, said bytes.Buffer
		r := rig{state: state, environ: environ}
		a := r.app(&out, &said)
		a.shared = shared
		code := a.run(t.Context(), args)
		return output{code, out.String(), said.String()}
	}
	told := "comeback: runs in " + shared + " are not seen here: "
	for _, c := range []struct {
		args []string
		code recovery.Exit
	}{{[]string{"runs"}, recovery.CameBack}, {[]string{"attach"}, recovery.Usage}, {[]string{"attach", "7c31"}, recovery.Usage}, {[]string{"status", "7c31"}, recovery.Usage}} {
		got := run(shared, c.args...)
		got.has(t, c.code, told, "may not write there", "  next: use sudo")
		if strings.Count(got.err, told) != 1 || strings.Contains(got.out, told) {
			t.Errorf("%v: %q", c.args, got.err)
		}
		if os.Geteuid() == 0 && !strings.Contains(got.err, "join its group (sudo usermod -aG adm ") {
			t.Errorf("the group is not named: %q", got.err)
		}
		for _, other := range []string{state, filepath.Join(state, "none"), ""} {
			if got := run(other, c.args...); strings.Contains(got.err, "are not seen here") {
				t.Errorf("with %q: %s", other, got.err)
			}
		}
	}
	if err := (&app{host: host{lookup: func(string) (string, bool) { return "/elsewhere", true }, shared: shared}}).overlooked(); err != nil {
		t.Errorf("another place was chosen: %v", err)
	}
}
