package killat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"comeback/enginetest/killat"
)

// TestMain lets the test binary be a program that makes two files.
func TestMain(m *testing.M) {
	dir := os.Getenv("KILLAT_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	for _, name := range []string{"one", "two"} {
		temp := filepath.Join(dir, name+".temp")
		if os.WriteFile(temp, []byte(name), 0o600) != nil || exec.Command("true").Run() != nil || os.Rename(temp, filepath.Join(dir, name)) != nil {
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// A program is killed before the call that is asked for, and at no other.
func TestRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(at int) (killat.Result, []string) {
		t.Helper()
		dir := t.TempDir()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "KILLAT_TEST_DIR="+dir)
		r, err := killat.Run(cmd, at, syscall.SIGKILL)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil {
			t.Fatal(err)
		}
		return r, names
	}
	whole, names := run(killat.Never)
	if !whole.Status.Exited() || whole.Status.ExitStatus() != 0 || !slices.Equal(names, []string{"one", "two"}) {
		t.Fatalf("%v, %v", whole, names)
	}
	if len(whole.Calls) < 8 {
		t.Fatalf("it makes the calls %q", whole.Calls)
	}
	for i, call := range whole.Calls {
		r, names := run(i + 1)
		if !r.Status.Signaled() || len(r.Calls) < i+1 {
			t.Errorf("at %d: %v after %q", i+1, r.Status, r.Calls)
		}
		if i == 0 && len(names) > 0 || call == "name a file" && len(names) > 1 && slices.Contains(names, "two") {
			t.Errorf("killed before call %d, %q, it has made %v", i+1, call, names)
		}
	}
}
