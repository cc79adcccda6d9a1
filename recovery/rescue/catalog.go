package rescue

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Table is what a database says of a table.
type Table struct {
	Name
	OID uint32 `json:"oid"`
	// Kind is "r", or "p" for a partitioned table.
	Kind string `json:"kind"`
	// Unlogged tables have no rows in a copy that was replayed from the log.
	Unlogged bool     `json:"unlogged,omitempty"`
	Columns  []Column `json:"columns"`
	// Key tells its rows apart: the primary key, or else a unique index over
	// columns that are never null. It is empty where there is neither.
	Key []KeyColumn `json:"key,omitempty"`
	// Leaves are the partitions to read, where not all of them are.
	Leaves []Name `json:"leaves,omitempty"`
}

// Column is a column of a table.
type Column struct {
	Name   string `json:"name"`
	Number int16  `json:"number"`
	// Type is PostgreSQL's own text, Base the type under a domain, Plain that
	// without a length.
	Type  string `json:"type"`
	Base  string `json:"base"`
	Plain string `json:"plain"`
	// Order says how rows are brought into one order by it: "number", or by
	// its text.
	Order   string `json:"order,omitempty"`
	NotNull bool   `json:"not_null,omitempty"`
	Default bool   `json:"default,omitempty"`
	// Generated columns follow from others. Always is an identity that takes
	// no value in an update.
	Generated bool `json:"generated,omitempty"`
	Always    bool `json:"always,omitempty"`
}

// KeyColumn is one of a key, with the operator by which its index finds a value.
type KeyColumn struct {
	Name     string `json:"name"`
	Operator string `json:"operator"`
}

// column finds one by its name.
func (t *Table) column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

const tableQuery = `
select c.oid, c.relkind::text, c.relpersistence = 'u'
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::text and c.relname = $2::text and c.relkind in ('r', 'p') and c.relpersistence <> 't'`

// An operator is the equality of the index's own family, so that the index
// serves it whatever schema its type is from.
const keyColumns = `
select a.attname::text, format('operator(%s.%s)', quote_ident(n.nspname), op.oprname)
from pg_index i
cross join generate_series(0, i.indnkeyatts - 1) k(n)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.n]
join pg_opclass oc on oc.oid = i.indclass[k.n]
join pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amopstrategy = 3 and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
join pg_operator op on op.oid = ao.amopopr join pg_namespace n on n.oid = op.oprnamespace
where i.indexrelid = $1 order by k.n`

const columnQuery = `
select a.attname::text, a.attnum, format_type(a.atttypid, a.atttypmod), format_type(base.oid, base.mod), format_type(base.oid, -1),
       case when base.oid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype) then 'number' else '' end,
       a.attnotnull, a.atthasdef or a.attidentity <> '' or base.defaulted, a.attgenerated <> '', a.attidentity = 'a'
from pg_attribute a
cross join lateral (
	with recursive d(oid, mod, defaulted) as (
		select a.atttypid, a.atttypmod, false
		union all
		select t.typbasetype, t.typtypmod, d.defaulted or t.typdefault is not null from d join pg_type t on t.oid = d.oid where t.typtype = 'd')
	select d.oid, d.mod, d.defaulted from d join pg_type t on t.oid = d.oid where t.typtype <> 'd') base
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`

// readTable describes a table; ok is false where there is none of that name.
func readTable(ctx context.Context, tx pgx.Tx, name Name) (t Table, ok bool, err error) {
	t.Name = name
	rows, err := tx.Query(ctx, tableQuery, name.Schema, name.Table)
	if err != nil {
		return t, false, fmt.Errorf("describe table %s: %w", name, err)
	}
	var found bool
	for rows.Next() {
		found = true
		if err := rows.Scan(&t.OID, &t.Kind, &t.Unlogged); err != nil {
			return t, false, fmt.Errorf("describe table %s: %w", name, err)
		}
	}
	if err := rows.Err(); err != nil || !found {
		return t, false, err
	}
	rows, err = tx.Query(ctx, columnQuery, t.OID)
	if err == nil {
		t.Columns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Column])
	}
	if err != nil {
		return t, false, fmt.Errorf("describe the columns of %s: %w", name, err)
	}
	if t.Key, err = readKey(ctx, tx, t.OID); err != nil {
		return t, false, fmt.Errorf("describe the key of %s: %w", name, err)
	}
	return t, true, nil
}

