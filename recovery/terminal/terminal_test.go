package terminal_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"comeback/recovery/terminal"
)

// A program has a terminal at its end, and what is typed at ours it reads.
func TestOpen(t *testing.T) {
	ours, theirs, err := terminal.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	cmd := exec.Command("sh", "-c", `stty -echo; test -t 0 && test -t 1 && echo it is one; read word; echo "$word came"`)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		t.Fatal(err)
	}
	shown := bufio.NewReader(ours)
	says := func(want string) {
		t.Helper()
		if line, err := shown.ReadString('\n'); err != nil || line != want+"\r\n" {
			t.Errorf("it shows %q, %v, want %q", line, err, want)
		}
	}
	says("it is one")
	if _, err := io.WriteString(ours, "word\n"); err != nil {
		t.Fatal(err)
	}
	says("word came")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := shown.ReadByte(); !errors.Is(err, syscall.EIO) {
		t.Errorf("when nobody has the other end: %v", err)
	}
}

// Who closes our end ends whoever reads it.
func TestOpen_closedWhileRead(t *testing.T) {
	ours, theirs, err := terminal.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	read := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		b := make([]byte, 10)
		_, err := ours.Read(b)
		close(first)
		if err == nil {
			_, err = ours.Read(b)
		}
		read <- err
	}()
	if _, err := io.WriteString(theirs, "x"); err != nil {
		t.Fatal(err)
	}
	<-first
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
}
