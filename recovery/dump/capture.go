package dump

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/written"
	"comeback/storage"
)

var (
	_ recovery.Capturer = engine{}
	_ recovery.Itemizer = engine{}
)

// Takes names the sorts of backups.
func (engine) Takes() []string { return []string{"dump"} }

// Gone goes by the names: a dump is all that was stored under its own, and the roles of its
// server lie beside it.
func (engine) Gone(b recovery.Backup, m recovery.Manifest) (parts, roles []recovery.StoredObject) {
	there := map[string]bool{}
	for _, o := range b.Objects {
		there[o.Key] = true
	}
	for _, o := range m.Objects {
		if !there[o.Key] && (o.Key == m.ID || strings.HasPrefix(o.Key, m.ID+"/")) {
			parts = append(parts, o)
		}
		if strings.HasSuffix(o.Key, rolesName) && b.Details[detailRoles] != o.Key {
			roles = append(roles, o)
		}
	}
	return parts, roles
}

// Fingerprint is empty: nothing cheap tells that no row of a database has
// changed.
func (engine) Fingerprint(context.Context, recovery.Capture) (string, error) { return "", nil }

// Capture dumps the live database as pg_dump does it: a custom archive that is
// streamed into the copies, or a directory with several jobs, which lies in Temp
// until it is stored. What the dump needs of the server, its roles and
// tablespaces, is stored before it as NAME.globals.sql. The rows are counted, and
// their digests made, in the very snapshot that is dumped.
func (e engine) Capture(ctx context.Context, src recovery.Capture) (m recovery.Manifest, err error) {
	t := taking{engine: e, Capture: src}
	if err := t.connect(ctx); err != nil {
		return m, fmt.Errorf("dump %s: %w", src.Component.Name, err)
	}
	defer t.close()
	if m, err = t.take(ctx); err != nil {
		return m, fmt.Errorf("dump %s: %w", src.Component.Name, err)
	}
	return m, nil
}

// taking is a dump that is being taken.
type taking struct {
	engine
	recovery.Capture
	tools    postgres.Tools
	conn     *pgx.Conn
	tx       pgx.Tx
	address  string
	conninfo string
	env      []string
	server   captured
}

// captured is what the server says of itself and of the snapshot.
type captured struct {
	Version, Database, System, Snapshot, Role string
	At                                        time.Time
	LSN                                       recovery.LSN
	Bytes                                     int64
}

func (t *taking) connect(ctx context.Context) error {
	address, err := t.Component.Lives("url")
	if err != nil {
		return err
	}
	if t.address, err = t.Secret(address); err != nil {
		return err
	}
	if t.conn, err = postgres.ConnectLive(ctx, t.address); err != nil {
		return err
	}
	if err := t.snapshot(ctx); err != nil {
		t.close()
		return err
	}
	return nil
}

func (t *taking) close() {
	t.conn.Close(context.Background()) // the snapshot ends with it
}

// snapshot opens the transaction whose snapshot is dumped, and asks what the
// server is. It waits, and counts, for as long as the dump takes.
func (t *taking) snapshot(ctx context.Context) (err error) {
	if t.tx, err = t.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return fmt.Errorf("open a snapshot: %w", err)
	}
	if err := postgres.UnhurryWithin(ctx, t.tx); err != nil {
		return err
	}
	s := &t.server
	var lsn string
	err = t.tx.QueryRow(ctx, `select pg_export_snapshot(), clock_timestamp(), current_setting('server_version'), current_database()::text, current_user::text,
		case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_insert_lsn() end::text,
		pg_database_size(current_database())`).Scan(&s.Snapshot, &s.At, &s.Version, &s.Database, &s.Role, &lsn, &s.Bytes)
	if err != nil {
		return fmt.Errorf("open a snapshot: %w", err)
	}
	s.At = s.At.UTC()
	if s.LSN, err = recovery.ParseLSN(lsn); err != nil {
		return fmt.Errorf("open a snapshot: %w", err)
	}
	if s.System, err = systemOf(ctx, t.tx); err != nil {
		return fmt.Errorf("open a snapshot: %w", err)
	}
	if err := t.findTools(); err != nil {
		return err
	}
	config, err := postgres.LiveConfig(t.address)
	if err != nil {
		return err
	}
	t.conninfo, t.env, err = postgres.ProgramAddress(t.address, config, s.Database)
	return err
}

