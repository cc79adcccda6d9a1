package live_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// env is an Env for tests of this package: real commands, whose arguments and
// lines are remembered.
type env struct {
	mu    sync.Mutex
	said  []string
	items int64
}

func (e *env) say(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, fmt.Sprintf(format, args...))
}

// everything is what a log, a journal or a list of processes would show.
func (e *env) everything() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.said, "\n")
}

func (e *env) Store(context.Context, string) (storage.Store, error) {
	return nil, fmt.Errorf("no copies here")
}
func (e *env) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{}, fmt.Errorf("no target here")
}
func (e *env) Claim(context.Context, recovery.Resource) error { return nil }
func (e *env) Held() []recovery.Resource                      { return nil }
func (e *env) Meter() recovery.Meter                          { return e }
func (e *env) Command(ctx context.Context, c recovery.Cmd) error {
	e.say("%s %s", c.Path, strings.Join(c.Args, " "))
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, &stderr
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, &stderr)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.User != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
func (e *env) Binding(string) (recovery.Binding, bool)      { return recovery.Binding{}, false }
func (e *env) Artifact(string) (io.WriteCloser, error)      { return nil, fmt.Errorf("no artifacts here") }
func (e *env) Now() time.Time                               { return time.Now() }
func (e *env) Secret(text string) (string, error)           { return text, nil }
func (e *env) Phase(name string, _ int64, _ recovery.Unit)  { e.say("phase: %s", name) }
func (e *env) Set(int64)                                    {}
func (e *env) Note(text string)                             { e.say("note: %s", text) }
func (e *env) Checkpoint(_ context.Context, t string) error { e.say("checkpoint: %s", t); return nil }
func (e *env) Log(line string)                              { e.say("log: %s", line) }
func (e *env) Add(n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items += n
}

// command is one without an environment of ours.
func command(args []string) recovery.Cmd {
	return recovery.Cmd{Path: args[0], Args: args[1:], Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}}
}
