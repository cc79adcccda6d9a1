package tui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"comeback/recovery"
)

// talkSession gives the terminal of a step whose program is played by a test.
type talkSession struct {
	*fakeSession
	seats chan *seat
	err   error
}

func (s *talkSession) Terminal(_ context.Context, step string, screen recovery.Screen) (recovery.Terminal, error) {
	if s.err != nil {
		return nil, s.err
	}
	c := newSeat()
	c.sizes <- fmt.Sprintf("%s %dx%d %s", step, screen.Columns, screen.Rows, screen.Term)
	s.seats <- c
	return c, nil
}

// seat is a person's end of a program's terminal, with the program's ends in it.
type seat struct {
	shown *io.PipeReader
	show  *io.PipeWriter // the program's
	typed *io.PipeReader // the program's
	keys  *io.PipeWriter
	sizes chan string
	once  sync.Once
	left  chan struct{}
}

func newSeat() *seat {
	s := &seat{sizes: make(chan string, 10), left: make(chan struct{})}
	s.shown, s.show = io.Pipe()
	s.typed, s.keys = io.Pipe()
	return s
}

func (s *seat) Read(b []byte) (int, error)  { return s.shown.Read(b) }
func (s *seat) Write(b []byte) (int, error) { return s.keys.Write(b) }

func (s *seat) Resize(columns, rows int) error {
	s.sizes <- fmt.Sprintf("%dx%d", columns, rows)
	return nil
}

func (s *seat) Close() error {
	s.once.Do(func() { close(s.left) })
	return s.shown.CloseWithError(os.ErrClosed)
}

// got waits for what comes out of a channel.
func got[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("it never came")
	}
	panic("unreachable")
}

// talkTo opens a console on a run that wants to talk, and takes the seat.
func talkTo(t *testing.T) (*terminal, *talkSession, *seat) {
	t.Helper()
	desk := shopDesk()
	talking(desk)
	session := &talkSession{fakeSession: desk.session, seats: make(chan *seat, 1)}
	c := openTerminal(t, t.Context(), Options{Desk: desk, Operator: "ops1", Start: Start{Session: session}})
	c.sees("WAITS FOR YOU")
	c.types("1\r")
	return c, session, got(t, session.seats)
}

func TestTalk_WithAProgram(t *testing.T) {
	c, session, program := talkTo(t)
	session.add(7*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseRetry, By: "ops1"}, recovery.StepStarted{Step: "check/carts", Attempt: 2})
	if size := got(t, program.sizes); size != "check/carts 80x24 xterm-256color" {
		t.Errorf("the seat was taken as %q", size)
	}
	c.sees("comes back to the console")
	fmt.Fprint(program.show, "really drop all carts? ")
	c.sees("really drop all carts? ")
	c.types("q yes\r") // no key is the console's
	answer, err := bufio.NewReader(program.typed).ReadString('\r')
	if err != nil || answer != "q yes\r" {
		t.Errorf("the program read %q, %v", answer, err)
	}
	before := len(c.written())
	program.show.Close() // it ends
	c.writes("the console again", func(out string) bool { return strings.Contains(out[before:], "replay the log") })
	if asked := session.asked(); len(asked) > 0 {
		t.Errorf("what was typed to the program asked the run for %+v", asked)
	}
}

// The size of the terminal reaches the program. (Not under a console: the
// library's own answer to the signal is not free of races.)
func TestTalk_Resize(t *testing.T) {
	c := openPty(t)
	program := newSeat()
	talk := &talk{about: "ask", other: program}
	talk.SetStdin(c.slave)
	talk.SetStdout(c.slave)
	ended := make(chan error, 1)
	go func() { ended <- talk.Run() }()
	fmt.Fprint(program.show, "ready")
	c.sees("ready") // by now the signal is heard
	if err := pty.Setsize(c.slave, &pty.Winsize{Cols: 100, Rows: 30}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	if size := got(t, program.sizes); size != "100x30" {
		t.Errorf("the new size is told as %q", size)
	}
	program.show.Close()
	if err := got(t, ended); err != nil {
		t.Error(err)
	}
}

func TestTalk_ComingBackAndAgain(t *testing.T) {
	c, session, program := talkTo(t)
	session.add(7*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseRetry, By: "ops1"}, recovery.StepStarted{Step: "check/carts", Attempt: 2})
	c.sees("comes back to the console")
	before := len(c.written())
	c.types("\x1d")
	got(t, program.left)
	c.writes("the run with its key", func(out string) bool { return strings.Contains(out[before:], "open its terminal") })
	c.types("o")
	again := got(t, session.seats)
	fmt.Fprint(again.show, "still here")
	c.sees("still here")
	before = len(c.written())
	again.show.CloseWithError(recovery.Errorf("sit down again", "lead took the seat"))
	c.writes("why it ended", func(out string) bool { return strings.Contains(out[before:], "lead took the seat") })
}

func TestTalk_EndsWithItsTerminal(t *testing.T) {
	t.Run("when it is gone", func(t *testing.T) {
		c, _, program := talkTo(t)
		c.sees("comes back to the console")
		c.master.Close()
		got(t, program.left)
		if e := c.ends(); !e.HungUp {
			t.Errorf("the ending is %+v", e)
		}
	})
	t.Run("when the console is asked to end", func(t *testing.T) {
		c, _, program := talkTo(t)
		c.sees("comes back to the console")
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		got(t, program.left)
		if e := c.ends(); !e.HungUp {
			t.Errorf("the ending is %+v", e)
		}
	})
}

func TestTalk_ARefusalIsShown(t *testing.T) {
	desk := shopDesk()
	talking(desk)
	session := &talkSession{fakeSession: desk.session, err: recovery.Errorf("take the run over first", "ops2 sits there")}
	c := openTerminal(t, t.Context(), Options{Desk: desk, Operator: "ops1", Start: Start{Session: session}})
	c.sees("WAITS FOR YOU")
	c.types("1\r")
	c.sees("ops2 sits there")
	c.sees("take the run over first")
}