// systemOf asks for the server's identifier, which not every role may: then it is "". A
// savepoint keeps that from ending the transaction.
func systemOf(ctx context.Context, tx pgx.Tx) (id string, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select system_identifier::text from pg_control_system()").Scan(&id)
	})
	if postgres.NotAllowed(err) {
		return "", nil
	}
	return id, err
}

// findTools finds the programs of the server's major, or of the next newer one.
func (t *taking) findTools() error {
	wanted := postgres.Major(t.server.Version)
	for _, tools := range t.Installed() { // the newest first: the last that fits is the nearest
		if tools.Major >= wanted {
			t.tools = tools
		}
	}
	if t.tools.Major == 0 {
		return recovery.Errorf("install it, for example with: apt-get install "+fmt.Sprintf("postgresql-client-%d", wanted),
			"the server is PostgreSQL %d, and no pg_dump of that or of a newer major is installed here", wanted).WithExit(recovery.Usage)
	}
	return t.tools.Need("pg_dump", "pg_dumpall")
}

var unsafeName = pattern.New(`[^A-Za-z0-9_.-]+`)

// key is what the names of the dump's objects begin with.
func (t *taking) key() string {
	return t.Component.Prefix() + unsafeName.ReplaceAllString(t.server.Database, "_") + "-" + t.Stamp
}

func (t *taking) take(ctx context.Context) (recovery.Manifest, error) {
	m := recovery.Manifest{Engine: Name, Form: "custom archive", Moment: recovery.Span{From: t.server.At, To: t.server.At}, Start: t.server.LSN,
		SourceBytes: t.server.Bytes, TableDigest: postgres.TableDigest,
		Source: map[string]string{"database": t.server.Database, recovery.ServerVersion: t.server.Version, "role": t.server.Role},
		Tools:  map[string]string{"pg_dump": t.tools.Version}}
	if t.server.System != "" {
		m.Source[recovery.SystemIdentifier] = t.server.System
	}
	key := t.key()
	switch t.Component.Settings.Text("dump_format") {
	case "", "custom", "directory":
	default:
		return m, recovery.Errorf("write custom or directory", "`dump_format` of %s is %q", t.Component.Name, t.Component.Settings.Text("dump_format")).WithExit(recovery.Usage)
	}
	m.ID = key + ".dump"
	last := m.ID
	directory := t.Component.Settings.Text("dump_format") == "directory"
	if directory {
		m.Form, m.ID, last = directoryArchive.says(unpacked), key, key+"/"+tocFile
	}
	if err := t.Begin(ctx, recovery.Beginning{ID: m.ID, Prefixes: []string{key}, Last: last}); err != nil {
		return m, err
	}
	remark, err := t.globals(ctx, key+rolesName)
	if err != nil {
		return m, err
	}
	if remark != "" {
		m.Remarks = append(m.Remarks, remark)
	}
	// The rows are counted beside the dump: both see the same snapshot.
	counting, stop := context.WithCancel(ctx)
	defer stop()
	counted := make(chan error, 1)
	go func() {
		var err error
		m.Tables, err = postgres.ReadTables(counting, t.tx, nil)
		counted <- err
	}()
	if directory {
		err = t.directory(ctx, key)
	} else {
		err = t.custom(ctx, m.ID)
	}
	if err != nil {
		stop()
	}
	if errCount := <-counted; err == nil && errCount != nil {
		m.Tables, m.Remarks = nil, append(m.Remarks, "the rows could not be counted: "+errCount.Error())
	}
	return m, err
}

// dumpArgs are what every dump is asked for.
func (t *taking) dumpArgs(more ...string) []string {
	return append([]string{"--dbname", t.conninfo, "--snapshot", t.server.Snapshot, "--no-password"}, more...)
}

