package pitr

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/written"
	"comeback/storage"
)

var _ recovery.Capturer = nativeEngine{}

// Takes names the sorts of backups.
func (nativeEngine) Takes() []string { return []string{"base"} }

// Fingerprint is empty: nothing cheap tells that no row of a cluster has changed.
func (nativeEngine) Fingerprint(context.Context, recovery.Capture) (string, error) { return "", nil }

// Capture makes a base backup with pg_basebackup: tar files compressed with zstd
// (with gzip, where the program is older than 15), the log that the backup needs,
// and the manifest. They lie in Temp until they are stored; base.tar goes last,
// because without it nothing is a base backup. The names of all relations are
// saved with it.
func (e nativeEngine) Capture(ctx context.Context, src recovery.Capture) (m recovery.Manifest, err error) {
	t := basing{nativeEngine: e, Capture: src}
	if m, err = t.take(ctx); err != nil {
		return m, fmt.Errorf("back up the cluster of %s: %w", src.Component.Name, err)
	}
	return m, nil
}

// basing is a base backup that is being made.
type basing struct {
	nativeEngine
	recovery.Capture
	server postgres.Archiver
	tools  postgres.Tools
}

// address is how a role that may replicate reaches the server.
func (t *basing) address() (string, error) {
	text, err := t.Component.Lives("admin", "url")
	if err != nil {
		return "", err
	}
	return t.Secret(text)
}

func (t *basing) take(ctx context.Context) (m recovery.Manifest, err error) {
	address, err := t.address()
	if err != nil {
		return m, err
	}
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return m, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := postgres.Unhurry(ctx, conn); err != nil { // it waits for as long as the backup takes
		return m, err
	}
	if t.server, err = postgres.ReadArchiver(ctx, conn); err != nil {
		return m, err
	}
	if err := t.findTools(); err != nil {
		return m, err
	}
	m = recovery.Manifest{Engine: t.name(), SourceBytes: clusterBytes(ctx, conn), Timeline: t.server.Timeline,
		Source: map[string]string{recovery.SystemIdentifier: t.server.SystemIdentifier, recovery.ServerVersion: t.server.Version, "database": t.server.Database},
		Tools:  map[string]string{"pg_basebackup": t.tools.Version}}
	m.ID = t.prefix() + t.Stamp
	if err := t.Begin(ctx, recovery.Beginning{ID: m.ID, Prefixes: []string{m.ID + "/"}, Last: m.ID + "/base.tar" + t.tools.Packing().Suffix}); err != nil {
		return m, err
	}
	dir := filepath.Join(t.Temp, "base")
	begun := t.Now()
	followed, err := t.follow(ctx, conn, &m)
	if err != nil {
		return m, err
	}
	finish := t.record(ctx, conn) // which has the session from here on
	err = t.basebackup(ctx, address, conn, dir, followed, &m)
	if errCount := finish(&m, err); errCount != nil { // it restores without them
		m.Remarks = append(m.Remarks, "the rows could not be counted: "+errCount.Error())
	}
	if err != nil {
		return m, err
	}
	if err := manifestEnds(dir, &m); err != nil {
		return m, err
	}
	// By the server's own clock, as far as its answer tells.
	started := t.server.Now.UTC()
	m.Moment = recovery.Span{From: started, To: started.Add(t.Now().Sub(begun))}
	t.Meter.Phase("store", 0, recovery.InBytes)
	if err := storage.PutFiles(ctx, t.Store, dir, m.ID+"/", isBase, t.Meter.Add); err != nil {
		return m, err
	}
	m.Names, err = SaveNames(ctx, NamesOptions{Component: t.Component, Store: t.Store, Conn: conn, System: t.server.SystemIdentifier, Now: t.Now})
	if err != nil { // the backup is stored, and restores without them
		m.Remarks = append(m.Remarks, err.Error())
	}
	return m, nil
}

// roomy refuses a backup that Temp has no room for: as much as the one before it took where
// that was of the same form, or else an eighth of the cluster, to which text shrinks: what is
// written is watched. What has changed nobody knows before.
func (t *basing) roomy(m *recovery.Manifest) error {
	if t.Room == nil {
		return nil
	}
	switch {
	case t.Last != nil && t.Last.Form == m.Form:
		return t.Room(t.Last.Size())
	case strings.HasPrefix(m.Form, incrementalForm):
		return t.Room(0)
	}
	return t.Room(m.SourceBytes / 8)
}

// incrementalForm begins the form of a backup that holds what has changed since another.
const incrementalForm = "incremental "

// isBase tells the file that makes a base backup of the others.
func isBase(name string) bool { return strings.HasPrefix(name, "base.tar") }

