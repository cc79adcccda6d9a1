// Package port keeps a port of this host for a server that is about to be started, and
// that cannot tell which port it was given. Who closes a listener and starts a server on
// its port may find that somebody else was given it in between; a kept port is given to
// nobody.
//
// It rests on Linux: a socket that is bound and does not listen keeps bind(2) from
// giving its port to anybody who asks for any, and lets one have it who asks for it by
// number, where both say SO_REUSEADDR. PostgreSQL, sshd, Go's net and most servers do.
package port

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Kept is a port of 127.0.0.1, kept until Close.
type Kept struct {
	Number int
	fd     int
}

// Keep keeps one that is free. Nobody answers there: who connects is refused.
func Keep() (*Kept, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keep a port: %w", err)
	}
	k := &Kept{fd: fd}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var at unix.Sockaddr
	if err == nil {
		at, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("keep a port: %w", err)
	}
	k.Number = at.(*unix.SockaddrInet4).Port
	return k, nil
}

// Address is "127.0.0.1:4711".
func (k *Kept) Address() string { return "127.0.0.1:" + strconv.Itoa(k.Number) }

// Close lets the port go, once the server listens or nobody needs it any more.
func (k *Kept) Close() error {
	if err := unix.Close(k.fd); err != nil {
		return fmt.Errorf("let a port go: %w", err)
	}
	return nil
}
