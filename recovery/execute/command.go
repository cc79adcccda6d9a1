package execute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// tailLines is how many of a program's last lines an error carries.
const tailLines = 5

// Command runs a program in a process group of its own. When ctx ends the group
// is asked to end and, after its grace, killed; when this process dies, so does
// the program.
func (e *env) Command(ctx context.Context, c recovery.Cmd) error {
	tail := &tailWriter{}
	log := &lineWriter{line: func(l string) { e.meter.Log(l) }}
	stdout, stderr := c.Stdout, c.Stderr
	if stdout == nil {
		stdout = log
	}
	if stderr == nil {
		stderr = log
	}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, stdout, io.MultiWriter(stderr, tail)
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.User != nil && c.User.UID >= 0 && c.User.UID != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}
	}
	if c.Isolated {
		// Its own process namespace ends with it, so that nothing that it
		// started in the background outlives it, even where we are killed.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	grace := c.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	cmd.WaitDelay = grace

	err := runOnOwnThread(cmd, c.Isolated)
	log.flush()
	// A program that ended may have left children in its group.
	if cmd.Process != nil {
		if kill := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); kill != nil && !errors.Is(kill, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("end the children of %s: %w", filepath.Base(c.Path), kill))
		}
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s was stopped: %w", filepath.Base(c.Path), context.Canceled)
	}
	if errors.Is(err, recovery.ErrNoIsolation) {
		return err
	}
	if words := e.x.Secrets.Redact(tail.String()); words != "" {
		return fmt.Errorf("%s: %s (%w)", filepath.Base(c.Path), words, err)
	}
	return fmt.Errorf("%s: %w", filepath.Base(c.Path), err)
}

// runOnOwnThread runs cmd from a thread that lives as long as it does: the
// kernel sends the parent-death signal when the *thread* that started the child
// ends.
func runOnOwnThread(cmd *exec.Cmd, isolated bool) (err error) {
	isolation.OnThread(func() {
		if isolated {
			if err = isolation.Network(cmd); err != nil {
				return
			}
		}
		if err = cmd.Start(); err == nil {
			err = cmd.Wait()
		} else if isolated {
			err = fmt.Errorf("%w: %w", recovery.ErrNoIsolation, err)
		}
	})
	return err
}

// lineWriter gives whole lines to line.
type lineWriter struct {
	line func(string)
	rest []byte
}

// maxLine is where a line without an end is broken, so that a program that
// never ends one cannot fill memory.
const maxLine = 64 << 10

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		switch {
		case i >= 0:
			w.line(string(w.rest[:i]))
			w.rest = w.rest[i+1:]
		case len(w.rest) > maxLine:
			w.line(string(w.rest))
			w.rest = nil
		default:
			return len(b), nil
		}
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}

// tailWriter keeps the last lines.
type tailWriter struct{ buf []byte }

func (w *tailWriter) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	if len(w.buf) > 16<<10 {
		w.buf = append([]byte(nil), w.buf[len(w.buf)-8<<10:]...)
	}
	return len(b), nil
}

func (w *tailWriter) String() string {
	lines := strings.Split(strings.TrimSpace(string(w.buf)), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return strings.Join(lines, "; ")
}
