package isolation_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery/isolation"
)

// Whatever was started in a control group's box is gone when the group is, also what has
// begun a session of its own and whose parent has ended; who may not write there is told
// that there is none.
func TestEndCgroups(t *testing.T) {
	name := fmt.Sprintf("comeback-test-%d", os.Getpid())
	if err := isolation.EndCgroups(name); err != nil {
		t.Fatalf("none that is not there: %v", err)
	}
	dir, err := isolation.MakeCgroup(name)
	if os.Geteuid() != 0 {
		if !errors.Is(err, isolation.ErrNoCgroup) {
			t.Errorf("an ordinary user was given %q, %v", dir, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	work := place(t)
	fifo := filepath.Join(work, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reads := func() error {
		f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("exec 3<>%q; for i in $(seq 20); do setsid -f sh -c 'exec sleep 600'; done", fifo))
	isolation.OnThread(func() {
		err = isolation.Box{Keep: []string{work}, Cgroup: dir}.Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
	})
	if err != nil || reads() != nil {
		t.Fatalf("nothing was left: %v, %v", err, reads())
	}
	if err := isolation.EndCgroups(name); err != nil {
		t.Fatal(err)
	}
	if err := reads(); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("what was left is still there: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the control group is still there: %v", err)
	}
	// One that is gone by then starts nothing outside of it.
	cmd = exec.Command("/bin/touch", filepath.Join(work, "ran"))
	isolation.OnThread(func() { err = isolation.Box{Keep: []string{work}, Cgroup: dir}.Start(cmd) })
	if _, ran := os.Lstat(filepath.Join(work, "ran")); err == nil || !errors.Is(ran, fs.ErrNotExist) {
		t.Errorf("it was started without its control group: %v, %v", err, ran)
	}
}
