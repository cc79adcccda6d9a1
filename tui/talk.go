package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"comeback/recovery"
)

// talkEnd is ctrl+], which leaves the program, as it leaves telnet.
const talkEnd = 0x1d

// talks is the running step that talks with a person, nil if there is none or if
// the session cannot give its terminal.
func (a *attached) talks() *recovery.StepState {
	if _, ok := a.session.(recovery.Seats); !ok || a.over {
		return nil
	}
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		var args recovery.ShellArgs
		if st.State == recovery.Running && st.Kind == recovery.KindShell && st.Decode(&args) == nil && args.Terminal {
			return st
		}
	}
	return nil
}

// talk takes the terminal of a step and puts this one through to it. The
// console stands still meanwhile, and shows itself again when the program has
// ended or the person comes back, with what went wrong.
func (m *model) talk(a *attached, st *recovery.StepState) tea.Cmd {
	home, id, about := m.stack[0].screen, st.ID, named(st)
	size := recovery.Screen{Columns: m.width, Rows: m.height, Term: m.terminal}
	told := func(err error) tea.Cmd {
		switch s := m.top().screen.(type) { // the wait may be over meanwhile, and its screen gone
		case *waitingScreen:
			s.asking, s.err = false, err
		case *runScreen:
			s.err = err
		}
		return nil
	}
	return ask(m.hung, home, func(ctx context.Context) (recovery.Terminal, error) {
		return a.session.(recovery.Seats).Terminal(ctx, id, size)
	}, func(other recovery.Terminal, err error) tea.Cmd {
		if err != nil {
			return told(err)
		}
		context.AfterFunc(m.hung, func() { other.Close() })
		return m.exec(&talk{about: about, back: "comes back to the console", other: other}, func(err error) tea.Msg {
			return answer{home, func() tea.Cmd { return told(err) }}
		})
	})
}

// Talk puts a terminal through to a step's program, from outside of the console,
// until the program has ended, its terminal was taken, the person leaves with
// ctrl+], or the terminal goes away.
func Talk(about string, other recovery.Terminal, in io.Reader, out io.Writer) error {
	return (&talk{about: about, back: "leaves", other: other, in: in, out: out}).Run()
}

// talk is a conversation between a person's terminal and a step's program.
type talk struct {
	about string
	// back says what ctrl+] does.
	back  string
	other recovery.Terminal
	in    io.Reader
	out   io.Writer
}

// SetStdin is told where the person types.
func (t *talk) SetStdin(r io.Reader) { t.in = r }

// SetStdout is told where the person reads.
func (t *talk) SetStdout(w io.Writer) { t.out = w }

// SetStderr is not needed.
func (t *talk) SetStderr(io.Writer) {}

// Run returns when the program has ended, the seat was taken, the person came
// back, or the terminal went away.
func (t *talk) Run() (err error) {
	least := time.NewTimer(letGo)
	defer func() { <-least.C }()
	defer t.other.Close()
	tty, ok := t.in.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return recovery.Errorf("use a terminal", "the console has no terminal to put through")
	}
	cooked, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() {
		if restored := term.Restore(int(tty.Fd()), cooked); err == nil && restored != nil {
			err = fmt.Errorf("restore the terminal: %w", restored)
		}
	}()
	wake, woken, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open a pipe: %w", err)
	}
	defer wake.Close()
	if _, err := fmt.Fprintf(t.out, "-- %s; ctrl+] %s, the program goes on --\r\n", clean(t.about), t.back); err != nil {
		return errors.Join(fmt.Errorf("write to the terminal: %w", err), woken.Close())
	}
	defer t.follow(tty.Fd())()
	shown := make(chan error, 1)
	go func() {
		defer woken.Close() // ends the reading of keys
		_, err := io.Copy(t.out, t.other)
		shown <- err
	}()
	left, err := t.types(tty.Fd(), wake.Fd())
	t.other.Close() // ends what is shown, if the program has not
	if failed := <-shown; failed != nil && !left && err == nil {
		err = fmt.Errorf("read from the program: %w", failed)
	}
	return err
}

// types hands on what is typed until the person comes back or the terminal goes
// away, which is left, or the other pipe ends.
func (t *talk) types(tty, wake uintptr) (left bool, err error) {
	fds := []unix.PollFd{{Fd: int32(tty), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	b := make([]byte, 4096)
	for {
		switch _, err := unix.Poll(fds, -1); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("wait for keys: %w", err)
		case fds[1].Revents != 0:
			return false, nil
		}
		n, gone := t.in.Read(b)
		i := bytes.IndexByte(b[:n], talkEnd)
		if i >= 0 {
			n = i
		}
		if n > 0 {
			if _, err := t.other.Write(b[:n]); err != nil {
				return false, err
			}
		}
		if i >= 0 || gone != nil {
			return true, nil
		}
	}
}

// follow tells the other end of new sizes until it is called off.
func (t *talk) follow(tty uintptr) (off func()) {
	sizes, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(sizes, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-sizes:
				if columns, rows, err := term.GetSize(int(tty)); err == nil {
					_ = t.other.Resize(columns, rows) // the next one tells it again
				}
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(sizes); close(done) }
}
