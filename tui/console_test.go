package tui

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is a real pty with the console on it.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu   sync.Mutex
	out  bytes.Buffer
	more chan struct{}

	// While gate is held nothing is read from the terminal; chunk is how much is read
	// at once, 0 is all that there is.
	gate  sync.Mutex
	chunk int

	done   chan struct{}
	ending Ending
	err    error
}

// openPty is a terminal of 80x24 that nothing runs on yet.
func openPty(t *testing.T) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	// Close must end a Read that waits, which takes a descriptor that the
	// runtime polls.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	c := &terminal{t: t, master: master, slave: slave, more: make(chan struct{}, 1), done: make(chan struct{})}
	// The library may look for the slave's size a moment after it has ended, and nobody can
	// wait for that: it is closed when nobody has it any more.
	t.Cleanup(func() { master.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			c.gate.Lock()
			chunk := c.chunk
			c.gate.Unlock()
			n, err := master.Read(buf[:cmp.Or(chunk, len(buf))])
			if err != nil {
				return
			}
			c.mu.Lock()
			c.out.Write(buf[:n])
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

func openTerminal(t *testing.T, ctx context.Context, o Options) *terminal {
	t.Helper()
	c := openPty(t)
	o.In, o.Out = c.slave, c.slave
	o.Now = func() time.Time { return ten }
	if o.Environ == nil {
		o.Environ = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "SSH_TTY=/dev/pts/7"}
	}
	go func() {
		defer close(c.done)
		c.ending, c.err = Run(ctx, o)
	}()
	t.Cleanup(func() {
		c.master.Close()
		<-c.done
	})
	return c
}

// sees waits until a text was written. The renderer writes only what changes,
// so that the text must be new on the screen.
func (c *terminal) sees(text string) {
	c.t.Helper()
	c.writes(text, func(out string) bool { return strings.Contains(ansi.Strip(out), text) })
}

// writes waits until what was written is enough.
func (c *terminal) writes(text string, enough func(out string) bool) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		out := c.written()
		if enough(out) {
			return
		}
		select {
		case <-c.more:
		case <-deadline:
			c.t.Fatalf("%q was never written: %q", text, out)
		}
	}
}

func (c *terminal) types(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

func (c *terminal) ends() Ending {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatal("the console does not end")
	}
	if c.err != nil {
		c.t.Fatal(c.err)
	}
	return c.ending
}

func (c *terminal) written() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func TestRun_OnATerminal(t *testing.T) {
	c := openTerminal(t, t.Context(), Options{Desk: shopDesk(), Operator: "ops1"})
	c.sees("never restored: a hope")
	if !strings.Contains(c.written(), "\x1b[?1049h") {
		t.Error("the console does not use the alternate screen")
	}
	c.types("\r")
	c.sees("CAN WE?")
	c.types("o\x1b[200~10 minutes ago\n\x1b[201~") // a line end that is pasted answers nothing
	// Label and answer are written at once, or one after the other.
	c.writes("the answer", func(out string) bool { return strings.Contains(drawn80(t, out), "OUTAGE BEGAN > 10 minutes ago") })
	c.types("\r")
	c.sees("Outage began")
	if err := pty.Setsize(c.slave, &pty.Winsize{Cols: 120, Rows: 40}); err != nil {
		t.Fatal(err)
	}
	c.types("q")
	if e := c.ends(); e != (Ending{}) {
		t.Errorf("the ending is %+v", e)
	}
	c.sees("q quit")
	for what, seq := range map[string]string{"the alternate screen left": "\x1b[?1049l", "the title reset": "\x1b]2;\a"} {
		c.writes(what, func(out string) bool { return strings.Contains(out, seq) })
	}
}

func TestRun_WithoutColour(t *testing.T) {
	c := openTerminal(t, t.Context(), Options{Desk: shopDesk(), Environ: []string{"TERM=xterm-256color", "NO_COLOR=yes", "COLORTERM=truecolor", "SSH_TTY=x"}})
	c.sees("never restored: a hope")
	c.types("q")
	c.ends()
	for _, seq := range sgr.FindAllString(c.written(), -1) {
		if strings.ContainsAny(seq, "3489") {
			t.Errorf("%q was written in spite of NO_COLOR", seq)
		}
	}
}

