package dump

import (
	"context"
	"encoding/json"

	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/recovery/postgres"
)

// Sessions are how many RestoreInto restores with.
var Sessions = 2

// RestoreInto restores a backup into a server that runs already: what the step
// does when it has one. Dir takes the files of an archive.
func RestoreInto(ctx context.Context, env recovery.Env, server *postgres.Server, dir string, b recovery.Backup, c recovery.Component) (recovery.Outcome, error) {
	a := args{Component: c.Name, Copy: b.Copy, Backup: b.ID, Objects: b.Objects, Taken: b.Taken, Database: c.Settings.Text("database")}
	if err := json.Unmarshal(b.Facts, &a.Head); err != nil {
		return recovery.Outcome{}, err
	}
	handle := recovery.Handle{Dir: dir, Scratch: true, Owner: server.Cluster().Owner}
	return newRestore(scratch{handle: handle, args: a}, env, server, Sessions).do(ctx)
}

// Choose finds the major to restore a backup with.
func Choose(installed []postgres.Tools, b recovery.Backup) (tools postgres.Tools, note string, older bool, err error) {
	var h head
	if err := json.Unmarshal(b.Facts, &h); err != nil {
		return tools, "", false, err
	}
	return choose(installed, h)
}

// SetPieces has rows dealt out in smaller pieces, and so many bytes wait at most, until
// the function that it gives is called.
func SetPieces(soft, held int) (reset func()) {
	s, h, l, e := pieceSoft, heldAtMost, lookedAt, earlyFrom
	pieceSoft, heldAtMost, lookedAt, earlyFrom = soft, held, int64(soft), int64(soft)
	return func() { pieceSoft, heldAtMost, lookedAt, earlyFrom = s, h, l, e }
}

// Worded are the columns of a relation in a server's database that are compared as a
// language does.
func Worded(ctx context.Context, env recovery.Env, server *postgres.Server, database string, of script.Relation) (map[string]bool, error) {
	s := &session{restore: newRestore(scratch{}, env, server, 1)}
	if err := s.connect(ctx, database); err != nil {
		return nil, err
	}
	defer s.close(ctx)
	c, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	return c.relations[of].worded, nil
}

// SystemOf asks for the identifier of a server.
var SystemOf = systemOf
