package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	neturl "net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"comeback/recovery/postgres"
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

// application is the name under which a server sees what asks it.
const application = "comeback check"

// connection is how the database at url is asked, in a transaction of [begin].
func connection(url string, live bool, limit time.Duration) (*pgx.ConnConfig, error) {
	var config *pgx.ConnConfig
	var err error
	if live {
		config, err = running(url)
	} else {
		config, err = restored(url, limit)
	}
	if err != nil {
		return nil, err
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxRow)
		return f
	}
	return config, nil
}

// restored is how a restored database is asked. What the environment says about other
// servers is left out: a password, options, the kind of server. The session reads only, and
// each statement is bounded by the limit.
func restored(url string, limit time.Duration) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if u, err := neturl.Parse(url); err != nil || u.User == nil || u.User.String() == u.User.Username() {
		config.Password = "" // the environment's is another server's
	}
	config.ValidateConnect = nil // a paused copy takes no writes, and need not
	config.RuntimeParams = settings(limit)
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.RuntimeParams["application_name"] = application
	return config, nil
}

// running is how a live database is asked. Its address is the operator's own, whole: with
// its search_path and its options. Nothing else is said at the start, because a pooler lets
// in nobody who says what it does not know.
func running(url string) (*pgx.ConnConfig, error) {
	config, err := postgres.LiveConfig(url)
	if err != nil {
		return nil, err
	}
	whole, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = whole.RuntimeParams
	config.RuntimeParams["application_name"] = application
	return config, nil
}

// settings bound each statement, and let values be written in one way.
func settings(limit time.Duration) map[string]string {
	return map[string]string{
		"statement_timeout": fmt.Sprint(limit.Milliseconds()),
		"lock_timeout":      fmt.Sprint(lockTimeout.Milliseconds()),
		"DateStyle":         "ISO, YMD",
		"TimeZone":          "UTC",
	}
}

// begin begins the transaction in which a database is asked. Everything that is asked for
// one answer is asked within it: what is live may lie behind a pooler that gives each
// transaction another session, and has its settings for this one alone.
func begin(ctx context.Context, conn *pgx.Conn, live bool, limit time.Duration, options pgx.TxOptions) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if !live {
		return tx, nil
	}
	var set string
	for name, value := range settings(limit) {
		set += fmt.Sprintf("set local %s = '%s';", name, value)
	}
	if _, err := conn.PgConn().Exec(ctx, set).ReadAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("begin: %w", err), tx.Rollback(context.WithoutCancel(ctx)))
	}
	return tx, nil
}
