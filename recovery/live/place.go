package live

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
)

// place finds the server's data directory on this machine, and which directory it
// is. Where the server runs elsewhere there is nothing to find; where it runs here
// and cannot be looked at, that is unknown.
func (l *looker) place(server, directory string, started time.Time) error {
	local, err := isLocal(server)
	if err != nil {
		return err
	}
	if !local {
		l.Data = directory
		return nil
	}
	pid := l.conn.PgConn().PID()
	data, err := directoryOf(pid, directory, started)
	if err != nil {
		l.unknown("which directory the server's data are in", err, "root, or the server's own user, on this machine")
		return nil
	}
	if l.Host, err = os.Hostname(); err != nil {
		return fmt.Errorf("read this machine's name: %w", err)
	}
	l.Data, l.Boot = data, ledger.Boot()
	l.Inode, err = exchange.Identify(data)
	return err
}

// isLocal reports whether an address is one of this machine's; none is a Unix
// socket.
func isLocal(server string) (bool, error) {
	if server == "" {
		return true, nil
	}
	ip := net.ParseIP(server)
	if ip.IsLoopback() {
		return true, nil
	}
	ours, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range ours {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true, nil
		}
	}
	return false, nil
}

var errElsewhere = errors.New("no process here is the server's: it runs in a container, or behind an address that leads elsewhere")

// directoryOf finds the data directory by the process that serves our session:
// every process of a server stands in it. The server's postmaster.pid there must
// name that process's parent and the time at which it was started, so that another
// machine's number is not taken for one of ours.
func directoryOf(pid uint32, says string, started time.Time) (string, error) {
	proc := filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10))
	data, err := os.Readlink(filepath.Join(proc, "cwd"))
	if errors.Is(err, os.ErrNotExist) {
		return "", errElsewhere
	}
	if err != nil {
		if says == "" {
			return "", err
		}
		data = says
	}
	if data, err = filepath.EvalSymlinks(data); err != nil {
		return "", err
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return "", errElsewhere
	}
	lock, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", errElsewhere
		}
		return "", err
	}
	lines := bytes.Split(lock, []byte("\n"))
	if len(lines) < 3 || !strings.Contains(string(status), "\nPPid:\t"+strings.TrimSpace(string(lines[0]))+"\n") {
		return "", errElsewhere
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(lines[2])), 10, 64)
	if err != nil || time.Unix(at, 0).Sub(started).Abs() > startMargin {
		return "", errElsewhere
	}
	return data, nil
}

// startMargin is between the two clocks that a starting server reads.
const startMargin = time.Minute
