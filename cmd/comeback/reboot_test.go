package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"

	"golang.org/x/sys/unix"
)

const bootEnv = "COMEBACK_TEST_BOOT"

// inAnotherBoot shows this process another boot of the host, from a file, and
// executes it again. The process must be in a mount namespace of its own.
func inAnotherBoot(file string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount(file, "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show another boot: %w", err)
	}
	if err := os.Unsetenv(bootEnv); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}

// rebooted makes the processes of a rig believe that the host was started again.
func (r *rig) rebooted(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(file, []byte("00000000-1111-2222-3333-444444444444\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.environ[bootEnv] = file
}

// namespaces gives a process what inAnotherBoot and inAnotherPlace need.
func namespaces() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return a
}

// After a reboot what was built without fsync is discarded and built again, and
// what was made durable is kept.
func TestResume_afterReboot(t *testing.T) {
	l := theShop(t)
	for name, test := range map[string]struct {
		way, killedAfter string
		again            []string // steps that must take a second attempt
		kept             []string // steps that must not
	}{
		"dump, not settled": {"dump", "database.restore", []string{"database.restore"}, nil},
		"dump, settled":     {"dump", "database.settle", nil, []string{"database.cluster", "database.restore", "database.settle"}},
		"log, copied":       {"log", "database.copy", nil, []string{"database.replay"}},
		"log, replayed":     {"log", "database.replay", []string{"database.copy", "database.replay"}, nil},
	} {
		if !sampled(name, "dump, settled", "log, replayed") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			way := ways(l)[test.way]
			r := newRig(t)
			book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, "")
			r.environ["COMEBACK_TEST_KILL"] = "after:step.finished/1 " + test.killedAfter
			if got := r.run(t.Context(), "rehearse", book, "--plain", "--to", way.to); got.code != recovery.NotEnded {
				t.Fatalf("killed: exit %d\n%s%s", got.code, got.out, got.err)
			}
			delete(r.environ, "COMEBACK_TEST_KILL")
			id := filepath.Base(r.only(t))
			r.rebooted(t)
			p := r.process(t, "resume", id, "--plain", "--unattended")
			if code, said := p.ends(); code != int(recovery.CameBack) || !strings.Contains(said, "the host was started again") {
				t.Fatalf("resumed: exit %d\n%s", code, said)
			}
			s := r.stateOf(t, id)
			if len(s.Interruptions) != 1 || !s.Interruptions[0].Rebooted {
				t.Errorf("interruptions: %+v", s.Interruptions)
			}
			for _, step := range test.again {
				if n := s.Step(step).Attempts; n != 2 {
					t.Errorf("%s took %d attempts", step, n)
				}
			}
			for _, step := range test.kept {
				if n := s.Step(step).Attempts; n != 1 {
					t.Errorf("%s took %d attempts", step, n)
				}
			}
		})
	}
}
