package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// Look asks the restored copy of a component one query for a person, as a check
// asks it: read-only, in at most the limit, and never waiting long for a lock. A
// locked table is named, and why it is locked.
func Look(ctx context.Context, component, url, sql string, limit time.Duration) (Result, error) {
	asking, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	r, err := query(asking, url, false, sql, limit)
	if err == nil {
		return r, nil
	}
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return r, recovery.Errorf("look as the user who began the run", "look at %s: %w", component, err).WithExit(recovery.Refused)
	case errors.As(err, &pg) && pg.Code == lockNotAvailable:
		return r, lockedAway(ctx, component, url, err)
	case errors.As(err, &pg) && pg.Code == queryCanceled:
		return r, recovery.Errorf("ask for less, or allow it more time with --timeout", "look at %s: %w", component, err)
	case errors.As(err, &pg) && pg.Code == readOnly, errors.Is(err, errNothingToJudge):
		return r, recovery.Errorf("ask a query that only reads", "look at %s: %w", component, err).WithExit(recovery.Usage)
	case errors.As(err, &pg) && pg.Code == syntaxError && strings.Contains(pg.Message, "multiple commands"):
		return r, recovery.Errorf("ask one query at a time", "look at %s: several statements were given", component).WithExit(recovery.Usage)
	case errors.As(err, &pg):
		return r, recovery.Errorf("correct the query", "look at %s: %w", component, err).WithExit(recovery.Usage)
	}
	err = notRunning(err, component)
	return r, recovery.Errorf(hintFor(err), "look at %s: %w", component, err)
}

// lockedAway says which tables are locked in a copy, and by what.
func lockedAway(ctx context.Context, component, url string, err error) error {
	conn, errConnect := Connect(ctx, url, queryTimeout)
	if errConnect != nil {
		return errors.Join(err, errConnect)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tables, paused, errAsk := locked(ctx, conn)
	switch {
	case errAsk != nil:
		return errors.Join(err, errAsk)
	case len(tables) == 0:
		return recovery.Errorf("ask again", "look at %s: a lock was in the way, and is not any more: %w", component, err)
	case !paused:
		return recovery.Errorf("find who holds it in pg_stat_activity of the copy", "look at %s: %s is locked in the copy: %w", component, strings.Join(tables, ", "), err)
	}
	return recovery.Errorf("look at an earlier moment, or at other tables",
		"look at %s: the moment is just before the end of a transaction that drops, empties or changes %s; its lock is held while the copy pauses: %w",
		component, strings.Join(tables, ", "), err).WithExit(recovery.Refused)
}

// locked lists the tables of a database that nobody can read, and whether its
// server is paused in recovery.
func locked(ctx context.Context, conn *pgx.Conn) (tables []string, paused bool, err error) {
	rows, err := conn.Query(ctx, `select distinct c.oid::regclass::text from pg_locks l join pg_class c on c.oid = l.relation
		where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted and c.relkind in ('r', 'p', 'm')
		and l.database = (select oid from pg_database where datname = current_database()) order by 1`)
	if err == nil {
		tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err == nil {
		paused, err = Paused(ctx, conn)
	}
	if err != nil {
		return nil, false, fmt.Errorf("look for locks: %w", err)
	}
	return tables, paused, nil
}

// Paused reports whether a server has not opened its databases yet.
func Paused(ctx context.Context, conn *pgx.Conn) (paused bool, err error) {
	if err := conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&paused); err != nil {
		return false, fmt.Errorf("ask whether the copy is paused: %w", err)
	}
	return paused, nil
}

// Connect opens a read-only session with a restored copy, whose statements take
// at most the limit each.
func Connect(ctx context.Context, url string, limit time.Duration) (*pgx.Conn, error) {
	config, err := connection(url, false, limit)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}
