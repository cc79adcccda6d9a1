package postgres

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// process is a server that is our direct child. It is in a process group of
// its own, so that a signal to ours does not reach it, and the kernel sends it
// SIGINT, a fast shutdown, when we die.
type process struct {
	pid      int
	isolated bool
	exited   chan struct{} // closed when it is reaped and its output read
	err      error         // how it exited, valid after exited
}

// Boxer is an Env that says what scratch servers are shut into.
type Boxer interface{ Box() isolation.Box }

// box is what the cluster's server is shut into: whatever env says, it reaches
// its data and its socket. It keeps the host's processes in sight and its shared
// memory: by them PostgreSQL notices that another server has the data.
func (c Cluster) box(env recovery.Env) (isolation.Box, error) {
	box := isolation.Box{Keep: []string{filepath.Dir(c.Data)}}
	if b, ok := env.(Boxer); ok {
		box = b.Box()
	}
	box.Keep = append(slices.Clip(box.Keep), c.Data, c.Socket)
	box.Processes = false
	var err error
	if box.Cgroup, err = isolation.MakeCgroup(cgroupOf(c.Data)); err != nil && !errors.Is(err, isolation.ErrNoCgroup) {
		return isolation.Box{}, err
	}
	return box, nil
}

// cgroupOf is the name of the control group of a data directory's server. The functions of
// a restored database can start programs that outlive the server, as its user.
func cgroupOf(data string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(data)))
	return "comeback-" + hex.EncodeToString(sum[:8])
}

// startProcess starts a program in a box, whose standard error and output go to
// line, a line at a time. Where the host gives no box it runs without one.
//
// The parent-death signal belongs to an OS thread: one goroutine starts the
// child and keeps its thread until the child is gone.
func startProcess(box isolation.Box, path string, args, env []string, user *recovery.User, line func(string)) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	command := func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env, cmd.Dir = env, "/"
		cmd.Stdout, cmd.Stderr = w, w
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
		if user != nil {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user.UID), Gid: uint32(user.GID)}
		}
		return cmd
	}
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	go isolation.OnThread(func() {
		cmd := command()
		err := box.Start(cmd)
		p.isolated = err == nil
		if errors.Is(err, recovery.ErrNoIsolation) {
			cmd = command()
			err = cmd.Start()
		}
		w.Close()
		if err != nil {
			r.Close()
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		read := make(chan struct{})
		go func() {
			defer close(read)
			readLines(r, line)
		}()
		started <- nil
		p.err = cmd.Wait()
		// Orphans of a killed server may hold the pipe for a moment longer.
		select {
		case <-read:
		case <-time.After(lastWords):
			_ = r.SetReadDeadline(time.Unix(1, 0)) // a pipe always has deadlines
			<-read
		}
		r.Close()
		close(p.exited)
	})
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// lastWords is how long the output of a server's orphans is waited for.
const lastWords = 2 * time.Second

// readLines calls line for each line of r. Lines longer than a buffer come in
// pieces; nothing that a server prints can fill the memory.
func readLines(r io.Reader, line func(string)) {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		text, _, err := b.ReadLine()
		if err != nil {
			return // the end, or the deadline for orphans
		}
		line(string(text))
	}
}

// signal sends a signal to the process alone.
func (p *process) signal(s syscall.Signal) {
	// It may be gone already, and its pid cannot be another's before it is
	// reaped, after which exited is closed.
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(p.pid, s)
	}
}

// stop shuts a server down: fast, then at once, then by force.
func (p *process) stop(ctx context.Context) error {
	for _, try := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastShutdown}, {syscall.SIGQUIT, immediateShutdown}, {syscall.SIGKILL, immediateShutdown}} {
		p.signal(try.signal)
		timer := time.NewTimer(try.wait)
		select {
		case <-p.exited:
			timer.Stop()
			return nil
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop() // no time for a polite shutdown: go on to force
		}
	}
	return errors.New("the server does not end, not even by force")
}

// How long the ways to shut down may take.
const (
	fastShutdown      = 60 * time.Second
	immediateShutdown = 10 * time.Second
)

func exitWords(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.String()
	}
	if err != nil {
		return fmt.Sprint(err)
	}
	return "exit status 0"
}
