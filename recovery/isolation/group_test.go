package isolation

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// Of a session whose leader has died, what was started with a variable is ended, and nothing
// else: not of another variable, and no daemon. Of which nobody can tell is named.
func TestEndLeft(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	leader := exec.Command("/bin/bash", "-c", `RUN=1 sh -c 'echo left $$; exec sleep 600' &
RUN=2 sh -c 'echo another $$; exec sleep 600' &
RUN=1 setsid -f sh -c 'echo daemon $$; exec sleep 600'
RUN=1 env -i sh -c 'echo reset $$; exec sleep 600' &
read`)
	in, err := leader.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	leader.Stdout, leader.SysProcAttr = w, &syscall.SysProcAttr{Setsid: true}
	if err := errors.Join(leader.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	fate := func(environ []string) Fate {
		switch {
		case slices.Contains(environ, "RUN=1"):
			return Ends
		case slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "RUN=") }):
			return Stays
		}
		return Unknown
	}
	pids := map[string]int{}
	for lines := bufio.NewScanner(r); len(pids) < 4 && lines.Scan(); {
		who, text, _ := strings.Cut(lines.Text(), " ")
		if pids[who], err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pids[who], syscall.SIGKILL) })
	}
	session := leader.Process.Pid
	if unknown, err := EndLeft(session, fate); err != nil || unknown != nil || len(pids) != 4 || !alive(pids["left"]) {
		t.Fatalf("while the leader lives: %v, %v, %v", pids, unknown, err)
	}
	if err := leader.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	leader.Wait()
	if unknown, err := EndLeft(session, fate); err != nil || !slices.Equal(unknown, []Left{{PID: pids["reset"], Name: "sleep"}}) {
		t.Errorf("nobody can tell of %v, %v", unknown, err)
	}
	for who, want := range map[string]bool{"left": false, "another": true, "daemon": true, "reset": true} {
		if alive(pids[who]) != want {
			t.Errorf("%s lives: %v", who, !want)
		}
	}
}
