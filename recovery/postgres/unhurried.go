package postgres

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// unhurry lifts what a server has of the limits of [Tools.Unhurried].
const unhurry = `select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
	where name in ('lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`

// Unhurry lets a session, and what it executes, take as long as it takes, whatever limits the
// server, the role or the database has set for its programs.
func Unhurry(ctx context.Context, conn *pgx.Conn) error {
	for _, sql := range []string{"set statement_timeout = 0", unhurry} { // alone, the first is quick enough for any limit
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("lift the time limits of a session: %w", err)
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