// prefix is where base backups are made in a copy.
func (t *basing) prefix() string {
	if p := prefixOf(t.Component, "backups"); p != "" {
		return p
	}
	return recovery.BasesIn
}

// WALPrefix is where the log of a component is archived in a copy, with a slash at
// its end.
func WALPrefix(c recovery.Component) string {
	if p := prefixOf(c, "wal"); p != "" {
		return p
	}
	return recovery.LogIn
}

// findTools finds pg_basebackup of the server's major, or of the next newer one
// that can be had; those of a newer major back up older servers.
func (t *basing) findTools() error {
	major := postgres.Major(t.server.Version)
	tools, err := t.Tools(major)
	newest, errNewest := t.Tools(0)
	for newer := major + 1; err != nil && errNewest == nil && newer <= newest.Major; newer++ {
		if next, none := t.Tools(newer); none == nil {
			tools, err = next, nil
		}
	}
	if err != nil {
		return err
	}
	t.tools = tools
	return tools.Need("pg_basebackup")
}

// clusterBytes is how large the cluster's databases are; 0 where the role may not
// ask.
func clusterBytes(ctx context.Context, conn *pgx.Conn) int64 {
	var n int64
	if err := conn.QueryRow(ctx, "select coalesce(sum(pg_database_size(oid)), 0)::int8 from pg_database where has_database_privilege(oid, 'connect')").Scan(&n); err != nil {
		return 0
	}
	return n
}

// basebackup runs pg_basebackup into a directory, for what has changed since the
// backup with the manifest that is followed, where one is. A server that lacks the
// summaries of that log gives a full backup.
func (t *basing) basebackup(ctx context.Context, address string, conn *pgx.Conn, dir, followed string, m *recovery.Manifest) error {
	conninfo, env, err := postgres.ProgramAddress(address, conn.Config(), t.server.Database)
	if err != nil {
		return err
	}
	args := []string{"--dbname", conninfo, "--no-password", "--pgdata", dir, "--format=tar", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
		"--label", "comeback " + t.Stamp, t.tools.Packing().Argument}
	m.Form = "base backup, tar, " + t.tools.Packing().Name
	if followed != "" {
		m.Form, args = incrementalForm+m.Form, append(args, "--incremental="+followed)
	}
	if err := t.roomy(m); err != nil {
		return err
	}
	t.Meter.Phase("copy the cluster, "+recovery.FormatBytes(m.SourceBytes), 0, recovery.InBytes)
	env = append(env, "PGAPPNAME="+t.application())
	running, end := written.Within(ctx, t.Room, t.Meter, dir)
	err = t.Command(running, recovery.Cmd{Path: t.tools.Program("pg_basebackup"), Args: args, Dir: "/", Env: env})
	full := end()
	switch {
	case err == nil:
		return nil
	case full != nil:
		return fmt.Errorf("stop the copy before the disk is full: %w", full)
	}
	if followed != "" && ctx.Err() == nil && strings.Contains(err.Error(), "summar") {
		m.Remarks = append(m.Remarks, fmt.Sprintf("a full backup was taken, not one that is incremental to %s: %v", m.Source["incremental to"], err))
		delete(m.Source, "incremental to")
		m.Reused = nil
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("take a full backup instead: %w", err)
		}
		return t.basebackup(ctx, address, conn, dir, "", m)
	}
	hint := t.tools.HintFor(err.Error())
	switch {
	case strings.Contains(err.Error(), "must be superuser or replication role"), strings.Contains(err.Error(), "permission denied"):
		hint = "let `admin:` of the component be a role that may replicate: alter role … replication"
	case strings.Contains(err.Error(), "no pg_hba.conf entry for replication"):
		hint = "allow this role in the server's pg_hba.conf, for the database \"replication\""
	}
	return &recovery.Error{What: err.Error(), Hint: hint, Err: err}
}

// manifestEnds reads where the backup's log begins and ends.
func manifestEnds(dir string, m *recovery.Manifest) error {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return fmt.Errorf("read what pg_basebackup has written: %w", err)
	}
	i := strings.LastIndex(string(b), `"WAL-Ranges":`)
	if i < 0 {
		return fmt.Errorf("read what pg_basebackup has written: its manifest does not say which log it needs")
	}
	r, err := decodeRanges(json.NewDecoder(strings.NewReader(string(b[i+len(`"WAL-Ranges":`):]))))
	if err != nil {
		return fmt.Errorf("read what pg_basebackup has written: %w", err)
	}
	m.Start, m.Stop, m.Timeline = r.Start, r.Stop, r.Timeline
	return nil
}
