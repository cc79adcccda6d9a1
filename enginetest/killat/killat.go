// Package killat kills a program at any one of the calls by which it changes
// something: those that make, name, remove or write a file, make it durable, send to a
// server, or wait for a program that it has started.
//
// It traces the program, which needs nothing of it; the programs that it starts are not
// traced. What it counts are entries of system calls, so that the call itself is not
// made any more.
package killat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Result is how a traced program went.
type Result struct {
	// Calls are those that it has begun, by what they do: "fsync", "write to a file".
	Calls []string
	// Status is how it ended.
	Status syscall.WaitStatus
}

// Never is a call that no program comes to.
const Never = 0

// Run starts a program, sends it a signal when it is about to make its n-th call, from
// 1 on, and waits for its end. The command must not have been started; what is in
// Stdout and Stderr must be files.
func Run(cmd *exec.Cmd, n int, signal syscall.Signal) (r Result, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // a tracer is a thread
		defer runtime.UnlockOSThread()
		t := tracer{at: n, signal: signal, seen: map[int]bool{}}
		r, err = t.run(cmd)
	}()
	<-done
	return r, err
}

type tracer struct {
	at     int
	signal syscall.Signal
	pid    int
	seen   map[int]bool // threads
	calls  []string
}

func (t *tracer) run(cmd *exec.Cmd) (Result, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace, cmd.SysProcAttr.Setpgid = true, true
	if err := cmd.Start(); err != nil {
		return Result{}, err
	}
	t.pid = cmd.Process.Pid
	defer cmd.Process.Release()
	for begun := false; ; {
		var ws syscall.WaitStatus
		tid, err := syscall.Wait4(-t.pid, &ws, unix.WALL, nil) // its threads and nobody else's
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return Result{}, fmt.Errorf("wait for the traced program: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			if tid == t.pid {
				return Result{Calls: t.calls, Status: ws}, nil
			}
			continue
		}
		if !begun {
			begun = true
			if err := syscall.PtraceSetOptions(tid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
				return Result{}, fmt.Errorf("trace the program: %w", err)
			}
		}
		if err := syscall.PtraceSyscall(tid, t.pass(tid, ws)); err != nil && !errors.Is(err, syscall.ESRCH) {
			return Result{}, fmt.Errorf("let the traced program go on: %w", err)
		}
	}
}

// pass looks at a stopped thread and says with which signal it goes on; 0 is none.
func (t *tracer) pass(tid int, ws syscall.WaitStatus) int {
	first := !t.seen[tid]
	t.seen[tid] = true
	switch s := ws.StopSignal(); {
	case s == syscall.SIGTRAP|0x80:
		if call := t.entered(tid); call != "" {
			t.calls = append(t.calls, call)
			if len(t.calls) == t.at {
				_ = syscall.Kill(t.pid, t.signal) // it is stopped, and so there
			}
		}
		return 0
	case s == syscall.SIGTRAP, s == syscall.SIGSTOP && first:
		return 0
	default:
		return int(s)
	}
}

// entered is the call that a thread is about to make, where it is one that counts.
func (t *tracer) entered(tid int) string {
	var info [88]byte
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || n < 32 || info[0] != unix.PTRACE_SYSCALL_INFO_ENTRY {
		return ""
	}
	arg := func(i int) uint64 { return binary.NativeEndian.Uint64(info[32+8*i:]) }
	switch binary.NativeEndian.Uint64(info[24:]) {
	case unix.SYS_OPENAT:
		if arg(2)&unix.O_CREAT == 0 {
			return ""
		}
		return "make a file"
	case unix.SYS_MKDIRAT:
		return "make a directory"
	case unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return "name a file"
	case unix.SYS_UNLINKAT:
		return "remove a file"
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return "fsync"
	case unix.SYS_SYNCFS:
		return "syncfs"
	case unix.SYS_WAITID:
		return "wait for a program"
	case unix.SYS_WRITE:
		switch to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, arg(0))); {
		case err != nil:
		case strings.HasPrefix(to, "socket:"):
			return "send"
		case strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/dev/") && !strings.HasPrefix(to, "/proc/"):
			return "write to a file"
		}
	}
	return ""
}
