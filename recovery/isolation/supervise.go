package isolation

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// supervise is the first process of a process namespace: it starts the program
// in a process group of its own, passes on to it what asks it to end, and takes
// off the list whatever dies. When the program has ended it ends with the same
// code, and the kernel kills everything that the program left behind.
//
// It returns only why there is no program.
func (o orders) supervise(path string, args []string, report *os.File) error {
	group := &syscall.SysProcAttr{Setpgid: true}
	if o.Terminal {
		group = &syscall.SysProcAttr{Setsid: true, Setctty: true} // and so a group
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	// Other threads than this one still have their capabilities: no program of
	// the box may look into or trace this process.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the init: %w", err)
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Dir: o.Dir, Env: os.Environ(),
		Files: []uintptr{0, 1, 2}, Sys: group})
	if err != nil {
		return fmt.Errorf("%w: %w", errProgram, &os.PathError{Op: "exec", Path: path, Err: err})
	}
	report.Close()
	if o.Door > 0 {
		go serveDoor(o.Door)
	}
	go func() {
		for s := range signals {
			// It may be gone already, which is what was asked for.
			_ = syscall.Kill(-pid, s.(syscall.Signal))
		}
	}()
	for {
		var status syscall.WaitStatus
		died, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR || err == nil && died != pid:
			continue
		case err != nil:
			syscall.Exit(broken)
		case status.Signaled():
			syscall.Exit(128 + int(status.Signal()))
		}
		// Not os.Exit: nothing here is to be run first.
		syscall.Exit(status.ExitStatus())
	}
}
