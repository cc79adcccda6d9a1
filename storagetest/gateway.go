package storagetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// gatewayPath is the S3 server's program: in $COMEBACK_TOOLS, in the module's
// .tools/bin, or built there.
func gatewayPath(t testing.TB) string {
	t.Helper()
	if tools := os.Getenv("COMEBACK_TOOLS"); tools != "" {
		path := filepath.Join(tools, "versitygw")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, ".tools", "bin", "versitygw")
	if err := buildGateway(root, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// buildGateway builds the program where it is missing. Other test processes
// that need it wait meanwhile; it has its name only when it is whole.
func buildGateway(root, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	cmd := exec.Command("go", "build", "-o", path+".new", "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir = filepath.Join(root, "tools")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build versitygw: %w: %s", err, out)
	}
	return os.Rename(path+".new", path)
}

// moduleRoot is the directory of go.mod above the test's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find go.mod: no directory above has one")
		}
		dir = parent
	}
}

// child is a process that dies with this one, even when this one is killed.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startChild starts cmd. The kernel kills a child when the *thread* that
// started it ends, so that thread is kept until the child has ended.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// kill ends the child and returns when it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}
