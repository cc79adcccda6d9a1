package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery/terminal"
)

// Handler is what the program on a host does with what it is asked for.
type Handler interface {
	// Command is the command of a start, with its arguments and its environment;
	// Serve gives it its input and its outputs. Files that go along are there when
	// it returns.
	Command(Start) (*exec.Cmd, error)
	// Answer writes the answer to a question.
	Answer(ctx context.Context, about string, body []byte, out io.Writer) error
}

// hungUp is how long a command may take to end after its terminal has.
const hungUp = 10 * time.Second

// Serve is the host's end of a connection: it carries out commands and answers
// questions, one at a time, until its input ends. A command that runs then is hung
// up and waited for.
func Serve(ctx context.Context, in io.Reader, out io.Writer, h Handler) error {
	if _, err := io.WriteString(out, prefix+saysBegun+"\n"); err != nil {
		return err
	}
	s := &served{to: &frames{w: out}, h: h}
	frames, stop := make(chan received), make(chan struct{})
	defer close(stop)
	go receive(in, frames, stop)
	for {
		typing, next := s.typing()
		select {
		case <-ctx.Done():
			s.hangUp()
			return ctx.Err()
		case end := <-s.ended:
			s.live, s.ended, s.typed = nil, nil, nil
			if err := s.to.encode(kindEnded, end); err != nil {
				return err
			}
		case typing <- next:
			s.typed = s.typed[1:]
		case f := <-frames:
			if f.err != nil { // the other end has gone, and needs no answer
				s.hangUp()
				return nil
			}
			if err := s.do(ctx, f); err != nil {
				return err
			}
		}
	}
}

// received is a frame, or why there is none.
type received struct {
	k       kind
	content []byte
	err     error
}

