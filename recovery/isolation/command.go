package isolation

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"time"

	"comeback/recovery"
)

// usualGrace is how long a program may take to end when it is asked to.
const usualGrace = 10 * time.Second

// Command makes a program that runs on this host as every program of ours does: in a process
// group of its own, with the environment that it is given and nothing else, as the user that
// it is given. When ctx ends the group is asked to end, and the program is killed after its
// grace. It dies with the thread that starts it, and so must be started by [Run], [RunGroup]
// or, in a box, on a thread of [OnThread].
//
// Where it says nothing of its output there is none: whoever runs it may set that, too.
func Command(ctx context.Context, c recovery.Cmd) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be this process's own
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.User != nil && c.User.UID >= 0 && c.User.UID != os.Getuid() {
		cmd.SysProcAttr.Credential = Credential(*c.User)
	}
	EndBy(cmd, syscall.SIGTERM)
	if cmd.WaitDelay = c.Grace; c.Grace == 0 {
		cmd.WaitDelay = usualGrace
	}
	return cmd
}

// EndBy has a program's group asked to end by another signal than SIGTERM.
func EndBy(cmd *exec.Cmd, s syscall.Signal) {
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, s) }
}

// Run is [RunGroup] of a program whose errors, and whose log, are taken as fast as they come:
// that a daemon lives on and keeps those open is no failure of a program that has ended well.
func Run(cmd *exec.Cmd) error {
	err := RunGroup(cmd, nil)
	if err == exec.ErrWaitDelay { // by itself, and not beside what could not be ended
		return nil
	}
	return err
}
