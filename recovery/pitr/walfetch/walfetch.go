// Package walfetch is how a server that is being restored asks the step that feeds
// it for a file of the WAL archive: restore_command starts `comeback wal fetch NAME
// PATH`, and that is a question over the step's socket, one line of JSON each way.
//
// The client promises that only a clear answer of the step counts: a file that lies
// at its path, or the proof that there is none. Everything else, a panic among it,
// is Failed, which PostgreSQL cannot take for the archive's end.
package walfetch

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
)

// SocketEnv names the socket of the running step.
const SocketEnv = "COMEBACK_WAL_SOCKET"

// The exit codes of `wal fetch`. PostgreSQL takes one up to 125 for "not in the
// archive".
const (
	Fetched = 0
	Absent  = 1 // proven absent, and not needed
	Failed  = 200
)

// Request is what the client asks: a file of the archive, to be laid at a path.
type Request struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// Answer is what the step says.
type Answer struct {
	Exit int `json:"exit"`
}

// Ask asks the running step, through its socket, for a file, and gives the exit
// code. The step knows and tells why.
func Ask(ctx context.Context, socket, name, path string) int {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return Failed
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(Request{Name: name, Path: path}); err != nil {
		return Failed
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	a := Answer{Exit: Failed}
	if err != nil || json.Unmarshal(line, &a) != nil {
		return Failed
	}
	switch a.Exit {
	case Fetched, Absent:
		return a.Exit
	}
	return Failed
}