// readKey finds what tells the rows of a table apart.
func readKey(ctx context.Context, tx pgx.Tx, table uint32) ([]KeyColumn, error) {
	indexes, err := uniqueIndexes(ctx, tx, table)
	if err != nil {
		return nil, err
	}
	for _, i := range indexes {
		if i.Never {
			return i.columns, nil
		}
	}
	return nil, nil
}

// uniqueIndex is one over whole columns of all rows.
type uniqueIndex struct {
	OID uint32
	// Never says that none of its columns is ever null.
	Never   bool
	columns []KeyColumn
}

// uniqueIndexes lists those of a table, the primary key first.
func uniqueIndexes(ctx context.Context, tx pgx.Tx, table uint32) ([]uniqueIndex, error) {
	rows, err := tx.Query(ctx, `
		select i.indexrelid, not exists (select from generate_series(0, i.indnkeyatts - 1) k(n)
			join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.n] where not a.attnotnull)
		from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
		where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and m.amname = 'btree'
		order by i.indisprimary desc, i.indnkeyatts, i.indexrelid`, table)
	if err != nil {
		return nil, err
	}
	indexes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i uniqueIndex, err error) {
		return i, row.Scan(&i.OID, &i.Never)
	})
	if err != nil {
		return nil, err
	}
	for n := range indexes {
		rows, err := tx.Query(ctx, keyColumns, indexes[n].OID)
		if err == nil {
			indexes[n].columns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[KeyColumn])
		}
		if err != nil {
			return nil, err
		}
	}
	return indexes, nil
}

// ForeignKey is what a table's rows refer to, or what refers to them.
type ForeignKey struct {
	Constraint string `json:"constraint"`
	// Table has the Columns that refer, Parent the Keys that are referred to.
	Table   Name        `json:"table"`
	Columns []string    `json:"columns"`
	Parent  Name        `json:"parent"`
	Keys    []KeyColumn `json:"keys"`
	// Deferrable ones can be checked in the end.
	Deferrable bool `json:"deferrable,omitempty"`
	// OnUpdate is what a change of the Keys does to the rows that refer to them, in
	// PostgreSQL's words; empty where it changes none.
	OnUpdate string `json:"on_update,omitempty"`
}

// foreignKeys lists the foreign keys of a table, or those that refer to it, to one of
// its partitions or to what it is a partition of. Those of its own are the ones that a
// partitioned table declares itself.
func foreignKeys(ctx context.Context, tx pgx.Tx, table uint32, referring bool) ([]ForeignKey, error) {
	side := "k.conrelid = $1"
	if referring {
		side = "(k.confrelid = $1 or k.confrelid in (select relid from pg_partition_tree($1) union all select relid from pg_partition_ancestors($1)))"
	}
	rows, err := tx.Query(ctx, `
		select k.conname::text, cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
			array(select a.attname::text from unnest(k.conkey) with ordinality u(n, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.at),
			array(select a.attname::text from unnest(k.confkey) with ordinality u(n, at) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.at),
			array(select format('operator(%s.%s)', quote_ident(n.nspname), o.oprname) from unnest(k.conpfeqop) with ordinality u(op, at)
				join pg_operator o on o.oid = u.op join pg_namespace n on n.oid = o.oprnamespace order by u.at),
			k.condeferrable, case k.confupdtype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default' else '' end
		from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace cn on cn.oid = c.relnamespace
		join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
		where k.contype = 'f' and k.conparentid = 0 and `+side+` order by k.conname, k.oid`, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f ForeignKey, err error) {
		var keys, operators []string
		err = row.Scan(&f.Constraint, &f.Table.Schema, &f.Table.Table, &f.Parent.Schema, &f.Parent.Table, &f.Columns, &keys, &operators, &f.Deferrable, &f.OnUpdate)
		for i := range min(len(keys), len(operators)) {
			f.Keys = append(f.Keys, KeyColumn{keys[i], operators[i]})
		}
		return f, err
	})
}
