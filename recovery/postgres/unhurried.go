package postgres

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// unhurry lifts what a server has of the limits of [Tools.Unhurried], for a transaction or a
// session.
const unhurry = `select pg_catalog.set_config(name, '0', %t) from pg_catalog.pg_settings
	where name in ('lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`

// Unhurry lets a session, and what it executes, take as long as it takes, whatever limits the
// server, the role or the database has set for its programs.
func Unhurry(ctx context.Context, conn *pgx.Conn) error {
	if err := lift(ctx, conn, "set", false); err != nil {
		return fmt.Errorf("lift the time limits of a session: %w", err)
	}
	return nil
}

// UnhurryWithin is Unhurry for a transaction, which has just begun: behind a pooler, too, nobody
// else gets what it sets.
func UnhurryWithin(ctx context.Context, tx pgx.Tx) error {
	if err := lift(ctx, tx, "set local", true); err != nil {
		return fmt.Errorf("lift the time limits of a transaction: %w", err)
	}
	return nil
}

func lift(ctx context.Context, on interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, set string, local bool) error {
	for _, sql := range []string{set + " statement_timeout = 0", fmt.Sprintf(unhurry, local)} { // alone, the first is quick enough for any limit
		if _, err := on.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// ConnectRestored opens a session with a restored server that takes as long as it takes: the
// limits that a database had for its programs came back with it.
func ConnectRestored(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	config = config.Copy()
	maps.Copy(config.RuntimeParams, everyLimit())
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := Unhurry(ctx, conn); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}
