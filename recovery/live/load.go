package live

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Source is the restored database in a scratch server.
type Source struct {
	// Address is its address; what it holds of a password stands in no command line.
	Address string
	// Tools are of the scratch server's major.
	Tools postgres.Tools
	// Dir is a private directory of the run, for the dump on its way, which is made where it is
	// not there; what is called "dump" in it is replaced. Nobody else may write to it, or to the
	// one that it lies in: the server that is dumped runs on meanwhile.
	Dir string
	// AnyLocale says that the backup did not tell how text sorts in it: the new
	// database then has the locale of the live one, where their encodings are the same.
	AnyLocale bool
	// Code is the digest that a look at the restored code has told ([Database.Code]): what is
	// dumped must be that very code. Empty is of no look.
	Code string
	// Jobs is how many sessions dump and restore side by side; one where it is
	// zero.
	Jobs int

	// room is what tests say in place of a disk.
	room func(dir string) (free int64, device uint64, err error)
}

// Loaded is what Load has made.
type Loaded struct {
	// Database is the new one: its OID is the switch's New from now on.
	Database Named `json:"database"`
	// Tables and Rows were counted on both sides and are the same.
	Tables int   `json:"tables"`
	Rows   int64 `json:"rows,string"`
	// Roles are those that the run has made, without login, because the data
	// name them and the live server had none.
	Roles   []string `json:"roles,omitempty"`
	Remarks []string `json:"remarks,omitempty"`
	// Exceptions are the tables of which no statistics could be gathered.
	Exceptions []string `json:"exceptions,omitempty"`
}

// Load brings the restored database from a scratch server into a new database of
// the live server, beside the live one, which it does not touch: by pg_dump and
// pg_restore, with the encoding, the locale and the provider of the restored one (but
// see Source.AnyLocale), owners and privileges kept. What the live server lacks and must
// have, room on its disks among it, is refused before. It returns when all tables have the
// same number of rows on both sides.
//
// Where this run has loaded it already it counts again; what an interruption has
// left half, and what was loaded from another restored database, because the plan
// goes to another moment now, is removed and loaded anew. A database of that name
// that is not the run's is refused. An error leaves a database that Drop removes.
func (d Database) Load(ctx context.Context, env recovery.Env, from Source) (Loaded, error) {
	if err := from.Tools.Need("pg_dump", "pg_restore"); err != nil {
		return Loaded{}, err
	}
	s, err := d.open(ctx)
	if err != nil {
		return Loaded{}, err
	}
	defer s.close(ctx)
	l := &load{server: s, env: env, from: from}
	if l.scratch, err = connectScratch(ctx, from.Address); err != nil {
		return Loaded{}, err
	}
	defer l.scratch.Close(context.WithoutCancel(ctx))
	l.New = 0
	if _, _, _, err := l.side(ctx); err != nil {
		return Loaded{}, err
	}
	made, there, err := l.ours(ctx)
	if err != nil {
		return Loaded{}, err
	}
	if l.origin, err = originOf(ctx, l.scratch); err != nil {
		return Loaded{}, err
	}
	if there && made.Comment == markLoadedFrom(s.Run, l.origin) {
		return l.again(ctx, made)
	}
	if err := l.admissible(ctx); err != nil {
		return Loaded{}, err
	}
	if there {
		if err := s.drop(ctx, made); err != nil {
			return Loaded{}, err
		}
	}
	return l.load(ctx)
}

// load is one Load.
type load struct {
	*server
	env     recovery.Env
	from    Source
	scratch *pgx.Conn
	origin  string
	source  properties
	major   int // of the live server
	result  Loaded
}

// connectScratch opens a session with the restored database.
func connectScratch(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := postgres.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	conn, err := postgres.ConnectRestored(ctx, config)
	if err != nil {
		return nil, recovery.Errorf("retry the restore", "connect to the restored database: %w", err)
	}
	return conn, nil
}

// The comments by which a run knows its own.
func markLoading(run string) string { return "comeback " + run + ": being loaded" }
func markLoaded(run string) string  { return "comeback " + run + ": loaded, not live" }

// markOpened is of a database that was live, and may hold what people wrote to it.
func markOpened(run string) string { return "comeback " + run + ": was open to its users, not live" }

// markLoadedFrom is markLoaded with the restored database that it was loaded from.
func markLoadedFrom(run, origin string) string { return markLoaded(run) + ", from " + origin }

// isLoaded reports whether a comment marks a database that the run has loaded whole.
func isLoaded(run, comment string) bool {
	return comment == markLoaded(run) || strings.HasPrefix(comment, markLoaded(run)+", from ")
}

// originOf tells restored databases apart: by their server, their OID, and the
// places where the log that was replayed into them left its timelines.
func originOf(ctx context.Context, scratch *pgx.Conn) (origin string, err error) {
	err = scratch.QueryRow(ctx, `select md5(concat_ws('/', (select system_identifier from pg_control_system()),
		(select oid from pg_database where datname = current_database()), timeline, pg_read_file('pg_wal/' || timeline || '.history', 0, 1048576, true)))
		from (select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline) t`).Scan(&origin)
	if err != nil {
		return "", recovery.Errorf("retry the restore", "tell the restored database from others: %w", err)
	}
	return origin, nil
}

// ownLimit is a connection limit that nobody would set: it marks a database as the
// run's from the moment in which it is made, before there can be a comment.
func ownLimit(run, name string) int64 {
	h := fnv.New32a()
	h.Write([]byte(run + "\x00" + name))
	return 1_000_000_000 + int64(h.Sum32()%1_000_000_000)
}

