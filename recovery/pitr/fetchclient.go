package pitr

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
)

// The environment of a restored server carries the way to the step that feeds
// it, so that restore_command is a constant.
const (
	// SocketEnv names the socket of the running step.
	SocketEnv = "COMEBACK_WAL_SOCKET"
	// exeEnv names the program that restore_command starts.
	exeEnv = "COMEBACK_EXE"
	// shelfEnv names the directory where the next segments lie.
	shelfEnv = "COMEBACK_WAL_READY"
)

// restoreCommand is the same for every server. PostgreSQL puts the file's name
// for %f and a path for %p, both of its own making. What lies ready is moved
// into place by the shell, in two milliseconds; for everything else, the first
// segment among it, the program asks the running step. PostgreSQL takes an exit code up to
// 125 for "not in the archive" and then opens the database early, which a crash
// of the program (2 in Go), a shell that cannot find it (127) or a signal must
// never bring about: only 1 passes, everything else becomes 200.
const restoreCommand = `{ test -f "$COMEBACK_WAL_READY/%f" && mv -f "$COMEBACK_WAL_READY/%f" "%p"; } || "$COMEBACK_EXE" wal fetch "%f" "%p" || case $? in 1) exit 1;; *) exit 200;; esac`

// The exit codes of `wal fetch`.
const (
	fetched     = 0
	notThere    = 1 // proven absent, and not needed
	fetchFailed = 200
)

// request is what the client asks, one JSON line; answer is what the step says.
type request struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

type answer struct {
	Exit int `json:"exit"`
}

// FetchClient asks the running step, through its socket, for a file of the WAL
// archive, and gives the exit code for `wal fetch NAME PATH`: 0 when the file
// lies at path, 1 when it is proven not to exist and not needed, 200 for
// everything else. The step knows and tells why.
func FetchClient(ctx context.Context, socket, name, path string) int {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fetchFailed
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(request{Name: name, Path: path}); err != nil {
		return fetchFailed
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	a := answer{Exit: fetchFailed}
	if err != nil || json.Unmarshal(line, &a) != nil {
		return fetchFailed
	}
	switch a.Exit {
	case fetched, notThere:
		return a.Exit
	}
	return fetchFailed
}
