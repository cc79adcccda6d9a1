package shop

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schemaSQL string

//go:embed rows.sql
var rowsSQL string

//go:embed rules.sql
var rulesSQL string

// tables are those whose rows are counted; search_cache, which no recovery
// brings back, is not among them.
var tables = []string{"customers", "products", "orders", "order_items", "carts", "sessions", "uploads"}

// fill makes the role, the database, its tables, their rows and the uploads,
// and counts what is there.
func (s *Shop) fill(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	admin, err := connect(ctx, s.Layout.URL("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{"create role shop login", "create database shop owner shop"} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("fill the shop: %s: %w", sql, err)
		}
	}
	conn, err := s.session(ctx)
	if err != nil {
		return err
	}
	now := s.options.Now().UTC().Truncate(time.Second)
	for name, value := range map[string]string{"shop.scale": fmt.Sprint(s.options.Scale), "shop.seed": fmt.Sprint(s.options.Seed), "shop.now": now.Format(time.RFC3339)} {
		if _, err := conn.Exec(ctx, "select set_config($1, $2, false)", name, value); err != nil {
			return fmt.Errorf("fill the shop: %w", err)
		}
	}
	for _, part := range []struct{ name, sql string }{{"tables", schemaSQL}, {"rows", rowsSQL}} {
		if err := script(ctx, conn, part.sql); err != nil {
			return fmt.Errorf("fill the shop: make its %s: %w", part.name, err)
		}
	}
	if err := s.fillUploads(ctx, conn, now); err != nil {
		return fmt.Errorf("fill the shop: %w", err)
	}
	if err := script(ctx, conn, rulesSQL); err != nil {
		return fmt.Errorf("fill the shop: make its rules: %w", err)
	}
	for _, table := range tables {
		var n int64
		if err := conn.QueryRow(ctx, "select count(*) from "+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
			return fmt.Errorf("fill the shop: count %s: %w", table, err)
		}
		s.counts[table] = n
	}
	return nil
}

// script executes several statements in one transaction.
func script(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}