func TestRun_EndsWithItsTerminal(t *testing.T) {
	t.Run("while looking", func(t *testing.T) {
		c := openTerminal(t, t.Context(), Options{Desk: shopDesk()})
		c.sees("never restored: a hope")
		c.master.Close()
		if e := c.ends(); !e.HungUp {
			t.Errorf("the ending is %+v", e)
		}
	})
	t.Run("during a run", func(t *testing.T) {
		desk := shopDesk()
		started(desk)
		c := openTerminal(t, t.Context(), Options{Desk: desk, Operator: "ops1", Start: Start{Session: desk.session}})
		c.sees("WAITS FOR YOU")
		c.master.Close()
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Errorf("the run was asked for %+v", asked)
		}
		if e := c.ends(); e != (Ending{Run: "7c31", Dir: desk.session.Dir(), HungUp: true}) {
			t.Errorf("the ending is %+v", e)
		}
	})
	t.Run("when it is asked to end", func(t *testing.T) {
		desk := shopDesk()
		started(desk)
		c := openTerminal(t, t.Context(), Options{Desk: desk, Operator: "ops1", Start: Start{Session: desk.session}})
		c.sees("WAITS FOR YOU")
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if e := c.ends(); !e.HungUp || len(desk.session.asked()) > 0 {
			t.Errorf("the ending is %+v, and the run was asked for %+v", e, desk.session.asked())
		}
	})
	t.Run("when its input ends", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		done := make(chan Ending, 1)
		go func() {
			e, err := Run(t.Context(), Options{Desk: shopDesk(), In: r, Out: &bytes.Buffer{}, Now: func() time.Time { return ten }, Environ: []string{"TERM=xterm"}})
			if err != nil {
				t.Error(err)
			}
			done <- e
		}()
		w.Close()
		select {
		case e := <-done:
			if !e.HungUp {
				t.Errorf("the ending is %+v", e)
			}
		case <-time.After(patience):
			t.Fatal("the console does not end")
		}
	})
	t.Run("when it is told to hang up", func(t *testing.T) {
		c := openTerminal(t, t.Context(), Options{Desk: shopDesk()})
		c.sees("never restored: a hope") // the signal is handled since before that
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if e := c.ends(); !e.HungUp {
			t.Errorf("the ending is %+v", e)
		}
	})
	t.Run("when its context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := openTerminal(t, ctx, Options{Desk: shopDesk()})
		c.sees("never restored: a hope")
		cancel()
		if e := c.ends(); !e.HungUp {
			t.Errorf("the ending is %+v", e)
		}
	})
}

func TestUsable(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		name    string
		environ []string
		in      *os.File
		out     any
		ok      bool
	}{
		{"a terminal", []string{"TERM=xterm"}, slave, slave, true},
		{"TERM=dumb", []string{"TERM=xterm", "TERM=dumb"}, slave, slave, false},
		{"no TERM", nil, slave, slave, false},
		{"input from elsewhere", []string{"TERM=xterm"}, null, slave, false},
		{"output to a file", []string{"TERM=xterm"}, slave, null, false},
		{"output to a buffer", []string{"TERM=xterm"}, slave, &bytes.Buffer{}, false},
	} {
		out, _ := c.out.(interface{ Write([]byte) (int, error) })
		if ok, why := Usable(c.environ, c.in, out); ok != c.ok || ok == (why != "") {
			t.Errorf("%s: %t, %q", c.name, ok, why)
		}
	}
}

func TestSpeaksUTF8(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    bool
	}{
		{[]string{"LANG=de_DE.UTF-8"}, true}, {[]string{"LANG=C.utf8"}, true}, {[]string{"LANG=C"}, false}, {nil, false},
		{[]string{"LANG=de_DE.UTF-8", "LC_ALL=C"}, false}, {[]string{"LANG=C", "LC_CTYPE=C.UTF-8"}, true}, {[]string{"LANG=de_DE.UTF-8", "LC_ALL="}, true},
		{[]string{"LANG=de_DE@euro"}, false},
	} {
		if got := speaksUTF8(c.environ); got != c.want {
			t.Errorf("%v: %t", c.environ, got)
		}
	}
}
