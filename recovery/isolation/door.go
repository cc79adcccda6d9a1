package isolation

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Door leads from outside to the loopback of one box, and never back: whoever
// holds it asks the box's init for a connection and is handed it, and is handed
// the listeners of [Box.Listen]. It needs [Box.Processes], whose init stays as long
// as the program does.
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
	says, file, err := d.ask(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", address, err)
	}
	if file == nil {
		return nil, errors.New(says)
	}
	conn, err := net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("reach %s: %w", address, err)
	}
	return conn, nil
}

// Listening lists the TCP addresses that are listened on in the box, as Dial takes
// them and as they were bound: "127.0.0.1:8080", "[::]:80".
func (d *Door) Listening(ctx context.Context) ([]string, error) {
	says, file, err := d.ask(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("ask what listens in a box: %w", err)
	}
	if file != nil {
		return nil, errors.Join(errors.New("ask what listens in a box: it answered with a connection"), file.Close())
	}
	return strings.Fields(says), nil
}

// Listeners are those of the box's Listen, in their order; it is called once, after
// the box has been started. One that the box could not make is nil. They outlive the
// box, but nobody connects to them any more.
func (d *Door) Listeners(n int) ([]net.Listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.outside.SetDeadline(time.Now().Add(knock)); err != nil {
		return nil, fmt.Errorf("take listeners: %w", err)
	}
	var all []net.Listener
	for range n {
		_, _, file, err := d.answer()
		var l net.Listener
		if err == nil && file != nil {
			l, err = net.FileListener(file)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			for _, l := range all {
				if l != nil {
					err = errors.Join(err, l.Close())
				}
			}
			return nil, fmt.Errorf("take listeners: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}

// ask gives what the init answers: words, or a file.
func (d *Door) ask(ctx context.Context, question string) (says string, file *os.File, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(2 * knock)
	}
	if err := d.outside.SetDeadline(until); err != nil {
		return "", nil, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = d.outside.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted // or the next question would be cut off
		}
	}()
	d.asked++
	if _, err := d.outside.Write(append(binary.BigEndian.AppendUint32(nil, d.asked), question...)); err != nil {
		return "", nil, fmt.Errorf("the program has ended: %w", err)
	}
	for {
		answered, says, file, err := d.answer()
		switch {
		case err != nil:
			return "", nil, errors.Join(ctx.Err(), err)
		case answered == d.asked:
			return says, file, nil
		case file != nil: // of a question that nobody waited for
			file.Close()
		}
	}
}

// answer reads one answer of the init: to which question, and a socket or why
// there is none.
func (d *Door) answer() (to uint32, says string, file *os.File, err error) {
	text, control := make([]byte, maxAnswer), make([]byte, syscall.CmsgSpace(4))
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
		var says string
		var file *os.File
		if address := string(question[4:n]); address == "" {
			says, err = listening()
		} else {
			file, err = reach(address)
		}
		if err != nil {
			says = err.Error()
		}
		if err := answer(fd, question[:4], says, file); err != nil {
			return
		}
	}
}

// maxAnswer bounds, in bytes, what an init answers.
const maxAnswer = 8 << 10

// answer sends words or a file, which it closes.
func answer(fd int, to []byte, says string, file *os.File) error {
	text := append(append([]byte(nil), to...), says...)
	var rights []byte
	if file != nil {
		rights = syscall.UnixRights(int(file.Fd()))
		defer file.Close()
	}
	return unix.Sendmsg(fd, text[:min(len(text), maxAnswer)], rights, nil, 0)
}

// reach connects to an address.
func reach(address string) (*os.File, error) {
	conn, err := net.DialTimeout("tcp", address, knock)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*net.TCPConn).File()
}

// handOut listens on addresses and sends the listeners out through a door. One that
// cannot be made is told in words.
func handOut(door int, addresses []string) error {
	for _, address := range addresses {
		file, err := listen(address)
		says := ""
		if err != nil {
			says = err.Error()
		}
		if err := answer(door, make([]byte, 4), says, file); err != nil {
			return err
		}
	}
	return nil
}

func listen(address string) (*os.File, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// listening lists the TCP addresses of this network that are listened on, one a
// line.
func listening() (string, error) {
	var all []string
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if errors.Is(err, os.ErrNotExist) {
			continue // a host without IPv6
		}
		if err != nil {
			return "", err
		}
		found, err := listenedOn(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		all = append(all, found...)
	}
	return strings.Join(all, "\n"), nil
}

// listenedOn reads /proc/net/tcp or tcp6: the addresses of the sockets that listen.
// An address is words of four bytes in the order of the host, a port is a number:
// https://docs.kernel.org/networking/proc_net_tcp.html.
func listenedOn(r io.Reader) ([]string, error) {
	const listens = "0A" // TCP_LISTEN
	var all []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// sl local_address rem_address st …
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != listens {
			continue
		}
		local, port, _ := strings.Cut(fields[1], ":")
		words, err := hex.DecodeString(local)
		number, portErr := strconv.ParseUint(port, 16, 16)
		if err != nil || portErr != nil || len(words)%4 != 0 {
			continue
		}
		for w := words; len(w) > 0; w = w[4:] {
			binary.NativeEndian.PutUint32(w, binary.BigEndian.Uint32(w))
		}
		if ip, ok := netip.AddrFromSlice(words); ok {
			all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(number)).String())
		}
	}
	return all, lines.Err()
}
