package dump

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// lastWords is how long a server that broke off a session may take to end and
// to say why.
const lastWords = 3 * time.Second

// serverError prefers the server's own words where it has died, or where its
// disk is full.
func serverError(server *postgres.Server, err error) error {
	if brokeOff(err) {
		select {
		case <-server.Exited():
		case <-time.After(lastWords):
		}
	}
	if ended := server.Err(); ended != nil {
		return ended
	}
	tools := server.Cluster().Tools
	if full := server.DiskFull(); full != "" {
		return recovery.Errorf(tools.HintFor(full), "%w: %s", err, full)
	}
	if recovery.HintOf(err) != "" {
		return err
	}
	if hint := hintFor(tools, err); hint != "" {
		return recovery.Errorf(hint, "%w", err)
	}
	return err
}

// hintFor is the next step after a failure that brings none along.
func hintFor(tools postgres.Tools, err error) string {
	switch {
	case errors.Is(err, errLost):
		return "retry; if it happens again, read the server's log in the step's log"
	case errors.Is(err, storage.ErrCorrupt):
		return "choose another dump or another copy"
	}
	return cmp.Or(recovery.CopyHint(err), tools.HintFor(err.Error()))
}

// brokeOff reports whether the server ended a session.
func brokeOff(err error) bool {
	return errors.Is(err, errLost) || strings.Contains(err.Error(), "server closed the connection") // pg_restore's
}
