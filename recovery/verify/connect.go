package verify

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tooManyConnections is PostgreSQL's code for a server, a database or a role that has no
// connection left.
const tooManyConnections = "53300"

// patience is how long a check waits before it asks once more for a connection: others that
// have one leave again.
var patience = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// connect connects to a database, and is patient where all connections are taken.
func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	for _, pause := range patience {
		conn, err := pgx.ConnectConfig(ctx, config)
		var pg *pgconn.PgError
		if err == nil || !errors.As(err, &pg) || pg.Code != tooManyConnections {
			return conn, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
	return pgx.ConnectConfig(ctx, config)
}
