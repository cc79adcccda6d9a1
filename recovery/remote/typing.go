package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// window is how much may be typed ahead of a command, in bytes: one that does not
// read must not fill the memory of its host.
const window = 256 << 10

// typing is what is typed for a command, on its way to the host.
type typing struct {
	to *frames
	// ended is closed when the command has ended, for this end.
	ended chan struct{}

	mu sync.Mutex
	// ahead is how much of it the command has not taken yet, in bytes.
	ahead int
	// room tells that it has taken some.
	room chan struct{}
}

func newTyping(to *frames) *typing {
	return &typing{to: to, ended: make(chan struct{}), room: make(chan struct{}, 1)}
}

// errEnded says that what is typed comes too late.
var errEnded = errors.New("the command has ended")

// Write hands on what is typed, as soon as it is within the window.
func (t *typing) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		part := b[:min(len(b), atOnce)]
		if !t.goAhead(len(part)) {
			return n, errEnded
		}
		if err := t.to.write(kindTyped, part); err != nil {
			return n, err
		}
		n, b = n+len(part), b[len(part):]
	}
	return n, nil
}

// goAhead waits until n more bytes are within the window. It reports whether the
// command still wants them.
func (t *typing) goAhead(n int) bool {
	for {
		select {
		case <-t.ended:
			return false
		default:
		}
		t.mu.Lock()
		fits := t.ahead+n <= window
		if fits {
			t.ahead += n
		}
		t.mu.Unlock()
		if fits {
			return true
		}
		select {
		case <-t.room:
		case <-t.ended:
			return false
		}
	}
}

// taken says that the command has taken n more bytes.
func (t *typing) taken(n int) {
	t.mu.Lock()
	t.ahead -= n
	t.mu.Unlock()
	select {
	case t.room <- struct{}{}:
	default: // it is told already
	}
}

// all says that there is no more, unless the command has ended.
func (t *typing) all() {
	select {
	case <-t.ended:
	default:
		_ = t.to.write(kindTypedAll, nil) // the reader tells of a lost connection
	}
}

// pass hands on an input, and its end. A file is left with what nobody has read of
// it when the function that it gives returns.
func (t *typing) pass(in io.Reader) (stop func(), err error) {
	if file, ok := in.(*os.File); ok {
		return t.watch(file)
	}
	go func() {
		if _, err := io.Copy(t, in); err == nil {
			t.all()
		}
	}()
	return func() { close(t.ended) }, nil
}

// watch hands on what is typed at a file. The function that it gives ends that, and
// waits until it has.
func (t *typing) watch(in *os.File) (stop func(), err error) {
	woken, wake, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("watch what is typed: %w", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		t.keys(int(in.Fd()), int(woken.Fd()))
	}()
	return func() {
		close(t.ended)
		wake.Close()
		<-read
		woken.Close()
	}, nil
}

// leave brings a terminal back to lines, whatever screen a program that was cut off
// has left there.
const leave = "\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[<u\x1b[>4m\x1b[?25h\x1b[0m\r"

// putThrough makes a terminal that of the command: its keys and its size. The
// function that it gives makes it the person's own again.
func (t *typing) putThrough(tty *os.File) (restore func(lost bool) error, err error) {
	fd := int(tty.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("prepare the terminal: %w", err)
	}
	unwatch, err := t.watch(tty)
	if err != nil {
		return nil, errors.Join(err, term.Restore(fd, cooked))
	}
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-sizes:
				if columns, rows, err := term.GetSize(fd); err == nil {
					_ = t.to.encode(kindResize, Size{columns, rows}) // the next one tells it again
				}
			case <-t.ended:
				return
			}
		}
	}()
	return func(lost bool) error {
		signal.Stop(sizes)
		unwatch()
		if lost {
			_, _ = io.WriteString(tty, leave) // a terminal that has gone needs nothing
		}
		if err := term.Restore(fd, cooked); err != nil {
			return fmt.Errorf("restore the terminal: %w", err)
		}
		return nil
	}, nil
}

// keys hands on what is typed at a file, and its end, until the other pipe ends:
// what is typed after that is for this program.
func (t *typing) keys(in, wake int) {
	fds := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	b := make([]byte, 4096)
	for {
		switch _, err := unix.Poll(fds, -1); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil, fds[1].Revents != 0:
			return
		}
		n, err := unix.Read(in, b)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n <= 0 { // of a terminal a signal tells, too
			t.all()
			return
		}
		if _, err := t.Write(b[:n]); err != nil {
			return
		}
	}
}
