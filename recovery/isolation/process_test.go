package isolation_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"comeback/recovery/isolation"
)

// A process that is nobody's child here is waited for and killed, and one that has ended is
// told from one that lives.
func TestProcess(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		t.Fatal(err)
	}
	p, err := isolation.OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if ended, err := p.Wait(0); err != nil || ended {
		t.Errorf("while it lives: %v, %v", ended, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if ended, err := p.Wait(isolation.Forever); err != nil || !ended {
		t.Errorf("when it was killed: %v, %v", ended, err)
	}
	if ended, err := p.Wait(time.Hour); err != nil || !ended {
		t.Errorf("asked again: %v, %v", ended, err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("it has ended, and killing it fails: %v", err)
	}
}

func TestOpenProcess_ended(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if p, err := isolation.OpenProcess(cmd.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("it is %+v, %v", p, err)
	}
	if _, err := isolation.OpenProcess(-1); err == nil || errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a number of no process: %v", err)
	}
}
