package rescue

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Partition is one that holds rows.
type Partition struct {
	Name
	// Parent is what it is a partition of, Bound for which rows, as SQL has it.
	Parent Name   `json:"parent"`
	Bound  string `json:"bound"`
}

// partitions lists those of a table that hold rows; none where it is not partitioned.
func partitions(ctx context.Context, tx pgx.Tx, t Table) ([]Partition, error) {
	if t.Kind != "p" {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		select n.nspname::text, c.relname::text, pn.nspname::text, p.relname::text, pg_get_expr(c.relpartbound, c.oid)
		from pg_partition_tree($1) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
		join pg_class p on p.oid = t.parentrelid join pg_namespace pn on pn.oid = p.relnamespace
		where t.isleaf and c.oid <> $1 order by 1, 2`, t.OID)
	var all []Partition
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Partition, err error) {
			return p, row.Scan(&p.Schema, &p.Table, &p.Parent.Schema, &p.Parent.Table, &p.Bound)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list the partitions of %s: %w", t.Name, err)
	}
	return all, nil
}

// without are the partitions that are not among others.
func without(all, others []Partition) (gone []Partition) {
	for _, p := range all {
		if !slices.ContainsFunc(others, func(o Partition) bool { return o.Name == p.Name }) {
			gone = append(gone, p)
		}
	}
	return gone
}

// homeless says why rows of a partition that is gone cannot come back into live, which has
// none in its place; empty where they can.
func (t *TablePreview) homeless(ctx context.Context, tx pgx.Tx, gone []Partition) (string, error) {
	if t.Create != "" || len(gone) == 0 || t.Live.Kind != "p" {
		return "", nil
	}
	there, err := partitions(ctx, tx, t.Live)
	if err != nil {
		return "", err
	}
	for _, g := range gone {
		if slices.ContainsFunc(there, func(p Partition) bool { return p.Name == g.Name || p.Bound == g.Bound || p.Bound == "DEFAULT" }) {
			continue
		}
		return fmt.Sprintf("live has no partition for the rows of %s: make it again (create table %s partition of %s %s), then let the rescue look again with comeback rescue choose, or bring the table back under another name",
			g.Name, g.sql(), g.Parent.sql(), g.Bound), nil
	}
	return "", nil
}
