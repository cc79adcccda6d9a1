package isolation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Door leads from outside to the loopback of one box, and never back: whoever
// holds it asks the box's init for a connection and is handed it. It needs
// [Box.Processes], whose init stays as long as the program does.
type Door struct {
	inside *os.File // until the box has been started

	mu      sync.Mutex // one question at a time
	outside *net.UnixConn
	asked   uint32
}

// knock is how long an init tries to reach an address of its own loopback.
const knock = 5 * time.Second

// NewDoor makes a door for one box, to be closed by the caller.
func NewDoor() (*Door, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a door: %w", err)
	}
	inside, outside := os.NewFile(uintptr(fds[0]), "door"), os.NewFile(uintptr(fds[1]), "door")
	conn, err := net.FileConn(outside) // a duplicate
	err = errors.Join(err, outside.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a door: %w", err), inside.Close())
	}
	return &Door{inside: inside, outside: conn.(*net.UnixConn)}, nil
}

// Close closes the door; connections that were handed out stay.
func (d *Door) Close() error {
	return errors.Join(d.outside.Close(), d.shutInside())
}

// shutInside gives up the end that only the box's init is to have.
func (d *Door) shutInside() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == nil {
		return nil
	}
	err := d.inside.Close()
	d.inside = nil
	return err
}

// Dial connects to an address of the box's own loopback, "127.0.0.1:8080".
func (d *Door) Dial(ctx context.Context, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(2 * knock)
	}
	if err := d.outside.SetDeadline(until); err != nil {
		return nil, fmt.Errorf("reach %s: %w", address, err)
	}
	defer context.AfterFunc(ctx, func() { _ = d.outside.SetDeadline(time.Unix(1, 0)) })()
	d.asked++
	question := binary.BigEndian.AppendUint32(nil, d.asked)
	if _, err := d.outside.Write(append(question, address...)); err != nil {
		return nil, fmt.Errorf("reach %s: the program has ended: %w", address, err)
	}
	for {
		answered, says, file, err := d.answer()
		switch {
		case err != nil:
			return nil, fmt.Errorf("reach %s: %w", address, errors.Join(ctx.Err(), err))
		case answered != d.asked: // of one that nobody waited for
			if file != nil {
				file.Close()
			}
		case file == nil:
			return nil, errors.New(says)
		default:
			conn, err := net.FileConn(file)
			if err = errors.Join(err, file.Close()); err != nil {
				return nil, fmt.Errorf("reach %s: %w", address, err)
			}
			return conn, nil
		}
	}
}

// answer reads one answer of the init: to which question, and a socket or why
// there is none.
func (d *Door) answer() (to uint32, says string, file *os.File, err error) {
	text, control := make([]byte, 1<<10), make([]byte, syscall.CmsgSpace(4))
	n, c, _, _, err := d.outside.ReadMsgUnix(text, control)
	if err == nil && n < 4 || errors.Is(err, unix.ECONNRESET) || errors.Is(err, io.EOF) {
		err = errors.New("the program has ended")
	}
	if err != nil {
		return 0, "", nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(control[:c])
	if err != nil {
		return 0, "", nil, err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return 0, "", nil, err
		}
		for _, fd := range fds {
			file = os.NewFile(uintptr(fd), "connection")
		}
	}
	return binary.BigEndian.Uint32(text), string(text[4:n]), file, nil
}

// serveDoor answers at the inner end of a door until the outer one is closed.
func serveDoor(fd int) {
	question := make([]byte, 512)
	for {
		n, err := unix.Read(fd, question)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 4 {
			return
		}
		answer := append([]byte(nil), question[:4]...)
		var rights []byte
		conn, err := net.DialTimeout("tcp", string(question[4:n]), knock)
		var file *os.File
		if err == nil {
			file, err = conn.(*net.TCPConn).File()
			conn.Close()
		}
		if err != nil {
			answer = append(answer, err.Error()...)
		} else {
			rights = syscall.UnixRights(int(file.Fd()))
		}
		err = unix.Sendmsg(fd, answer, rights, nil, 0)
		if file != nil {
			file.Close()
		}
		if err != nil {
			return
		}
	}
}
