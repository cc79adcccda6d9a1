package isolation

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dying is how long what was killed may take to be gone. Longer takes only what
// waits in the kernel for a disk or a file server that does not answer.
const dying = 10 * time.Second

// RunGroup starts a program that is the leader of a process group of its own, by
// start or by itself where that is nil, and waits for it. When it has ended,
// whatever is left of its group is killed and is gone before RunGroup returns. It
// does all that on a thread that lives as long as the program: the kernel sends
// the parent-death signal when the thread that started the child ends.
//
// When RunGroup returns, all that the program wrote to its standard output has been taken,
// however slowly that is read.
func RunGroup(cmd *exec.Cmd, start func() error) error {
	if start == nil {
		start = cmd.Start
	}
	out, err := outletOf(cmd)
	if err != nil {
		return err
	}
	OnThread(func() {
		err = start()
		if out.started(); err != nil {
			return
		}
		left := endGroup(cmd.Process.Pid)
		if err = cmd.Wait(); left != nil {
			err = errors.Join(err, left)
		}
	})
	return out.wait(err)
}

// endGroup waits until the leader of a process group has ended, kills the rest
// of the group and waits until it is gone. The leader is not taken off the list
// before, so that the number cannot be another group's.
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
	// From here on nobody joins the group: who is to be killed cannot fork.
	left, err := members(leader)
	if err != nil {
		return fmt.Errorf("look for what process %d left: %w", leader, err)
	}
	deadline := time.Now().Add(dying)
	for _, pid := range left {
		if err := awaitEnd(pid, leader, deadline); err != nil {
			return fmt.Errorf("end what process %d left: process %d: %w", leader, pid, err)
		}
	}
	return nil
}

// members lists the processes of a group that have not ended, without its leader.
func members(leader int) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == leader {
			continue
		}
		if isMember(pid, leader) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// isMember says whether a process has not ended and is of the leader's group.
func isMember(pid, leader int) bool {
	s, ok := readStat(pid)
	return ok && s.group == leader && !s.ended()
}

// awaitEnd waits until a process of the leader's group has ended.
func awaitEnd(pid, leader int, deadline time.Time) error {
	p, err := OpenProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	if !isMember(pid, leader) {
		return nil // it has ended, and the number may be another's
	}
	return p.dies(deadline)
}