func receive(in io.Reader, frames chan<- received, stop <-chan struct{}) {
	from := bufio.NewReaderSize(in, atOnce)
	for {
		k, content, err := readFrame(from)
		select {
		case frames <- received{k, content, err}:
		case <-stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// served is the host's end.
type served struct {
	to *frames
	h  Handler
	// live is the command that runs, nil if none does; ended tells its end.
	live  *command
	ended <-chan ending
	// typed is what the command has not taken yet; nil in it is the end.
	typed [][]byte
}

// typing is where the next thing that was typed goes.
func (s *served) typing() (chan<- []byte, []byte) {
	if s.live == nil || len(s.typed) == 0 {
		return nil, nil
	}
	return s.live.typing, s.typed[0]
}

// do does what the other end says. What is for a command that has ended is late.
func (s *served) do(ctx context.Context, f received) error {
	switch {
	case f.k == kindQuestion:
		return s.answer(ctx, f.content)
	case f.k == kindStart && s.live == nil:
		return s.start(f.content)
	case s.live == nil:
	case f.k == kindTyped:
		s.typed = append(s.typed, f.content)
	case f.k == kindTypedAll:
		s.typed = append(s.typed, nil)
	case f.k == kindResize:
		var size Size
		if err := json.Unmarshal(f.content, &size); err != nil {
			return err
		}
		s.live.resize(size)
	case f.k == kindSignal && len(f.content) == 1:
		_ = s.live.cmd.Process.Signal(syscall.Signal(f.content[0])) // it may have ended
	}
	return nil
}

func (s *served) answer(ctx context.Context, content []byte) error {
	var q question
	err := json.Unmarshal(content, &q)
	if err == nil {
		err = s.h.Answer(ctx, q.About, q.Body, stream{s.to, kindBytes})
	}
	return s.to.encode(kindEnd, endingOf(err))
}

// start begins a command.
func (s *served) start(content []byte) error {
	var asked Start
	err := json.Unmarshal(content, &asked)
	var cmd *exec.Cmd
	if err == nil {
		cmd, err = s.h.Command(asked)
	}
	if err == nil {
		s.live, err = begin(cmd, asked.Terminal, s.to)
	}
	if err != nil {
		s.live = nil
		return s.to.encode(kindEnded, endingOf(err))
	}
	ended := make(chan ending, 1)
	s.ended = ended
	go func(c *command) { ended <- c.wait() }(s.live)
	return nil
}

// hangUp tells the command that its terminal is gone, and waits for its end.
func (s *served) hangUp() {
	if s.live == nil {
		return
	}
	_ = s.live.cmd.Process.Signal(syscall.SIGHUP) // it may have ended
	late := time.AfterFunc(hungUp, func() { _ = s.live.cmd.Process.Kill() })
	defer late.Stop()
	<-s.ended
}

// command is a command that runs.
type command struct {
	cmd    *exec.Cmd
	typing chan []byte
	tty    *os.File // nil without a terminal
	// outputs are this end of what it writes to.
	outputs []*os.File
	// shown and taken are what goes on with its outputs and its input.
	shown, taken sync.WaitGroup
	gone         chan struct{} // closed when it has ended
}

func begin(cmd *exec.Cmd, size *Size, to *frames) (*command, error) {
	c := &command{cmd: cmd, typing: make(chan []byte), gone: make(chan struct{})}
	if size == nil {
		typed, err := cmd.StdinPipe()
		if err != nil {
			return nil, fmt.Errorf("start the command: %w", err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.piped(to); err != nil {
			return nil, fmt.Errorf("start the command: %w", err)
		}
		c.taken.Go(func() { c.types(typed, to) })
		return c, nil
	}
	ours, theirs, err := terminal.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	c.tty = ours
	c.resize(*size)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("start the command: %w", err), ours.Close())
	}
	c.outputs = []*os.File{ours}
	// It ends with EIO, when nobody has the other end any more.
	c.shown.Go(func() { show(ours, stream{to, kindOut}, c.gone, lastLook) })
	c.taken.Go(func() { c.types(ours, to) })
	return c, nil
}

// piped starts the command with its outputs at pipes.
func (c *command) piped(to *frames) error {
	out, stdout, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdout.Close()
	wrong, stderr, err := os.Pipe()
	if err != nil {
		return errors.Join(err, out.Close())
	}
	defer stderr.Close()
	c.cmd.Stdout, c.cmd.Stderr = stdout, stderr
	if err := c.cmd.Start(); err != nil {
		return errors.Join(err, out.Close(), wrong.Close())
	}
	c.outputs = []*os.File{out, wrong}
	for i, k := range []kind{kindOut, kindErr} {
		c.shown.Go(func() {
			defer c.outputs[i].Close()
			show(c.outputs[i], stream{to, k}, c.gone, lastLook)
		})
	}
	return nil
}

// show hands on what a command writes until nobody can write there any more, or
// until the command has ended and nothing came for a while: what it has left running
// may hold on to its outputs. How long the other end takes to read does not matter.
func show(from *os.File, to io.Writer, gone <-chan struct{}, look time.Duration) {
	b := make([]byte, atOnce)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && readable(from):
			_ = from.SetReadDeadline(time.Time{}) // the next look does not wait
			continue
		case err != nil:
			return
		}
		select {
		case <-gone:
			_ = from.SetReadDeadline(time.Now().Add(look)) // what has none ends with its writers
		default:
		}
	}
}

// readable reports whether reading a file would not wait.
func readable(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) })
	return err == nil && n > 0
}

// types gives the command what is typed, and says so; one that reads no more needs it
// no more.
func (c *command) types(to io.WriteCloser, back *frames) {
	for {
		select {
		case b := <-c.typing:
			if b == nil && c.tty == nil {
				_ = to.Close()
				continue
			}
			_, _ = to.Write(b)
			_ = back.encode(kindTaken, len(b)) // the reader tells of a lost connection
		case <-c.gone:
			return
		}
	}
}

// lastLook is how long nothing must have come of the outputs of a command that has
// ended.
const lastLook = time.Second

// wait waits for the command's end and for what it has written.
func (c *command) wait() ending {
	err := c.cmd.Wait()
	close(c.gone)
	for _, out := range c.outputs {
		_ = out.SetReadDeadline(time.Now().Add(lastLook)) // one that is closed was read
	}
	c.shown.Wait()
	if c.tty != nil {
		c.tty.Close()
	}
	c.taken.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return ending{Code: exit.ExitCode()}
	case err != nil:
		return endingOf(fmt.Errorf("comeback on the host: %w", err))
	}
	return ending{}
}

// resize tells the terminal its size, without making it one that cannot be closed while it
// is read.
func (c *command) resize(size Size) {
	if c.tty == nil {
		return
	}
	if raw, err := c.tty.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // the next size is told again
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Rows), Col: uint16(size.Columns)})
		})
	}
}
