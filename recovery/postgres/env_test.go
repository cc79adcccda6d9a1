package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// env is an Env for tests of this package: real commands, and claims that are
// remembered.
type env struct {
	t      *testing.T
	mu     sync.Mutex
	claims []recovery.Resource
	lines  []string
}

func (e *env) Store(context.Context, string) (storage.Store, error) {
	return nil, fmt.Errorf("this package reads no copy")
}
func (e *env) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{}, fmt.Errorf("no target here")
}
func (e *env) Claim(_ context.Context, r recovery.Resource) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := os.Lstat(r.ID); err == nil && !e.claimed(r.ID) {
		return fmt.Errorf("%s exists before it is claimed", r.ID)
	}
	e.claims = append(e.claims, r)
	return nil
}
func (e *env) claimed(id string) bool {
	for _, r := range e.claims {
		if r.ID == id {
			return true
		}
	}
	return false
}
func (e *env) Meter() recovery.Meter { return e }
func (e *env) Command(ctx context.Context, c recovery.Cmd) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, &stderr
	if c.User != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
func (e *env) Binding(string) (recovery.Binding, bool)  { return recovery.Binding{}, false }
func (e *env) Artifact(string) (io.WriteCloser, error)  { return nil, fmt.Errorf("no artifacts here") }
func (e *env) Now() time.Time                           { return time.Now() }
func (e *env) Secret(text string) (string, error)       { return text, nil }
func (e *env) Held() []recovery.Resource                { return nil }
func (e *env) Phase(string, int64, recovery.Unit)       {}
func (e *env) Add(int64)                                {}
func (e *env) Set(int64)                                {}
func (e *env) Note(string)                              {}
func (e *env) Checkpoint(context.Context, string) error { return nil }
func (e *env) Log(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, line)
}

// cluster is a cluster that is not yet made, in a directory that servers can
// reach; it is released when the test ends, and proven gone.
func cluster(t *testing.T) (*env, postgres.Cluster) {
	t.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "comeback-postgres-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	c := postgres.Cluster{Data: filepath.Join(dir, "data"), Owner: owner, Tools: tools}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return &env{t: t}, c
}

// within bounds a test's waiting.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// running is a cluster with its server.
func running(t *testing.T, settings map[string]string) (*env, *postgres.Server) {
	t.Helper()
	ctx := within(t)
	e, c := cluster(t)
	if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(settings); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Start(ctx, e, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	return e, s
}
