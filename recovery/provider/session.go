package provider

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Connect tries until it is let in, is refused, or AnswersWithin has passed.
func (o Options) Connect(ctx context.Context, config *pgx.ConnConfig, pause time.Duration) (*pgx.Conn, error) {
	within, cancel := context.WithTimeout(ctx, AnswersWithin)
	defer cancel()
	for {
		conn, err := pgx.ConnectConfig(within, config)
		if _, said := errors.AsType[*pgconn.PgError](err); err == nil || said || within.Err() != nil {
			return conn, err
		}
		if errSleep := o.Sleep(within, pause); errSleep != nil {
			return nil, err
		}
	}
}

// sessions are those of people and applications: of others' sessions a role may see no more
// than whose they are.
const sessions = `select count(*) from pg_catalog.pg_stat_activity
where datid is not null and usesysid is not null and pid <> pg_catalog.pg_backend_pid() and usename <> all ($1)`

// Users counts the sessions of a server beside the one that asks; the provider's own roles,
// which are always there, are left out.
func Users(ctx context.Context, conn *pgx.Conn, own ...string) (n int64, err error) {
	if own == nil {
		own = []string{} // NULL would let nothing count
	}
	err = conn.QueryRow(ctx, sessions, own).Scan(&n)
	return n, err
}
