package rescue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// Find finds in a copy the tables that people name, "carts" or "app.carts", and
// those that a transaction changed: by the number of their file, which a copy
// from just before it has, or else by their name. Of a partitioned table only
// the partitions that were changed are read, all of them where the transaction put
// rows into a table that it made: they may have come from there. Of tables that people
// name the changes tell only with which partitions the named ones exchanged rows. Those
// that hold nothing to bring back, such as sequences, are left out.
func Find(ctx context.Context, copy *pgx.Conn, named []string, changes []recovery.TableChange) ([]Selected, error) {
	tx, _, err := beginCopy(ctx, copy, pgx.ReadCommitted)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only read
	relations, err := listRelations(ctx, tx)
	if err != nil {
		return nil, err
	}
	var found []Selected
	add := func(r relation) {
		leaf, table := r.Name, r.Name
		if r.root.Table != "" {
			table = r.root
		}
		i := slices.IndexFunc(found, func(s Selected) bool { return s.Name == table })
		switch {
		case leaf == table && i < 0:
			found = append(found, Selected{Name: table})
		case leaf == table:
			found[i].Leaves = nil
		case i < 0:
			found = append(found, Selected{table, []Name{leaf}})
		case len(found[i].Leaves) > 0 && !slices.Contains(found[i].Leaves, leaf):
			found[i].Leaves = append(found[i].Leaves, leaf)
		}
	}
	var database uint32
	if err := tx.QueryRow(ctx, "select oid from pg_database where datname = current_database()").Scan(&database); err != nil {
		return nil, fmt.Errorf("name the copy's database: %w", err)
	}
	for _, name := range named {
		r, err := byName(relations, name)
		if err != nil {
			return nil, err
		}
		add(r)
	}
	anew := false
	for _, c := range changes {
		if c.Database != 0 && c.Database != database {
			continue
		}
		r, ok := relations.changed(c)
		anew = anew || !ok && c.Created && (c.Arrived > 0 || c.Inserted > 0 && len(named) == 0)
		switch {
		case !ok || r.kind != "r":
		case len(named) == 0, c.Left+c.Arrived > 0 && inPart(found, r.root):
			add(r)
		}
	}
	for i := range found {
		if anew {
			found[i].Leaves = nil
		}
	}
	return found, nil
}

// inPart reports whether some partitions of a table are read, and not all.
func inPart(found []Selected, root Name) bool {
	return slices.ContainsFunc(found, func(s Selected) bool { return s.Name == root && len(s.Leaves) > 0 })
}

// Selected is a table to bring rows back of, and the partitions of it to read
// where not all of them are.
type Selected struct {
	Name
	Leaves []Name `json:"leaves,omitempty"`
}

// relation is a table of a copy, or something with a file that is none.
type relation struct {
	Name
	kind     string
	unlogged bool
	filenode uint32
	// root is the partitioned table that it belongs to in the end.
	root Name
}

type relations []relation

// changed finds what a transaction changed.
func (r relations) changed(c recovery.TableChange) (relation, bool) {
	if i := slices.IndexFunc(r, func(r relation) bool { return r.filenode != 0 && r.filenode == c.Filenode }); i >= 0 {
		return r[i], true
	}
	found, err := byName(r, c.Name)
	return found, c.Name != "" && err == nil
}

// byName finds the table that people mean.
func byName(all relations, name string) (relation, error) {
	var found []relation
	for _, r := range all {
		if (r.kind == "r" || r.kind == "p") && (r.String() == name || r.Schema+"."+r.Table == name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return relation{}, refusedf("write it as the database has it, with its schema where that is not public", "the copy has no table %s", name)
	case 1:
		return found[0], nil
	}
	var schemas []string
	for _, r := range found {
		schemas = append(schemas, quote(r.Schema))
	}
	return relation{}, refusedf("rename one of them", "%s is several tables, in the schemas %s", name, strings.Join(schemas, ", "))
}

func listRelations(ctx context.Context, tx pgx.Tx) (relations, error) {
	rows, err := tx.Query(ctx, `
		select n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 'u', coalesce(pg_relation_filenode(c.oid), 0)::oid,
			case when c.relispartition then rn.nspname end::text, case when c.relispartition then r.relname end::text
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		left join pg_class r on r.oid = pg_partition_root(c.oid) left join pg_namespace rn on rn.oid = r.relnamespace
		where c.relkind in ('r', 'p', 'm', 'S') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
		order by 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("list the tables of the copy: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		var schema, table *string
		err = row.Scan(&r.Schema, &r.Table, &r.kind, &r.unlogged, &r.filenode, &schema, &table)
		if schema != nil && table != nil {
			r.root = Name{*schema, *table}
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables of the copy: %w", err)
	}
	return all, nil
}

// All lists every table of a copy that holds rows, partitioned ones whole. Unlogged
// ones hold none in a copy.
func All(ctx context.Context, copy *pgx.Conn) ([]Selected, error) {
	tx, _, err := beginCopy(ctx, copy, pgx.ReadCommitted)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only read
	relations, err := listRelations(ctx, tx)
	if err != nil {
		return nil, err
	}
	var all []Selected
	for _, r := range relations {
		if r.root.Table == "" && !r.unlogged && (r.kind == "r" || r.kind == "p") {
			all = append(all, Selected{Name: r.Name})
		}
	}
	return all, nil
}
