package shop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Content is what the shop's tables hold after a commit.
type Content struct {
	// After is the newest of the shop's commits then; its XID is zero where
	// nothing was written since the shop was opened.
	After  Commit
	Digest map[string]string
}

// Content reads what the tables hold while nobody writes.
func (s *Shop) Content(ctx context.Context) (Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content(ctx)
}

func (s *Shop) content(ctx context.Context) (Content, error) {
	d, err := Digest(ctx, s.URL())
	return Content{After: s.last(), Digest: d}, err
}

// Digest is the hex SHA-256 of the rows of each table of the schema public, in
// the order of their primary keys, as seen in one snapshot. It streams. Two
// databases with the same digests hold the same rows. Unlogged tables, which a
// recovery empties, are left out, and so are sequences, which it may set ahead.
func Digest(ctx context.Context, url string) (map[string]string, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("digest the rows: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("digest the rows: %w", err)
	}
	rows, err := tx.Query(ctx, `select c.relname::text, array(
			select a.attname::text from pg_index i, unnest(i.indkey) with ordinality k(n, at), pg_attribute a
			where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.n order by k.at)
		from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relpersistence = 'p' order by 1`)
	if err != nil {
		return nil, fmt.Errorf("digest the rows: %w", err)
	}
	type table struct {
		Name string
		Key  []string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("digest the rows: list tables: %w", err)
	}
	digests := map[string]string{}
	for _, t := range found {
		var order []string
		for _, column := range t.Key {
			// The text, so that no collation of the server's has a say.
			order = append(order, pgx.Identifier{column}.Sanitize()+`::text collate "C"`)
		}
		sql := "copy (select * from " + pgx.Identifier{"public", t.Name}.Sanitize()
		if len(order) > 0 {
			sql += " order by " + strings.Join(order, ", ")
		}
		hash := sha256.New()
		if _, err := conn.PgConn().CopyTo(ctx, hash, sql+") to stdout"); err != nil {
			return nil, fmt.Errorf("digest the rows: read %s: %w", t.Name, err)
		}
		digests[t.Name] = hex.EncodeToString(hash.Sum(nil))
	}
	return digests, nil
}
