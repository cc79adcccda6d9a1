package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

const (
	// liveConnect bounds the wait for a live server to let us in, and
	// liveStatement what one question may take: it has other things to do.
	liveConnect   = 5 * time.Second
	liveStatement = 10 * time.Second
)

// ConnectLive opens a session with a running server that is not ours. Whoever
// calls has resolved the address, which may hold a password; errors do not show
// it. The session is named comeback, is let in within five seconds or not at
// all, and prepares nothing on the server, so that it may go through a pooler.
func ConnectLive(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := LiveConfig(address)
	if err != nil {
		return nil, err
	}
	return DialLive(ctx, config)
}

// ConnectComponent opens such a session with the live server of a component, by its `url`;
// expand resolves what that refers to.
func ConnectComponent(ctx context.Context, c recovery.Component, expand func(string) (string, error)) (*pgx.Conn, error) {
	address, err := c.Lives("url")
	if err == nil {
		address, err = expand(address)
	}
	if err != nil {
		return nil, err
	}
	return ConnectLive(ctx, address)
}

// LiveConfig reads the address of a running server, for [DialLive].
func LiveConfig(address string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, recovery.Errorf("write it like postgres://user@host/database", "read the address of the live server: %w", err).WithExit(recovery.Usage)
	}
	config.ConnectTimeout = liveConnect
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	// Nothing of our environment, such as a time zone, may look like the
	// server's own. Some hosts need options to find the server.
	params := map[string]string{"application_name": "comeback"}
	if options, ok := config.RuntimeParams["options"]; ok {
		params["options"] = options
	}
	config.RuntimeParams = params
	return config, nil
}

// OneLive is LiveConfig for an address that something is written to. One that may
// lead to several servers is refused: which is meant must not be a matter of which
// answers first.
func OneLive(address string) (*pgx.ConnConfig, error) {
	config, err := LiveConfig(address)
	if err != nil {
		return nil, err
	}
	for _, f := range config.Fallbacks {
		if f.Host != config.Host || f.Port != config.Port {
			return nil, recovery.Errorf("name the one server that is meant",
				"refused: the address of the live server names several, %s and %s", config.Host, f.Host).WithExit(recovery.Refused)
		}
	}
	return config, nil
}

// DialLive is ConnectLive for an address that was read before.
func DialLive(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	const hint = "start the server, or correct the address; what the copies hold is told without it"
	ctx, cancel := context.WithTimeout(ctx, liveConnect)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, recovery.Errorf(hint, "the live server did not answer within %s: %w", liveConnect, err)
	}
	return nil, recovery.Errorf(hint, "the live server cannot be asked: %w", err)
}

// AskLive asks a live server within a read-only transaction of its own, with
// limits that end with it.
func AskLive(ctx context.Context, conn *pgx.Conn, ask func(pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, liveStatement+liveConnect)
	defer cancel()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	limits := fmt.Sprintf("set local statement_timeout = %d; set local lock_timeout = %d", liveStatement.Milliseconds(), liveConnect.Milliseconds())
	if _, err := tx.Conn().PgConn().Exec(ctx, limits).ReadAll(); err != nil {
		return err
	}
	return ask(tx)
}
