package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/said"
)

// grace is how long a program may take to end when it is asked to.
const grace = 10 * time.Second

// commander runs the programs that read a source.
type commander struct{ redact func(string) string }

// run runs a program in a process group of its own, with the environment that it
// is given and nothing else, and ends it with ctx. An error has its last words,
// redacted.
func (c commander) run(ctx context.Context, cmd recovery.Cmd) error {
	p := exec.CommandContext(ctx, cmd.Path, cmd.Args...)
	last := &said.Last{Most: maxWords}
	p.Dir, p.Env, p.Stdin, p.Stdout, p.Stderr = cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, last
	if cmd.Stderr != nil {
		p.Stderr = io.MultiWriter(last, cmd.Stderr)
	}
	if p.Env == nil {
		p.Env = []string{}
	}
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGTERM) }
	p.WaitDelay = grace
	err := isolation.RunGroup(p, nil)
	name := filepath.Base(cmd.Path)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s was stopped: %w", name, context.Canceled)
	case last.Words() != "":
		return fmt.Errorf("%s (%w)", c.redact(last.Words()), err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// maxWords bounds what an error repeats of a program's words.
const maxWords = 2 << 10
