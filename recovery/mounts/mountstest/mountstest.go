// Package mountstest gives a test mounts of its own, which nobody else sees and which end
// with it. It is of no use outside of tests.
package mountstest

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Alone runs the test that calls it once more, in a process whose mounts are its own, and
// reports whether this is that process: the test does its work there, and returns here. What it
// leaves mounted in the directory for temporary files, which is its own, too, goes with it. Where
// the host gives no such process, or the test does not pass in it, it fails.
func Alone(t *testing.T) bool {
	t.Helper()
	const env = "COMEBACK_TEST_MOUNTS"
	if os.Getenv(env) == t.Name() {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), env+"="+t.Name(), "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// Share is a directory with a file in it that is mounted at a place, which is made, until the
// test ends. It gives the file where nothing mounted leads to it.
func Share(t *testing.T, at string) (precious string) {
	t.Helper()
	from := t.TempDir()
	precious = from + "/backup"
	for _, err := range []error{os.WriteFile(precious, []byte("x"), 0o600), os.MkdirAll(at, 0o700), unix.Mount(from, at, "", unix.MS_BIND, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return precious
}
