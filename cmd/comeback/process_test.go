package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// process is comeback in a process of its own, without a terminal.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   bytes.Buffer
}

// process starts a command, of a program that the race detector does not watch (see
// child_race_test.go); it dies with the test.
func (r *rig) process(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(executable(), args...)}
	p.cmd.Env = append(r.env(), "COMEBACK_TEST_MAIN=1")
	p.cmd.Stderr = &p.err
	if r.environ[bootEnv]+r.environ[bindEnv]+r.environ[hostEnv] != "" {
		p.cmd.SysProcAttr = namespaces()
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	p.lines.Buffer(nil, 16<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.signal(syscall.SIGKILL)
			p.ends()
		}
	})
	return p
}

// until reads what it prints up to a line that holds text.
func (p *process) until(text string) string {
	p.t.Helper()
	var said []string
	for p.lines.Scan() {
		said = append(said, p.lines.Text())
		if strings.Contains(p.lines.Text(), text) {
			return p.lines.Text()
		}
	}
	p.cmd.Wait()
	p.t.Fatalf("it ended without saying %q:\n%s\n%s", text, strings.Join(said, "\n"), p.err.String())
	return ""
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for its end and gives its exit code and what else it has said.
func (p *process) ends() (code int, said string) {
	var b strings.Builder
	for p.lines.Scan() {
		b.WriteString(p.lines.Text() + "\n")
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), b.String() + p.err.String()
}

// stateOf is what a run's journal folds to now.
func (r *rig) stateOf(t *testing.T, id string) recovery.State {
	t.Helper()
	p, err := (runner.Home{Dir: r.state}).Load(id)
	if err == nil {
		err = p.Problem
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.State
}
