package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	socketName = "socket"
	logName    = "log"
)

// Socket addresses have room for 107 bytes, and a state directory may lie
// deeper. A socket is therefore named by way of its open directory, in /proc.
func socketAddress(dir *os.File) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName)}
}

func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// listenIn makes the socket of a run, in the place of one that a dead runner
// left. The journal's lock must be held.
func (h Home) listenIn(dir string) (*net.UnixListener, error) {
	if err := h.mkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make the run's socket: %w", err)
	}
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the run's socket: %w", err)
	}
	d, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("make the run's socket: %w", err)
	}
	defer d.Close()
	l, err := net.ListenUnix("unix", socketAddress(d))
	if err != nil {
		return nil, fmt.Errorf("make the run's socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name in /proc is gone by then
	if err = os.Chmod(path, 0o600); err == nil {
		err = h.open(path, 0o660)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the run's socket: %w", err), l.Close())
	}
	return l, nil
}

// vanish removes what only a living run has, so that nobody new attaches. What
// the process of a run that has not ended has logged stays, for who looks for the
// reason.
func (h Home) vanish(id string, ended bool) error {
	if ended {
		return os.RemoveAll(h.LiveDir(id))
	}
	if err := os.Remove(filepath.Join(h.LiveDir(id), socketName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dialIn connects to the socket in a directory.
func dialIn(ctx context.Context, dir string) (net.Conn, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", socketAddress(d).Name)
}

// peerUID is the user at the other end of a connection, as the kernel says.
func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return cred.Uid, nil
}

// networkOf names the network of who made a socket, of an accepted one that of the other
// end: two that differ are two networks. It is 0 where the kernel does not say, as before
// Linux 5.14; boxes are then kept out by their not seeing the socket.
func networkOf(c syscall.Conn) uint64 {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	var cookie uint64
	if err := raw.Control(func(fd uintptr) {
		cookie, _ = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	}); err != nil {
		return 0
	}
	return cookie
}

// operatorOf is who a user counts as. The kernel's word is taken, but for root,
// which several people may be: there what they say of themselves counts.
func operatorOf(uid uint32, asserted string) string {
	if uid == 0 && asserted != "" {
		return asserted
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}
