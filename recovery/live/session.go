package live

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// liveConfig reads the address of a live database.
func liveConfig(address string) (*pgx.ConnConfig, error) {
	config, err := postgres.OneLive(address)
	if err != nil {
		return nil, err
	}
	if config.Database == "" {
		return nil, recovery.Errorf("write it like postgres://user@host/database", "the address of the live server names no database").WithExit(recovery.Usage)
	}
	return config, nil
}

// besides are the databases from which another one is looked at and renamed: it
// must not be in use then.
func besides(database string) []string {
	var names []string
	for _, name := range []string{"postgres", "template1"} {
		if name != database {
			names = append(names, name)
		}
	}
	return names
}

// dial opens a session with the server of an address, but not with the database
// that it names, whose name is returned. Where the role may enter no other
// database, it is one with that database.
func dial(ctx context.Context, address string) (*pgx.Conn, string, error) {
	config, err := liveConfig(address)
	if err != nil {
		return nil, "", err
	}
	database := config.Database
	var first error
	for _, beside := range append(besides(database), database) {
		c := config.Copy()
		c.Database = beside
		conn, err := postgres.DialLive(ctx, c)
		if err == nil {
			return conn, database, nil
		}
		if first == nil {
			first = err
		}
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || ctx.Err() != nil {
			break // no answer, and no other database would give one
		}
	}
	return nil, "", first
}

// admin is a session from which databases are altered. What the server or the
// role has set for sessions must not be in its way: it is not read only, waits
// for no standby, and gives up instead of waiting for a lock for ever.
func admin(ctx context.Context, address string) (*pgx.Conn, string, error) {
	conn, database, err := dial(ctx, address)
	if err != nil {
		return nil, "", err
	}
	if conn.Config().Database == database {
		conn.Close(context.WithoutCancel(ctx))
		return nil, "", recovery.Errorf(fmt.Sprintf("as a superuser: grant connect on database postgres to %s", ident(conn.Config().User)),
			"refused: this role may enter no other database than %s, and it must not be in use when it is renamed", database).WithExit(recovery.Refused)
	}
	err = postgres.Unhurry(ctx, conn) // it waits while programs dump and restore
	for _, set := range []string{"default_transaction_read_only = off", "synchronous_commit = local", "standard_conforming_strings = on",
		"statement_timeout = '60s'", "lock_timeout = '20s'"} {
		if err == nil {
			_, err = conn.Exec(ctx, "set "+set)
		}
	}
	if err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, "", fmt.Errorf("prepare a session with the live server: %w", err)
	}
	return conn, database, nil
}

// ident writes a name as SQL has it, whatever is in it.
func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal writes a text as SQL has it, where no parameter can stand; the session
// has standard_conforming_strings on.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
