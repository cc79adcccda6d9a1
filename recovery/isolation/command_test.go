package isolation

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
)

// A program has the environment that it is given and nothing of this process's, and is the
// leader of a group.
func TestCommand(t *testing.T) {
	t.Setenv("COMEBACK_OF_THE_PARENT", "1")
	for _, env := range [][]string{nil, {}, {"A=b"}} {
		var out bytes.Buffer
		err := Run(Command(t.Context(), recovery.Cmd{Path: "/usr/bin/env", Dir: "/", Env: env, Stdout: &out}))
		if got := strings.Fields(out.String()); err != nil || strings.Join(got, " ") != strings.Join(env, " ") {
			t.Errorf("with %q it has %q, %v", env, got, err)
		}
	}
	var out bytes.Buffer
	err := Run(Command(t.Context(), recovery.Cmd{Path: "/bin/sh", Args: []string{"-c", "read -r pid name state parent group rest < /proc/self/stat; echo $$ $group"}, Stdout: &out}))
	if pid, group, _ := strings.Cut(strings.TrimSpace(out.String()), " "); err != nil || pid == "" || pid != group {
		t.Errorf("process %s is of the group %s, %v", pid, group, err)
	}
}

// When the context ends, the group is asked by the signal that is wanted; who does not hear it
// is killed after the grace, with all that it has started.
func TestCommand_ended(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		signal syscall.Signal
		code   int // of a program that hears it
	}{
		"it is asked":                  {script: "trap 'exit 7' TERM; echo ready; while :; do read -r line; done", code: 7},
		"it is asked by another":       {script: "trap 'exit 8' INT; echo ready; while :; do read -r line; done", signal: syscall.SIGINT, code: 8},
		"it does not hear":             {script: "trap '' TERM; sleep 600 & echo ready; wait; wait"},
		"it is killed without a delay": {script: "trap '' TERM; sleep 600 & echo ready; wait; wait", signal: syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			never, writes, err := os.Pipe() // a script that reads waits without a program
			if err != nil {
				t.Fatal(err)
			}
			defer writes.Close()
			defer never.Close()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			cmd := Command(ctx, recovery.Cmd{Path: "/bin/bash", Args: []string{"-c", fmt.Sprintf("exec 9<>%q; ", fifo) + test.script}, Env: []string{"PATH=/usr/bin:/bin"},
				Stdin: never, Stdout: w, Grace: 100 * time.Millisecond})
			if test.signal != 0 {
				EndBy(cmd, test.signal)
			}
			ended := make(chan error, 1)
			go func() {
				err := Run(cmd)
				w.Close()
				ended <- err
			}()
			if line, err := bufio.NewReader(r).ReadString('\n'); err != nil {
				t.Fatalf("it says %q, %v, and ends: %v", line, err, <-ended)
			}
			end()
			err = <-ended
			var exit *exec.ExitError
			if test.code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != test.code) || err == nil {
				t.Errorf("it ended with %v", err)
			}
			// Nobody has the pipe open for reading any more.
			if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				f.Close()
				t.Error("what it started is still there")
			}
		})
	}
}

// A daemon that keeps the output open is no failure of the program that has left it.
func TestRun_daemon(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // its end is the daemon's
	var out bytes.Buffer
	script := `setsid -f /bin/sh -c 'read -r line'; echo done`
	if err := Run(Command(t.Context(), recovery.Cmd{Path: "/bin/bash", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Stdin: r, Stdout: &out, Grace: 100 * time.Millisecond})); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if out.String() != "done\n" {
		t.Errorf("it says %q", &out)
	}
}

// slow takes nothing before it is let.
type slow struct {
	let <-chan struct{}
	got bytes.Buffer
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.let
	return s.got.Write(p)
}

// What a program has written comes whole, also where whoever reads it takes none of it until
// long after the program, and its grace, have ended.
func TestRun_slowReader(t *testing.T) {
	const size = 60_000 // the pipe holds it
	for name, start := range map[string]func(*exec.Cmd) error{
		"run":   Run,
		"group": func(cmd *exec.Cmd) error { return RunGroup(cmd, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			let := make(chan struct{})
			out := &slow{let: let}
			const grace = time.Millisecond
			cmd := Command(t.Context(), recovery.Cmd{Path: "/usr/bin/head", Args: []string{"-c", strconv.Itoa(size), "/dev/zero"}, Stdout: out, Grace: grace})
			ran := make(chan error, 1)
			go func() { ran <- start(cmd) }()
			time.AfterFunc(200*grace, func() { close(let) }) // the grace is a span of time, and this a longer one
			if err := <-ran; err != nil || out.got.Len() != size {
				t.Errorf("%d bytes came of %d, %v", out.got.Len(), size, err)
			}
		})
	}
}

// What cannot be taken any more ends the program, and is why it failed.
func TestRun_refusingReader(t *testing.T) {
	full := errors.New("the disk is full")
	err := Run(Command(t.Context(), recovery.Cmd{Path: "/bin/sh", Args: []string{"-c", "trap '' PIPE; echo one; exit 0"}, Stdout: refusing{full}, Env: []string{"PATH=/usr/bin:/bin"}}))
	if !errors.Is(err, full) {
		t.Errorf("it ended with %v", err)
	}
	if err := Run(Command(t.Context(), recovery.Cmd{Path: "/usr/bin/yes", Stdout: refusing{full}})); err == nil {
		t.Error("it goes on for ever and ended well")
	}
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }
