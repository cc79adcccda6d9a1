package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Briefly does something within a transaction and gives back the locks that it took, which
// would else be held until the transaction ends: one after the other, any number of tables can
// be read while others change them, and the server's room for locks is not taken up. What was
// written is gone, too; the snapshot and the settings of the transaction stay.
func Briefly(ctx context.Context, tx pgx.Tx, do func() error) error {
	if err := execute(ctx, tx, "savepoint comeback_briefly"); err != nil {
		return fmt.Errorf("make a savepoint: %w", err)
	}
	if err := do(); err != nil {
		// Where the session is lost with it, so are the locks: err says more.
		_ = giveBack(ctx, tx)
		return err
	}
	if err := giveBack(ctx, tx); err != nil {
		return fmt.Errorf("give locks back: %w", err)
	}
	return nil
}

// giveBack ends the savepoint, too, so that savepoints do not lie within each other.
func giveBack(ctx context.Context, tx pgx.Tx) error {
	return execute(ctx, tx, "rollback to savepoint comeback_briefly; release savepoint comeback_briefly")
}

// execute executes statements without results.
func execute(ctx context.Context, tx pgx.Tx, sql string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll()
	return err
}
