package pitr

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"
)

// socketName is the feeder's socket in the directory of the server's own. It
// begins like theirs, so that whoever removes that directory removes it too.
const socketName = ".s.PGSQL.wal"

// listen makes the socket's directory, if need be, and the socket.
func listen(dir string, owner recovery.User) (*net.UnixListener, error) {
	err := os.Mkdir(dir, 0o700)
	if err == nil && owner.UID >= 0 {
		err = os.Lchown(dir, owner.UID, owner.GID)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the socket directory: %w", err)
	}
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of an earlier attempt: %w", err)
	}
	// It has its mode before it has its name: whoever owns the directory may put something else
	// in its place.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var errMode error
		err := c.Control(func(fd uintptr) { errMode = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, errMode)
	}}
	listening, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the restored server: %w", err)
	}
	l := listening.(*net.UnixListener)
	if owner.UID >= 0 {
		if err := os.Lchown(path, owner.UID, owner.GID); err != nil {
			return nil, errors.Join(fmt.Errorf("listen for the restored server: %w", err), l.Close())
		}
	}
	return l, nil
}

// serve answers requests until the listener is closed.
func (f *feeder) serve(l *net.UnixListener) {
	f.work.Go(func() {
		for {
			conn, err := l.AcceptUnix()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				f.fail(fmt.Errorf("listen for the restored server: %w", err))
				return
			}
			f.work.Go(func() { f.answer(conn) })
		}
	})
}

// requestTime is how long a client may take to say what it wants.
const requestTime = 30 * time.Second

// answer serves one client. It never answers a request that it could not read:
// then the client finds the connection closed, and fails.
func (f *feeder) answer(conn *net.UnixConn) {
	defer conn.Close()
	if !f.trusted(conn) {
		return
	}
	var r walfetch.Request
	if conn.SetReadDeadline(time.Now().Add(requestTime)) != nil {
		return
	}
	line, err := bufio.NewReaderSize(conn, 4096).ReadSlice('\n')
	if err != nil || json.Unmarshal(line, &r) != nil {
		return
	}
	// A client that cannot be answered any more has died; PostgreSQL sees that.
	_ = json.NewEncoder(conn).Encode(walfetch.Answer{Exit: f.fetch(r.Name, r.Path)})
}

// trusted reports whether the client runs as the server's user, or as ours.
func (f *feeder) trusted(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return false
	}
	uid := int(cred.Uid)
	return uid == os.Geteuid() || uid == f.owner.UID
}
