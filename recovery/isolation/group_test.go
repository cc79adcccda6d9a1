package isolation

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// What a program leaves in its group is gone when RunGroup returns, not only
// told to go, however many they are.
func TestRunGroup_leftovers(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf("for i in $(seq 50); do sleep 600 <>%[1]q >&0 & done; exit 7", fifo))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := RunGroup(cmd, nil)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("ended with %v", err)
	}
	// Nobody has the pipe open for reading any more.
	if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		f.Close()
		t.Error("what it started is still there")
	}
}
