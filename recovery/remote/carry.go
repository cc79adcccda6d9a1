package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Ends are this end of a command.
type Ends struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal is where the person is; nil where nobody is at one. In and Out are
	// not used then.
	Terminal *os.File
	// Signal is the signal that the end of the context means to the command.
	Signal func(cause error) syscall.Signal
}

// Run carries a command out on the host and gives its exit code. The end of ctx is
// told to the command, once, which ends as it would here. A connection that goes
// away is ErrLost.
func (c *Conn) Run(ctx context.Context, s Start, e Ends) (code int, err error) {
	if e.Terminal != nil {
		columns, rows, err := term.GetSize(int(e.Terminal.Fd()))
		if err != nil {
			return 0, fmt.Errorf("measure this terminal: %w", err)
		}
		s.Terminal = &Size{columns, rows}
	}
	if err := c.to.encode(kindStart, s); err != nil {
		return 0, c.cut(" before anything had begun there")
	}
	if e.Terminal == nil {
		go c.types(e.In)
	} else {
		restore, failed := c.putThrough(e.Terminal)
		if failed != nil {
			return 0, failed
		}
		e.Out = e.Terminal
		defer func() { err = errors.Join(err, restore(errors.Is(err, ErrLost))) }()
	}
	defer context.AfterFunc(ctx, func() { _ = c.to.write(kindSignal, []byte{byte(e.Signal(context.Cause(ctx)))}) })()
	for {
		k, content, err := readFrame(c.out)
		if err != nil {
			return 0, c.cut("")
		}
		switch k {
		case kindOut: // a reader that goes away does not end anything
			_, _ = e.Out.Write(content)
		case kindErr:
			_, _ = e.Err.Write(content)
		case kindEnded:
			var end ending
			if err := json.Unmarshal(content, &end); err != nil {
				return 0, fmt.Errorf("understand %s: %w", c.host.Name(), err)
			}
			return end.Code, end.err()
		}
	}
}

// types hands on an input that is no terminal.
func (c *Conn) types(in io.Reader) {
	_, err := io.Copy(stream{c.to, kindTyped}, in)
	if err == nil {
		_ = c.to.write(kindTypedAll, nil) // the reader tells of a lost connection
	}
}

// leave brings a terminal back to lines, whatever screen a program that was cut off
// has left there.
const leave = "\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[<u\x1b[>4m\x1b[?25h\x1b[0m\r"

// putThrough makes a terminal that of the command: its keys and its size. The
// function that it gives makes it the person's own again.
func (c *Conn) putThrough(tty *os.File) (restore func(lost bool) error, err error) {
	fd := int(tty.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("prepare the terminal: %w", err)
	}
	woken, wake, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the terminal: %w", err), term.Restore(fd, cooked))
	}
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, syscall.SIGWINCH)
	done, read := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			select {
			case <-sizes:
				if columns, rows, err := term.GetSize(fd); err == nil {
					_ = c.to.encode(kindResize, Size{columns, rows}) // the next one tells it again
				}
			case <-done:
				return
			}
		}
	}()
	go func() {
		defer close(read)
		c.keys(fd, int(woken.Fd()))
	}()
	return func(lost bool) error {
		signal.Stop(sizes)
		close(done)
		wake.Close()
		<-read
		woken.Close()
		if lost {
			_, _ = io.WriteString(tty, leave) // a terminal that has gone needs nothing
		}
		if err := term.Restore(fd, cooked); err != nil {
			return fmt.Errorf("restore the terminal: %w", err)
		}
		return nil
	}, nil
}

// keys hands on what is typed until the other pipe ends: what is typed after that
// is for this program.
func (c *Conn) keys(tty, wake int) {
	fds := []unix.PollFd{{Fd: int32(tty), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	b := make([]byte, 4096)
	for {
		switch _, err := unix.Poll(fds, -1); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil, fds[1].Revents != 0:
			return
		}
		n, err := unix.Read(tty, b)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n <= 0 {
			return // the terminal has gone, and a signal tells of it
		}
		if c.to.write(kindTyped, b[:n]) != nil {
			return
		}
	}
}

// Ask asks the program on the host something outside of any command. What it
// answers is written to into.
func (c *Conn) Ask(_ context.Context, about string, body []byte, into io.Writer) error {
	if err := c.to.encode(kindQuestion, question{about, body}); err != nil {
		return c.cut(" when it was asked for " + about)
	}
	var failed error
	for {
		k, content, err := readFrame(c.out)
		switch {
		case err != nil:
			return c.cut(" while it told of " + about)
		case k == kindBytes && failed == nil:
			_, failed = into.Write(content)
		case k == kindEnd:
			var end ending
			if err := json.Unmarshal(content, &end); err != nil {
				return fmt.Errorf("understand %s: %w", c.host.Name(), err)
			}
			return errors.Join(failed, end.err())
		}
	}
}
