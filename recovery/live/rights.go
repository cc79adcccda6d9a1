package live

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Entitled refuses a role that may not switch the database that the address names,
// with the statements that would entitle it. It only reads.
func Entitled(ctx context.Context, address string) error {
	conn, database, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var role, owner string
	var super, create, owns, ends, beside bool
	err = postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select current_user::text, pg_get_userbyid(d.datdba)::text, r.rolsuper, r.rolcreatedb,
				pg_has_role(current_user, d.datdba, 'usage'), pg_has_role(current_user, 'pg_signal_backend', 'usage'),
				has_database_privilege(current_user, 'postgres', 'connect')
			from pg_database d, pg_roles r where d.datname = $1 and r.rolname = current_user`, database).
			Scan(&role, &owner, &super, &create, &owns, &ends, &beside)
	})
	if err != nil {
		return fmt.Errorf("ask the live server what this role may do: %w", err)
	}
	if super {
		return nil
	}
	var grants string
	need := func(has bool, format string, args ...any) {
		if !has {
			grants += fmt.Sprintf("; "+format, args...)
		}
	}
	need(create, "alter role %s createdb", ident(role))
	need(owns, "grant %s to %s", ident(owner), ident(role))
	need(ends, "grant pg_signal_backend to %s", ident(role))
	need(beside, "grant connect on database postgres to %s", ident(role))
	if grants == "" {
		return nil
	}
	return recovery.Errorf("give the component `admin:`, the address of a superuser in the same database; or as a superuser: "+grants[2:],
		"refused: role %s may not switch database %s", role, database).WithExit(recovery.Refused)
}
