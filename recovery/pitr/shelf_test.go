package pitr

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"comeback/recovery/pitr/walfetch"
)

// A server asks for its first segment. The others lie ready, in order, and it
// takes them without any program of ours; as it does, further ones come.
func TestShelf_Taken(t *testing.T) {
	l := source.get(t)
	c := l.copy(t, "zstd")
	names := c.segments(t)
	names = names[len(names)-5:]
	f := feeding(t, c, nil)
	f.most = 2
	if code := f.fetch(names[0], restoring); code != walfetch.Fetched {
		t.Fatalf("%s: exit code %d: %v", names[0], code, f.failure())
	}
	for _, name := range names[1:] {
		await(t, f, name)
		take(t, f, name)
		sameFile(t, filepath.Join(l.archive, name), filepath.Join(f.data, restoring))
	}
	// It begins anew, as after a crash: what lies ready is not what comes next.
	if code := f.fetch(names[0], restoring); code != walfetch.Fetched {
		t.Fatalf("again %s: exit code %d: %v", names[0], code, f.failure())
	}
	await(t, f, names[1])
	// The shell looked just before it lay there, and asks.
	if code := f.fetch(names[1], restoring); code != walfetch.Fetched {
		t.Fatalf("asked for %s: exit code %d: %v", names[1], code, f.failure())
	}
	sameFile(t, filepath.Join(l.archive, names[1]), filepath.Join(f.data, restoring))
	await(t, f, names[2])
	// It skips back while segments lie ready.
	if code := f.fetch(names[0], restoring); code != walfetch.Fetched {
		t.Fatalf("back to %s: exit code %d: %v", names[0], code, f.failure())
	}
	await(t, f, names[1])
	take(t, f, names[1])
	sameFile(t, filepath.Join(l.archive, names[1]), filepath.Join(f.data, restoring))
}

// What is not as it must be never lies ready: the server asks, and the step ends.
func TestShelf_Bad(t *testing.T) {
	l := source.get(t)
	c := l.copy(t, "zstd")
	names := c.segments(t)
	names = names[len(names)-4:]
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	c.replace(t, "wal/"+names[2], func(b []byte) []byte { b[24]++; return b })
	f := feedingTo(t, c.store, p, nil)
	if code := f.fetch(names[0], restoring); code != walfetch.Fetched {
		t.Fatalf("%s: exit code %d: %v", names[0], code, f.failure())
	}
	await(t, f, names[1])
	take(t, f, names[1])
	checkFailure(t, f, f.fetch(names[2], restoring), []string{names[2], "belongs to another cluster"})
	lies, err := os.ReadDir(f.ready.dir)
	if err != nil || len(lies) > 0 {
		t.Errorf("behind a bad segment there lie ready %v (%v)", lies, err)
	}
}

// await waits until a segment lies ready.
func await(t *testing.T, f *feeder, name string) {
	t.Helper()
	path := filepath.Join(f.ready.dir, name)
	for {
		if _, err := os.Lstat(path); err == nil {
			return
		}
		if err := t.Context().Err(); err != nil || f.failure() != nil {
			t.Fatalf("%s does not lie ready: %v, %v", name, err, f.failure())
		}
		runtime.Gosched()
	}
}

// take is restore_command where our program cannot be started.
func take(t *testing.T, f *feeder, name string) {
	t.Helper()
	command := strings.NewReplacer("%f", name, "%p", restoring).Replace(restoreCommand)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", command)
	cmd.Dir = f.data
	cmd.Env = []string{shelfEnv + "=" + f.ready.dir, exeEnv + "=/nowhere", "PATH=/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("take %s: %v: %s", name, err, out)
	}
}

func sameFile(t *testing.T, want, got string) {
	t.Helper()
	a, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s is not what was archived", filepath.Base(want))
	}
}
