package postgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/mounts"
	"comeback/recovery/mounts/mountstest"
	"comeback/recovery/postgres"
)

func TestReleaseCluster(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, s *postgres.Server){
		"server runs": func(*testing.T, *postgres.Server) {},
		"server stopped": func(t *testing.T, s *postgres.Server) {
			if err := s.Stop(within(t)); err != nil {
				t.Fatal(err)
			}
		},
		"server killed": func(t *testing.T, s *postgres.Server) {
			if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-s.Exited()
			if s.Err() == nil {
				t.Error("a killed server has no error")
			}
		},
		"postmaster.pid lost": func(t *testing.T, s *postgres.Server) {
			if err := os.Remove(filepath.Join(s.Cluster().Data, "postmaster.pid")); err != nil {
				t.Fatal(err)
			}
		},
		"half removed": func(t *testing.T, s *postgres.Server) {
			if err := s.Stop(within(t)); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(s.Cluster().Data, "base")); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(s.Cluster().Socket); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := running(t, nil)
			c := s.Cluster()
			memory := sharedMemory(t, c.Data)
			before(t, s)
			for range 2 { // the second time nothing is there
				if err := (postgres.ReleaseCluster{}).Release(within(t), c.Resource()); err != nil {
					t.Fatal(err)
				}
			}
			for _, dir := range []string{c.Data, c.Socket} {
				if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is still there: %v", dir, err)
				}
			}
			<-s.Exited()
			if err := syscall.Kill(s.PID(), 0); err == nil {
				t.Errorf("process %d is still there", s.PID())
			}
			var info unix.SysvShmDesc
			if _, err := unix.SysvShmCtl(memory, unix.IPC_STAT, &info); !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
				t.Errorf("its shared memory %d is still there: %v", memory, err)
			}
		})
	}
}

// sharedMemory is the identifier of a running server's System V shared memory.
func sharedMemory(t *testing.T, data string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	var key, id int
	if n, err := fmt.Sscan(lines[6], &key, &id); n != 2 {
		t.Fatalf("postmaster.pid says %q: %v", lines, err)
	}
	var info unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &info); err != nil {
		t.Fatalf("look at shared memory %d: %v", id, err)
	}
	return id
}

func TestReleaseCluster_SparesOtherProcesses(t *testing.T) {
	_, s := running(t, nil)
	c := s.Cluster()
	if err := s.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	// Somebody else's program has the pid of the old postmaster by now, and
	// a shell stands in the directory.
	other := exec.Command("/bin/sh", "-c", "read forever")
	other.Dir = c.Data
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	stale := fmt.Sprintf("%d\n%s\n", other.Process.Pid, c.Data)
	if err := os.WriteFile(filepath.Join(c.Data, "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Attach(c); !errors.Is(err, postgres.ErrNotRunning) {
		t.Errorf("attached to another program: %v", err)
	}
	if err := (postgres.ReleaseCluster{}).Release(within(t), c.Resource()); err != nil {
		t.Fatal(err)
	}
	in.Close()
	err = other.Wait() // read fails at the end of its input: exit status 1
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Exited() {
		t.Errorf("the other program ended with %v", err)
	}
}

func TestReleaseCluster_RefusesWhatIsNoCluster(t *testing.T) {
	for _, id := range []string{"", "/", "relative", "/proc/version"} {
		r := recovery.Resource{Kind: recovery.Cluster, ID: id}
		if err := (postgres.ReleaseCluster{}).Release(within(t), r); err == nil {
			t.Errorf("released %q", id)
		}
	}
}

func TestCluster_InitRefusesForeignDirectory(t *testing.T) {
	e, c := cluster(t)
	if err := os.Mkdir(c.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Data, "dear"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := c.Init(within(t), e, postgres.InitOptions{})
	if recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("error %v", err)
	}
	if len(e.claims) != 0 {
		t.Errorf("claimed %v: the clean-up would remove it", e.claims)
	}
}

// What is mounted in a data directory keeps what it holds.
func TestReleaseCluster_mounted(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	data := filepath.Join(t.TempDir(), "data")
	precious := mountstest.Share(t, filepath.Join(data, "base"))
	err := (postgres.ReleaseCluster{}).Release(within(t), recovery.Resource{Kind: recovery.Cluster, ID: data})
	if _, mounted := errors.AsType[*mounts.Mounted](err); !mounted {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("the share was emptied: %v", err)
	}
}
