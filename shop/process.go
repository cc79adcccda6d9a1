package shop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// environ is the whole environment of every program that a shop runs.
var environ = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/"}

// program is one run of a program to its end.
type program struct {
	path    string
	args    []string
	asOwner bool // as the server's user, who owns the cluster
	stdin   io.Reader
	stdout  io.Writer
	env     []string // besides environ
}

// run runs a program in a process group of its own, so that ctrl-c on the
// terminal does not reach it before ctx does. It dies with this process. An
// error carries the program's last words.
func (s *Shop) run(ctx context.Context, p program) error {
	// A parent-death signal is that of the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = "/", append(environ[:len(environ):len(environ)], p.env...), p.stdin, p.stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = s.attributes(p.asOwner, syscall.SIGKILL)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		words := strings.TrimSpace(stderr.String())
		if words == "" {
			words = err.Error()
		}
		return fmt.Errorf("%s: %s", filepath.Base(p.path), words)
	}
	return nil
}

func (s *Shop) attributes(asOwner bool, death syscall.Signal) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
	if asOwner && s.Owner.UID >= 0 {
		a.Credential = &syscall.Credential{Uid: uint32(s.Owner.UID), Gid: uint32(s.Owner.GID)}
	}
	return a
}

// process is the shop's server, our child.
type process struct {
	pid    int
	exited chan struct{} // closed when it is gone
	err    error         // how it ended, valid after exited
}

// startProcess starts the server. One goroutine keeps the thread that started
// it until it is gone, because the kernel ends the server with that thread.
func (s *Shop) startProcess() (*process, error) {
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.Command(s.Tools.Program("postgres"), "-D", s.Cluster())
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environ, log, log
		cmd.SysProcAttr = s.attributes(true, syscall.SIGQUIT)
		err := cmd.Start()
		log.Close()
		if err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the shop's server: %w", err)
	}
	return p, nil
}

// stop ends the server politely, then at once, then by force, and returns when
// it is gone.
func (p *process) stop() error {
	for _, try := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}} {
		select {
		case <-p.exited: // its number may be another's by now
			return nil
		default:
			_ = syscall.Kill(p.pid, try.signal) // gone already is as good
		}
		timer := time.NewTimer(try.wait)
		select {
		case <-p.exited:
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	return errors.New("stop the shop's server: it does not end, not even by force")
}