// ours finds what this run has made already. Another's is refused.
func (s *server) ours(ctx context.Context) (one, bool, error) {
	o, there, err := s.named(ctx, s.beside)
	if err != nil || !there {
		return one{}, false, err
	}
	switch {
	case o.Comment == markLoading(s.Run), isLoaded(s.Run, o.Comment):
		return o, true, nil
	case o.Comment == "" && o.Limit == ownLimit(s.Run, s.beside):
		return o, true, nil
	case o.Comment == markOpened(s.Run):
		return one{}, false, recovery.Errorf(fmt.Sprintf("look for what they wrote (alter database %[1]s allow_connections true), then remove it: drop database %[1]s", ident(s.beside)),
			"database %s (oid %d) was open to its users, may hold what they wrote, and is kept", s.beside, o.OID).WithExit(recovery.Refused)
	}
	return one{}, false, recovery.Errorf("rename it, or remove it if you know that nobody needs it",
		"refused: the live server has a database %s already (oid %d), and this run has not made it", s.beside, o.OID).WithExit(recovery.Refused)
}

// load makes the database and fills it.
func (l *load) load(ctx context.Context) (Loaded, error) {
	dump := filepath.Join(l.from.Dir, "dump")
	if err := private(l.from.Dir); err != nil {
		return Loaded{}, err
	}
	if err := os.RemoveAll(dump); err != nil {
		return Loaded{}, fmt.Errorf("make room for the dump: %w", err)
	}
	disks, err := l.roomy(ctx)
	if err != nil {
		return Loaded{}, err
	}
	if err := l.dumpBeside(ctx, dump, disks); err != nil {
		return Loaded{}, err
	}
	if err := l.unchanged(ctx, l.from.Code); err != nil {
		return Loaded{}, err
	}
	if err := l.roles(ctx); err != nil {
		return Loaded{}, err
	}
	made, err := l.create(ctx)
	if err != nil {
		return Loaded{}, err
	}
	if err := l.restore(ctx, dump); err != nil {
		return Loaded{}, err
	}
	if err := l.analyze(ctx); err != nil {
		return Loaded{}, err
	}
	if err := l.verify(ctx); err != nil {
		return Loaded{}, err
	}
	what := fmt.Sprintf("mark database %s as loaded", l.beside)
	if err := l.change(ctx, l.conn, what, "comment on database "+ident(l.beside)+" is "+literal(markLoadedFrom(l.Run, l.origin))); err != nil {
		return Loaded{}, explain(err)
	}
	l.result.Database = Named{l.beside, made.OID}
	if err := os.RemoveAll(dump); err != nil {
		return Loaded{}, fmt.Errorf("remove the dump: %w", err)
	}
	return l.result, nil
}

// again counts what an earlier attempt has loaded. Where somebody has changed it
// since, the next attempt loads it anew.
func (l *load) again(ctx context.Context, made one) (Loaded, error) {
	if err := l.verify(ctx); err != nil {
		if errors.Is(err, errDiffers) {
			err = errors.Join(err, l.change(ctx, l.conn, "mark database "+l.beside+" as not loaded", "comment on database "+ident(l.beside)+" is "+literal(markLoading(l.Run))))
		}
		return Loaded{}, err
	}
	var err error
	if l.result.Roles, err = l.madeRoles(ctx); err != nil {
		return Loaded{}, err
	}
	l.result.Database = Named{l.beside, made.OID}
	return l.result, os.RemoveAll(filepath.Join(l.from.Dir, "dump"))
}

// create makes the empty database, as the restored one is and where the live one
// lies, and marks it. Until it is live only its owner and superusers may enter it.
func (l *load) create(ctx context.Context) (one, error) {
	sql, err := l.createSQL(ctx)
	if err != nil {
		return one{}, err
	}
	// Copying a template takes what its files take; nothing waits for it.
	if err := l.unhurried(ctx, "make database "+l.beside, sql); err != nil {
		return one{}, l.notCreated(err)
	}
	made, there, err := l.named(ctx, l.beside)
	if err != nil {
		return one{}, err
	}
	if !there {
		return one{}, fmt.Errorf("make database %s: it is gone", l.beside)
	}
	return made, l.transact(ctx, "mark database "+l.beside+" as this run's", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "comment on database "+ident(l.beside)+" is "+literal(markLoading(l.Run)))
		if err == nil {
			_, err = tx.Exec(ctx, "revoke all on database "+ident(l.beside)+" from public")
		}
		return err
	})
}

// unhurried makes a change that may take as long as it takes.
func (s *server) unhurried(ctx context.Context, what, sql string) error {
	if _, err := s.conn.Exec(ctx, "set statement_timeout = 0"); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	err := s.change(ctx, s.conn, what, sql)
	if !s.conn.IsClosed() {
		_, errBack := s.conn.Exec(ctx, "set statement_timeout = '60s'")
		err = errors.Join(err, errBack)
	}
	return err
}

// Drop removes what Load has made and did not become live. It may be repeated; a
// database that is live, is not this run's, or was open to its users, it does not
// touch.
func (d Database) Drop(ctx context.Context) error {
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	o, there, err := s.ours(ctx)
	if err != nil || !there {
		return err
	}
	return s.drop(ctx, o)
}

// drop removes a database of the run's own: its sessions end with it.
func (s *server) drop(ctx context.Context, o one) error {
	if o.OID == s.Was || o.Name == s.name {
		return fmt.Errorf("remove database %s: it is live", o.Name)
	}
	return explain(s.unhurried(ctx, "remove database "+o.Name, "drop database if exists "+ident(o.Name)+" with (force)"))
}
