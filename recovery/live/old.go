package live

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// OldDatabase reads which database of a live server has a name now; zero where
// there is none.
func OldDatabase(ctx context.Context, address, name string) (oid uint32, err error) {
	conn, _, err := admin(ctx, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	oid, _, err = databaseNamed(ctx, conn, name)
	return oid, err
}

func databaseNamed(ctx context.Context, conn *pgx.Conn, name string) (oid uint32, open bool, err error) {
	err = conn.QueryRow(ctx, "select oid, datallowconn from pg_catalog.pg_database where datname = $1", name).Scan(&oid, &open)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look for database %s: %w", name, err)
	}
	return oid, open, nil
}

// DropOld removes a database that a switch has put aside, for good: the one with
// that OID, and only while it lets nobody in. One that is gone is no error; one that
// is live, or that somebody has opened, is refused.
func DropOld(ctx context.Context, address, name string, oid uint32) error {
	conn, database, err := admin(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, open, err := databaseNamed(ctx, conn, name)
	refuse := func(hint, format string, args ...any) error {
		return recovery.Errorf(hint, "refused: "+format, args...).WithExit(recovery.Refused)
	}
	switch {
	case err != nil:
		return err
	case found == 0:
		return nil
	case name == database:
		return refuse("nothing was removed", "database %s is live", name)
	case found != oid:
		return refuse("find out who made it; it was left alone", "database %s is another one now: its oid is %d and not %d", name, found, oid)
	case open:
		return refuse("find out who uses it, and close it: alter database "+ident(name)+" allow_connections false", "database %s was opened again", name)
	}
	if _, err := conn.Exec(ctx, "set statement_timeout = 0"); err != nil {
		return fmt.Errorf("remove database %s: %w", name, err)
	}
	if _, err := conn.Exec(ctx, "drop database "+ident(name)); err != nil {
		return recovery.Errorf("find out what still holds it, then retry", "remove database %s: %w", name, err)
	}
	return nil
}
