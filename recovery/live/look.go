package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Look reads a live server and the database that its address names. It only
// reads, waits for no lock for long, and needs no superuser: what this role may
// not know is listed as unknown. The address may hold a password, which is shown
// nowhere. A database that lets nobody in is looked at from beside.
func Look(ctx context.Context, address string) (Server, error) {
	l := &looker{}
	conn, database, err := dial(ctx, address)
	if err != nil {
		return Server{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l.conn, l.database, l.ours = conn, database, []uint32{conn.PgConn().PID()}
	if err := l.identity(ctx); err != nil {
		return Server{}, err
	}
	// From within, for what a database tells only there.
	config, err := liveConfig(address)
	if err != nil {
		return Server{}, err
	}
	within, err := postgres.DialLive(ctx, config)
	if err != nil {
		l.unknown("extensions, publications", err, "a session with the database")
	} else {
		defer within.Close(context.WithoutCancel(ctx))
		l.ours = append(l.ours, within.PgConn().PID())
		l.within = within
	}
	if err := l.everything(ctx); err != nil {
		return Server{}, err
	}
	return l.Server, nil
}

// ErrNoDatabase says that a live server answers and has no database of the name that its
// address names.
var ErrNoDatabase = errors.New("there is no such database")

// Identify reads the identity of a live server and of the database that its
// address names, and nothing else.
func Identify(ctx context.Context, address string) (Identity, error) {
	conn, database, err := dial(ctx, address)
	if err != nil {
		return Identity{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l := &looker{conn: conn, database: database}
	err = l.identity(ctx)
	return l.Identity, err
}

// looker is one look at a server.
type looker struct {
	Server
	conn     *pgx.Conn
	within   *pgx.Conn // a session with the database; nil where it lets nobody in
	database string
	ours     []uint32
}

// unknown notes what could not be read.
func (l *looker) unknown(what string, why error, needs string) {
	l.Unknown = append(l.Unknown, Unknown{What: what, Why: words(why), Needs: needs})
}

// words are those of the server where there are some.
func words(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	return err.Error()
}

// ask reads a part. A right that this role lacks makes the part unknown; anything
// else is an error.
func (l *looker) ask(ctx context.Context, conn *pgx.Conn, what, needs string, read func(pgx.Tx) error) error {
	err := postgres.AskLive(ctx, conn, read)
	if postgres.NotAllowed(err) {
		l.unknown(what, err, needs)
		return nil
	}
	if err != nil {
		return recovery.Errorf("look at the server's log, then try again", "ask the live server for its %s: %w", what, err)
	}
	return nil
}

const identityQuery = `
select s.system_identifier::text, c.timeline_id::int8, pg_is_in_recovery(),
       case when pg_is_in_recovery() then '' else pg_walfile_name(pg_current_wal_lsn()) end,
       case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_lsn() end::text,
       coalesce(case when pg_has_role(current_user, 'pg_read_all_settings', 'usage') then current_setting('data_directory', true) end, ''),
       current_setting('server_version'), current_setting('server_version_num')::int4 / 10000,
       coalesce(host(inet_server_addr()), ''), current_setting('port'), current_user::text,
       (select rolsuper from pg_roles where rolname = current_user), now(), pg_postmaster_start_time()
  from pg_control_system() s, pg_control_checkpoint() c`

// identity reads which server it is, and which database of it.
func (l *looker) identity(ctx context.Context) error {
	var timeline int64
	var segment, lsn, server, port, directory string
	err := postgres.AskLive(ctx, l.conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, identityQuery).Scan(&l.SystemIdentifier, &timeline, &l.Standby, &segment, &lsn, &directory,
			&l.Version, &l.Major, &server, &port, &l.User, &l.Superuser, &l.At, &l.Started)
		if err != nil {
			return err
		}
		if l.LSN, err = recovery.ParseLSN(lsn); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, "select datname::text, oid from pg_database where datname = $1", l.database).Scan(&l.Database, &l.OID)
		if errors.Is(err, pgx.ErrNoRows) {
			none := recovery.Errorf("correct the address, or find out who removed or renamed it", "the live server has no database %q", l.database).WithExit(recovery.Refused)
			none.Err = ErrNoDatabase
			return none
		}
		return err
	})
	if err != nil {
		var refusal *recovery.Error
		if errors.As(err, &refusal) {
			return refusal
		}
		return recovery.Errorf("look at the server's log, then try again", "ask the live server who it is: %w", err)
	}
	// A server that was promoted a moment ago may not have made a checkpoint
	// since: the name of its segment says on which timeline it writes.
	l.Timeline = uint32(timeline)
	if segment != "" {
		n, err := strconv.ParseUint(segment[:min(8, len(segment))], 16, 32)
		if err != nil {
			return fmt.Errorf("ask the live server who it is: it calls its segment %q", segment)
		}
		l.Timeline = uint32(n)
	}
	l.Address = l.conn.Config().Host + ":" + port
	if server != "" {
		l.Address = server + ":" + port
	}
	return l.place(server, directory, l.Started)
}

// everything reads the rest, part by part.
func (l *looker) everything(ctx context.Context) error {
	for _, part := range []struct {
		what, needs string
		read        func(context.Context, pgx.Tx) error
	}{
		{"archiving", "", l.archiving},
		{"database", "", l.properties},
		{"other databases", "", l.others},
		{"sessions", "", l.sessions},
		{"prepared transactions", "", l.prepared},
		{"standbys", "", l.standbys},
		{"replication slots", "", l.slots},
		{"subscriptions", "grant select on pg_subscription", l.subscriptions},
		{"tablespaces", "", l.tablespaces},
	} {
		if err := l.ask(ctx, l.conn, part.what, part.needs, func(tx pgx.Tx) error { return part.read(ctx, tx) }); err != nil {
			return err
		}
	}
	if err := l.lastCommit(ctx); err != nil {
		return err
	}
	if l.within == nil {
		return nil
	}
	return l.ask(ctx, l.within, "extensions and publications", "", func(tx pgx.Tx) error { return l.inside(ctx, tx) })
}

func (l *looker) lastCommit(ctx context.Context) error {
	return l.ask(ctx, l.conn, "last commit", "", func(tx pgx.Tx) error {
		var at *time.Time
		err := tx.QueryRow(ctx, `select case when current_setting('track_commit_timestamp')::bool and not pg_is_in_recovery()
			then (select timestamp from pg_last_committed_xact()) end`).Scan(&at)
		if at != nil {
			l.LastCommit = *at
		}
		return err
	})
}
