// Package isolation starts programs that cannot reach a network: in a network
// namespace of their own, with nothing but loopback.
//
// Namespaces, and the signal that a child gets when its parent dies, belong to
// an OS thread. A program is therefore started on a thread of its own that
// lives as long as the program and ends with it: [OnThread], and on it
// [Network] before the start. The package never starts anything by itself but
// to see whether it can.
package isolation

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// OnThread runs f on an OS thread that ends with it, and returns when f does.
// The process's first thread is spared: it cannot end, and /proc shows it as
// the process.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			// While this goroutine holds the first thread, another one is
			// given another.
			OnThread(f)
			runtime.UnlockOSThread()
			close(done)
			return
		}
		defer close(done)
		f() // stays locked: the runtime ends the thread
	}()
	<-done
}

// Network arranges for cmd to start in a network namespace with nothing but
// loopback. As root the calling thread, which must be one of OnThread's, moves
// into one and brings its loopback up. An unprivileged user gets a user
// namespace around the program, in which loopback stays down; whether the host
// allows that shows when cmd starts. The error is recovery.ErrNoIsolation with
// the kernel's words.
func Network(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w: %w", recovery.ErrNoIsolation, err)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("%w: raise loopback: %w", recovery.ErrNoIsolation, err)
	}
	return nil
}

// Available says why this host gives no namespace, by trying; nil if it does.
func Available() error {
	var err error
	OnThread(func() {
		cmd := exec.Command("/bin/true")
		if err = Network(cmd); err == nil {
			if run := cmd.Run(); run != nil {
				err = fmt.Errorf("%w: %w", recovery.ErrNoIsolation, run)
			}
		}
	})
	return err
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