// atMost is how large an archive of a database may be: what does not get smaller there gets a
// little larger, as text that is compressed.
func atMost(database int64) int64 { return database + database/4 }

// custom streams a custom archive. pg_dump's failure is the stream's, so that no
// object is left of a dump that did not end well.
func (t *taking) custom(ctx context.Context, key string) error {
	t.Meter.Phase("dump "+t.server.Database, 0, recovery.InBytes)
	_, err := storage.PutFrom(ctx, t.Store, key, atMost(t.server.Bytes), t.Meter.Add, func(ctx context.Context, w io.Writer) error {
		err := t.Command(ctx, recovery.Cmd{Path: t.tools.Program("pg_dump"), Args: t.dumpArgs("--format=custom"), Dir: "/", Env: t.env, Stdout: w})
		return t.explain(err)
	})
	return err
}

// explain gives pg_dump's refusal its next step.
func (t *taking) explain(err error) error {
	if err == nil {
		return nil
	}
	hint := t.tools.HintFor(err.Error())
	if strings.Contains(err.Error(), "permission denied") {
		hint = "as a superuser: grant pg_read_all_data to " + t.server.Role
	}
	if hint == "" {
		return err
	}
	return &recovery.Error{What: err.Error(), Hint: hint, Err: err}
}

// maxDumpJobs is how many jobs take a dump at most.
const maxDumpJobs = 64

// directory dumps with several jobs into Temp and stores the files, the table of
// contents last: without it, it is no archive.
func (t *taking) directory(ctx context.Context, key string) error {
	jobs := 2
	if text := t.Component.Settings.Text("dump_jobs"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxDumpJobs {
			return recovery.Errorf("write a number from 1 to "+strconv.Itoa(maxDumpJobs), "`dump_jobs` of %s is %q", t.Component.Name, text).WithExit(recovery.Usage)
		}
		jobs = n
	}
	if t.Room != nil && t.Last != nil && t.Last.Form == directoryArchive.says(unpacked) {
		if err := t.Room(t.Last.Size()); err != nil {
			return err
		}
	}
	t.Meter.Phase("dump "+t.server.Database, 0, recovery.InBytes)
	dir := filepath.Join(t.Temp, "dump")
	running, end := written.Within(ctx, t.Room, t.Meter, dir)
	err := t.Command(running, recovery.Cmd{Path: t.tools.Program("pg_dump"), Dir: "/", Env: t.env,
		Args: t.dumpArgs("--format=directory", "--jobs", strconv.Itoa(jobs), "--no-sync", "--file", dir)})
	if full := end(); err != nil && full != nil {
		return fmt.Errorf("stop the dump before the disk is full: %w", full)
	}
	if err != nil {
		return t.explain(err)
	}
	t.Meter.Phase("store", 0, recovery.InBytes)
	return storage.PutFiles(ctx, t.Store, dir, key+"/", func(name string) bool { return name == tocFile }, t.Meter.Add)
}

// globals stores what no dump of a database holds: roles, their passwords where
// this role may read them, tablespaces.
func (t *taking) globals(ctx context.Context, key string) (remark string, err error) {
	t.Meter.Phase("dump roles and tablespaces", 0, recovery.NoUnit)
	dump := func(more ...string) (string, error) {
		var out bytes.Buffer
		err := t.Command(ctx, recovery.Cmd{Path: t.tools.Program("pg_dumpall"), Dir: "/", Env: t.env, Stdout: &out,
			Args: append([]string{"--dbname", t.conninfo, "--globals-only", "--no-password"}, more...)})
		return out.String(), err
	}
	text, err := dump()
	if err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "permission denied") {
		remark = fmt.Sprintf("the role %s may not read the passwords of roles: they are not in the backup", t.server.Role)
		text, err = dump("--no-role-passwords")
	}
	if err != nil {
		return "", t.explain(err)
	}
	_, err = t.Store.Put(ctx, key, strings.NewReader(text), storage.PutOptions{IfAbsent: true, Size: int64(len(text))})
	return remark, err
}
