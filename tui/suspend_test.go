package tui

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// asConsole makes the test's own program a console over the fake desk.
const asConsole = "TUI_TEST_CONSOLE"

func TestMain(m *testing.M) {
	if os.Getenv(asConsole) == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", "8"); err != nil { // they wait more than they compute
			panic(err)
		}
		os.Exit(m.Run())
	}
	desk := shopDesk()
	copied(desk)
	o := Options{Desk: desk, In: os.Stdin, Out: os.Stdout, Environ: os.Environ(), Now: func() time.Time { return ten.Add(6 * time.Minute) }, Operator: "ops1"}
	o.Start.Session = desk.session
	ending, err := Run(context.Background(), o)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("detached: %t\n", ending.Detached)
}

// A shell that runs the console as a job, as people do.
func TestRun_SuspendAndContinue(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := openPty(t)
	shell := exec.Command("bash", "--norc", "--noprofile", "-i")
	shell.Env = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "PS1=ready> ", "PATH=" + os.Getenv("PATH"), "CONSOLE=" + exe}
	shell.Stdin, shell.Stdout, shell.Stderr = c.slave, c.slave, c.slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil { // it ends with the terminal, as its jobs do
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.master.Close()
		if err := shell.Wait(); err != nil && shell.ProcessState == nil {
			t.Error(err)
		}
	})
	c.sees("ready> ")
	c.types(asConsole + "=1 \"$CONSOLE\"\r")
	c.sees("replay the log")
	c.types("n")
	c.sees("NOTE > ")
	c.types("half a sen")
	c.sees("sen")
	c.types("\x1a") // also while typing
	c.sees("Stopped")
	if err := pty.Setsize(c.slave, &pty.Winsize{Cols: 120, Rows: 40}); err != nil {
		t.Fatal(err)
	}
	before := len(c.written())
	c.types("fg\r")
	c.writes("the whole screen again, in its new size", func(out string) bool {
		return strings.Contains(out[before:], strings.Repeat(".", 120)) && strings.Contains(out[before:], "half a sen")
	})
	before = len(c.written())
	c.types("\x1b")
	c.writes("the keys of the run again", func(out string) bool { return strings.Contains(ansi.Strip(out[before:]), "detach") })
	c.types("d")
	c.sees("detached: true")
}

// Where no shell could take it up again the key must not stop the console for
// ever.
func TestRun_NoSuspensionWithoutAShell(t *testing.T) {
	c := openPty(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	console := exec.Command(exe)
	console.Env = []string{"TERM=xterm-256color", "LANG=C.UTF-8", asConsole + "=1"}
	console.Stdin, console.Stdout, console.Stderr = c.slave, c.slave, c.slave
	console.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := console.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.master.Close()
		if err := console.Wait(); err != nil && console.ProcessState == nil {
			t.Error(err)
		}
	})
	c.sees("replay the log")
	c.types("\x1ad")
	c.sees("detached: true")
}
