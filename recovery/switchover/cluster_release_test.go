package switchover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/mounts"
	"comeback/recovery/mounts/mountstest"
	"comeback/recovery/postgres"
)

func plainly(text string) (string, error) { return text, nil }

// A restored directory that did not become live is removed; what was live, or
// anything else that stands at its place, is not.
func TestRemoveRestored(t *testing.T) {
	a, pair, r := besideLive(t)
	data, aside := a.Data, a.Aside
	release := removeRestored{plainly}
	there := func(dir string, want exchange.Identity) {
		t.Helper()
		if got, err := exchange.Identify(dir); got != want || err != nil {
			t.Errorf("%s is %s, %v, want %s", dir, got, err, want)
		}
	}
	// Live: the old one stands at the place, and nothing is to be removed.
	if err := pair.Exchange(); err != nil {
		t.Fatal(err)
	}
	if err := release.Release(t.Context(), r); err != nil {
		t.Error(err)
	}
	there(data, pair.New)
	there(aside, pair.Old)
	// Given back after its users were let in: it is kept.
	for range 2 {
		if err := markOpened(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := pair.Undo(); err != nil {
		t.Fatal(err)
	}
	opened := recovery.Resource{Kind: openedCluster, ID: data, Details: r.Details}
	for range 2 {
		if err := (undoOpenedCluster{plainly}).Release(t.Context(), opened); err != nil {
			t.Fatal(err)
		}
		if err := release.Release(t.Context(), r); err == nil || !strings.Contains(err.Error(), "was open to its users") || recovery.HintOf(err) == "" {
			t.Errorf("error %v", err)
		}
	}
	there(aside, pair.New)
	if err := os.Remove(filepath.Join(aside, openedFile)); err != nil {
		t.Fatal(err)
	}
	// Given back before that: it is removed, and stays so.
	for range 2 {
		if err := release.Release(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	there(data, pair.Old)
	if _, err := os.Lstat(aside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	// A stranger.
	if err := os.Mkdir(aside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := release.Release(t.Context(), r); err == nil || !strings.Contains(err.Error(), "left alone") || recovery.HintOf(err) == "" {
		t.Errorf("a stranger's directory: error %v", err)
	}
	// A record that says too little.
	for _, name := range []string{"data", "aside", "major", "new"} {
		broken := recovery.Resource{Kind: r.Kind, ID: r.ID, Details: map[string]string{}}
		for k, v := range r.Details {
			if k != name {
				broken.Details[k] = v
			}
		}
		if err := release.Release(t.Context(), broken); err == nil {
			t.Errorf("released without %s", name)
		}
	}
	there(data, pair.Old)
}

// besideLive is a restored directory beside a live one, as a run records it.
func besideLive(t *testing.T) (a clusterArgs, pair exchange.Pair, r recovery.Resource) {
	t.Helper()
	parent := t.TempDir()
	data, aside := filepath.Join(parent, "data"), filepath.Join(parent, "data.comeback-7c31")
	var err error
	for _, dir := range []string{data, aside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if pair, err = exchange.Look(data, aside); err != nil {
		t.Fatal(err)
	}
	// Kept before a reboot, when their device was called otherwise.
	was, next := pair.Old, pair.New
	was.Device++
	next.Device++
	old, err := was.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	a = clusterArgs{Data: data, Aside: aside, Major: tools.Major, Old: string(old)}
	a.Address, a.Run = "postgres:///shop", "7c31"
	if r, err = a.resource(restoredDirectory, aside, next); err != nil {
		t.Fatal(err)
	}
	return a, pair, r
}

// What is mounted in a restored directory keeps what it holds.
func TestRemoveRestored_mounted(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	a, _, r := besideLive(t)
	precious := mountstest.Share(t, filepath.Join(a.Aside, "base"))
	err := removeRestored{plainly}.Release(t.Context(), r)
	if _, mounted := errors.AsType[*mounts.Mounted](err); !mounted {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("the share was emptied: %v", err)
	}
}

// A command that hangs ends with all that it has begun.
func TestReleaseEnv_Command(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() {
		ended <- releaseEnv{}.Command(ctx, recovery.Cmd{Path: "/bin/sh", Args: []string{"-c", `sleep 1000 & echo $! >"$1"; echo busy >&2; wait`, "sh", begun}})
	}()
	text, err := os.ReadFile(begun)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("it took too long"))
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "it took too long") {
		t.Errorf("ended with %v", err)
	}
	for t.Context().Err() == nil {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(status), ") Z ") { // gone, or dead and not waited for
			return
		}
		runtime.Gosched()
	}
	t.Errorf("process %d is still there", pid)
}
