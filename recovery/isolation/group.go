package isolation

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunGroup starts a program that is the leader of a process group of its own, by
// start or by itself where that is nil, and waits for it. When it has ended,
// whatever is left of its group is killed. It does all that on a thread that lives
// as long as the program: the kernel sends the parent-death signal when the
// thread that started the child ends.
func RunGroup(cmd *exec.Cmd, start func() error) (err error) {
	if start == nil {
		start = cmd.Start
	}
	OnThread(func() {
		if err = start(); err != nil {
			return
		}
		err = endGroup(cmd.Process.Pid)
		err = errors.Join(cmd.Wait(), err)
	})
	return err
}

// endGroup waits until the leader of a process group has ended and kills the
// rest of the group. The leader is not taken off the list before, so that the
// number cannot be another group's.
func endGroup(leader int) error {
	for {
		err := unix.Waitid(unix.P_PID, leader, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for process %d: %w", leader, err)
		}
		break
	}
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end what process %d left: %w", leader, err)
	}
	return nil
}
