package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// lineReader reads lines when it is asked to, one at a time, so that the input
// can be given to a program between two of them.
type lineReader struct {
	in io.Reader
	// lines is closed when there are no more.
	lines chan string
	asks  chan struct{}
	// waits says that a line was asked for and has not come. It is its
	// listener's to reset.
	waits bool
	// wake ends a wait for input, woken is its other end, paused the answer.
	wake, woken *os.File
	paused      chan struct{}
	rest        []byte
	// tty is the terminal's descriptor, -1 where it is none; before is how it
	// was.
	tty    int
	before *unix.Termios
	silent bool
}

func newLineReader(ctx context.Context, in io.Reader) (*lineReader, error) {
	r := &lineReader{in: in, lines: make(chan string), asks: make(chan struct{}), paused: make(chan struct{}), tty: -1}
	var err error
	if r.woken, r.wake, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		r.tty = int(f.Fd())
		if r.before, err = unix.IoctlGetTermios(r.tty, unix.TCGETS); err != nil {
			return nil, errors.Join(fmt.Errorf("look at the terminal: %w", err), r.woken.Close(), r.wake.Close())
		}
	}
	go r.run(ctx)
	return r, nil
}

func (r *lineReader) run(ctx context.Context) {
	defer close(r.lines)
	for {
		select {
		case <-r.asks:
		case <-ctx.Done():
			return
		}
		line, ok, err := r.read()
		switch {
		case err != nil && line == "":
			return
		case !ok:
			select {
			case r.paused <- struct{}{}:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case r.lines <- line:
		case <-ctx.Done():
			return
		}
	}
}

// read reads a line; ok is false where it was paused before one came.
func (r *lineReader) read() (line string, ok bool, err error) {
	chunk := make([]byte, 4096)
	for {
		if i := bytes.IndexByte(r.rest, '\n'); i >= 0 {
			line, r.rest = string(r.rest[:i]), bytes.Clone(r.rest[i+1:])
			return line, true, nil
		}
		if r.tty >= 0 {
			if ready, err := r.ready(); err != nil || !ready {
				return "", false, err
			}
		}
		n, err := r.in.Read(chunk)
		r.rest = append(r.rest, chunk[:n]...)
		clear(chunk)
		if err != nil {
			line, r.rest = string(r.rest), nil
			return line, line != "", err
		}
	}
}

// ready waits for input; it is false where that was called off.
func (r *lineReader) ready() (bool, error) {
	fds := []unix.PollFd{{Fd: int32(r.tty), Events: unix.POLLIN}, {Fd: int32(r.woken.Fd()), Events: unix.POLLIN}}
	for {
		switch _, err := unix.Poll(fds, -1); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("wait for a line: %w", err)
		}
		if fds[1].Revents != 0 {
			_, err := r.woken.Read(make([]byte, 1))
			return false, err
		}
		return true, nil
	}
}

// ask asks for a line, unless one is being waited for.
func (r *lineReader) ask() {
	if !r.waits {
		r.waits = true
		select {
		case r.asks <- struct{}{}:
		case <-r.lines: // there are none any more
		}
	}
}

// pause leaves the terminal to others until a line is asked for again.
func (r *lineReader) pause() {
	if !r.waits || r.tty < 0 {
		return
	}
	if _, err := r.wake.Write([]byte{0}); err != nil {
		return
	}
	r.waits = false
	select {
	case <-r.paused:
	case line, ok := <-r.lines: // it came just before, or there are none any more
		if !ok {
			return
		}
		if _, err := r.woken.Read(make([]byte, 1)); err == nil {
			r.rest = append([]byte(line+"\n"), r.rest...)
		}
	}
}

// echo makes the terminal show what is typed, or not.
func (r *lineReader) echo(on bool) {
	if r.before == nil || on == !r.silent {
		return
	}
	state := *r.before
	if !on {
		state.Lflag &^= unix.ECHO
		state.Lflag |= unix.ECHONL
	}
	if unix.IoctlSetTermios(r.tty, unix.TCSETS, &state) == nil {
		r.silent = !on
	}
}

// stop puts the terminal back as it was.
func (r *lineReader) stop() {
	r.echo(true)
	r.pause()
}
