package shop

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// Incident is what went wrong, and what was there before.
type Incident struct {
	// Harm is the first commit to lose: the orders are gone after it.
	Harm Commit
	// Drop is the second, which drops the carts.
	Drop Commit
	// Before is what was there when Harm came.
	Before Content
}

// Incident runs a migration that nobody has tried on a copy: one transaction
// deletes every order, another drops the carts. Nothing of the shop's commits
// between them or while Before is read. Writes go on afterwards; nobody orders
// from a cart any more.
func (s *Shop) Incident(ctx context.Context) (Incident, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var i Incident
	var err error
	if i.Before, err = s.content(ctx); err != nil {
		return Incident{}, err
	}
	after := maps.Clone(s.counts)
	after["orders"], after["order_items"] = 0, 0
	i.Harm, err = s.commit(ctx, transaction{counts: after,
		does: fmt.Sprintf("delete orders %d, order_items %d", s.counts["orders"], s.counts["order_items"]),
		do: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Conn().PgConn().Exec(ctx, "delete from order_items; delete from orders").ReadAll()
			return err
		}})
	if err != nil {
		return Incident{}, fmt.Errorf("delete the orders: %w", err)
	}
	after = maps.Clone(after)
	delete(after, "carts")
	i.Drop, err = s.commit(ctx, transaction{counts: after, does: "drop table carts",
		do: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "drop table carts")
			return err
		}})
	if err != nil {
		return Incident{}, fmt.Errorf("drop the carts: %w", err)
	}
	return i, nil
}
