package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// Promise 7: nothing leaves the machine but what the runbook names. Here it names nothing
// elsewhere, and the kernel ends whatever asks for a socket of the internet: the program, its
// runner, the server that comes back, and what they start. A box asks for one to bring up the
// loopback of its own network; so in a rehearsal those for datagrams are let be.
func TestUnheard(t *testing.T) {
	b, ctx := openBackedUp(t, ", backup: base"), t.Context()
	b.run(ctx, "backup", b.book).has(t, recovery.CameBack)
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	unheard := func(but string, args ...string) (*os.ProcessState, string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, executable(), args...)
		cmd.Env = append(b.env(), "COMEBACK_TEST_MAIN=1", unheardEnv+"="+but)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState, string(out)
	}
	try := func(but string, code recovery.Exit, args ...string) {
		t.Helper()
		if state, said := unheard(but, args...); state.ExitCode() != int(code) {
			t.Errorf("comeback %s: %s, want exit %d\n%s", strings.Join(args, " "), state, code, said)
		}
	}
	try(butNothing, recovery.CameBack, "runbook", "lint", b.book)
	try(butNothing, recovery.CameBack, "moments", b.book)
	try(butNothing, recovery.CheckWarning, "check", b.book)
	try(butNothing, recovery.CameBack, "backup", b.book)
	try(butDatagrams, recovery.CameBack, "rehearse", b.book, "--plain", "--to", "latest")
	try(butNothing, recovery.CameBack, "runs")

	// What does ask for one is seen.
	elsewhere := copyBook(t, b.book, fmt.Sprintf("offsite: {url: %q}", "file://"+b.copies["offsite"]),
		"offsite: {url: \"s3://shop\", endpoint: \"http://127.0.0.1:9\", region: eu-central-1}")
	if state, said := unheard(butDatagrams, "moments", elsewhere); !state.Sys().(syscall.WaitStatus).Signaled() || state.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
		t.Errorf("a copy in a bucket is asked: %s\n%s", state, said)
	}
}

// unheardEnv lets a process go on as one that has no socket of the internet, but those that
// it says.
const (
	unheardEnv   = "COMEBACK_TEST_UNHEARD"
	butNothing   = "nothing"
	butDatagrams = "datagrams"
)

// asUnheard is the program where the kernel ends whatever asks for such a socket.
func asUnheard() error {
	let := uint32(0) // no type of sockets
	if os.Getenv(unheardEnv) == butDatagrams {
		let = unix.SOCK_DGRAM
	}
	if err := os.Unsetenv(unheardEnv); err != nil {
		return err
	}
	// What the kernel gives the filter: the call's number, the architecture, where from, and
	// the arguments, those of socket(2) being the family and the type with its flags.
	const number, family, kind, kinds = 0, 16, 24, 0xf
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 7},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: family},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET6, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: kind},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: kinds},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: let, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // a filter is that of the thread, and of what it becomes
	if os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("have no new privileges: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("have no sockets of the internet: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}
