package execute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"comeback/recovery"
)

const (
	// callTime is how long the runbook's notify command may take.
	callTime = 30 * time.Second
	// lastCall is how long the end of a run waits for one under way.
	lastCall = 3 * time.Second
)

// calls are the notify commands under way.
type calls struct {
	sync.WaitGroup
	ctx context.Context
	end context.CancelFunc
}

func newCalls() calls {
	ctx, end := context.WithCancel(context.Background())
	return calls{ctx: ctx, end: end}
}

// endCalls waits for the commands under way, for a moment only.
func (x *Executor) endCalls() {
	timer := time.AfterFunc(lastCall, x.calls.end)
	defer timer.Stop()
	x.calls.Wait()
}

// call runs the runbook's notify command, because the run waits for a person.
// How it went is journaled; the run does not wait for it.
func (x *Executor) call(w recovery.Waiting) {
	if len(x.Plan.Notify) == 0 {
		return
	}
	about := "waits for " + string(w.For)
	if st := x.state.Step(w.Step); st != nil {
		about = fmt.Sprintf("%s: waits for %s", st.Says, w.For)
	}
	x.calls.Go(func() {
		n := recovery.Notified{About: about}
		if err := x.notify(x.calls.ctx, "waits", about); err != nil {
			n.Error = x.Secrets.Redact(err.Error())
		}
		x.note(n)
	})
}

// CallEnded runs the runbook's notify command because the run has ended, when its report is
// written and others may take what it held: nothing waits for a command that hangs, and
// whoever is called finds the report. The journal is closed by then: how this goes can be
// seen and is not recorded.
func (x *Executor) CallEnded() {
	s := x.State()
	if len(x.Plan.Notify) == 0 || s.Result == "" {
		return
	}
	text := fmt.Sprintf("%s of %s, run %s: %s", x.Plan.Mode, x.Plan.System, x.Plan.Run, s.Says)
	if err := x.notify(context.Background(), "ended", text); err != nil && x.Sample != nil {
		x.Sample(recovery.Sample{At: x.Now(), Lines: []string{"the notify command failed: " + x.Secrets.Redact(err.Error())}})
	}
}

// notify runs the command with what has happened in its environment:
// COMEBACK_EVENT ("waits" or "ended"), COMEBACK_TEXT, COMEBACK_RUN,
// COMEBACK_SYSTEM, COMEBACK_MODE, and the variables that the runbook needs.
func (x *Executor) notify(ctx context.Context, event, text string) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	words := x.Plan.Notify
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"COMEBACK_EVENT=" + event, "COMEBACK_TEXT=" + text, "COMEBACK_RUN=" + x.Plan.Run,
		"COMEBACK_SYSTEM=" + x.Plan.System, "COMEBACK_MODE=" + string(x.Plan.Mode)}
	if home, err := os.UserHomeDir(); err == nil {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	for name := range x.Plan.Needs {
		if v, ok := x.Secrets.value(name); ok {
			x.Secrets.hide(v)
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	tail := &tailWriter{}
	cmd.Stdout, cmd.Stderr = tail, tail
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch said := strings.TrimSpace(tail.String()); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // what it left behind still holds its output
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s did not end in time", words[0])
	case said != "":
		return fmt.Errorf("%s: %s (%w)", words[0], said, err)
	}
	return fmt.Errorf("%s: %w", words[0], err)
}
