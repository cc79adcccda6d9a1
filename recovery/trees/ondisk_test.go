package trees

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"comeback/enginetest/killat"
	"comeback/recovery"
)

// swapsIn names the directory in which the test binary is to be a program that makes a
// restored tree live.
const swapsIn = "TREES_TEST_SWAPS_IN"

func TestMain(m *testing.M) {
	dir := os.Getenv(swapsIn)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := swapIn(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func swapIn(dir string) error {
	live := filepath.Join(dir, "uploads")
	a := args{Component: "uploads", Path: live, Beside: filepath.Join(dir, "tree"), Aside: live + ".old-7c31"}
	s := recovery.NewStep("swap", swapName, "make it live", a)
	_, err := swap{}.Do(context.Background(), holdsNothing{}, s)
	return err
}

// A restored tree is on disk, whichever program has written it, before it takes the place of
// what is live: power that is lost after that leaves no empty files there.
func TestSwap_onDiskBefore(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tree(t, filepath.Join(dir, "uploads"), "old")
	tree(t, filepath.Join(dir, "tree"), "new")
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), swapsIn+"="+dir), said, said
	r, err := killat.Run(cmd, killat.Never, syscall.SIGKILL)
	text, errRead := os.ReadFile(said.Name())
	if err := errors.Join(err, errRead, said.Close()); err != nil {
		t.Fatal(err)
	}
	if r.Status.ExitStatus() != 0 || says(filepath.Join(dir, "uploads")) != "new" {
		t.Fatalf("it ended with %d, live is %q\n%s", r.Status.ExitStatus(), says(filepath.Join(dir, "uploads")), text)
	}
	synced, named := slices.Index(r.Calls, "syncfs"), slices.Index(r.Calls, "name a file")
	if synced < 0 || named < synced {
		t.Errorf("it is not on disk before the exchange: %q", r.Calls)
	}
}
