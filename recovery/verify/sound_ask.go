package verify

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

// own leaves out what is PostgreSQL's own.
const own = `n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'`

func lines(ctx context.Context, tx pgx.Tx, sql string) ([]string, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// invalidIndexes are those that no query uses and no constraint is held by.
func invalidIndexes(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	if err := tx.QueryRow(ctx, "select count(*) from pg_index").Scan(&looked); err != nil {
		return nil, 0, err
	}
	wrong, err = lines(ctx, tx, `select format('index %s is invalid', indexrelid::regclass) from pg_index where not (indisvalid and indisready) order by 1`)
	return wrong, looked, err
}

// brokenKeys are foreign keys with rows that lead nowhere. Those are left out that
// PostgreSQL itself does not hold for all rows (not valid) or by equal values
// (periods). Values are equal by the key's own operators, whatever else is visible. Only what is partitioned is taken with its children: what inherits from a
// table has no part in its keys.
func brokenKeys(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	rows, err := tx.Query(ctx, `select k.conname::text, k.conrelid::regclass::text,
		format('select count(*) from %s %s a where %s and not exists (select from %s %s b where %s)', case c.relkind when 'p' then '' else 'only' end, k.conrelid::regclass,
			(select string_agg(format('a.%I is not null', x.attname), ' and ' order by o) from unnest(k.conkey) with ordinality c(n, o) join pg_attribute x on x.attrelid = k.conrelid and x.attnum = c.n),
			case f.relkind when 'p' then '' else 'only' end, k.confrelid::regclass,
			(select string_agg(format('b.%I operator(%I.%s) a.%I', y.attname, s.nspname, q.oprname, x.attname), ' and ' order by c.o)
				from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality c(n, m, op, o) join pg_operator q on q.oid = c.op join pg_namespace s on s.oid = q.oprnamespace
				join pg_attribute x on x.attrelid = k.conrelid and x.attnum = c.n join pg_attribute y on y.attrelid = k.confrelid and y.attnum = c.m))
		from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
		where k.contype = 'f' and k.conparentid = 0 and k.convalidated and to_jsonb(k)->>'conperiod' is distinct from 'true' order by 1, 2`)
	if err != nil {
		return nil, 0, err
	}
	type key struct{ Name, Table, Query string }
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return nil, 0, err
	}
	for _, k := range keys {
		var n int64
		if err := postgres.Briefly(ctx, tx, func() error { return tx.QueryRow(ctx, k.Query).Scan(&n) }); err != nil {
			return nil, 0, err
		}
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("foreign key %s does not hold: %s of %s", k.Name, recovery.FormatCount(n, "row"), k.Table))
		}
	}
	return wrong, len(keys), nil
}

// lateSequences are behind the columns that they number: what they gave last, or, where
// they gave nothing since they were made or set, what comes before the next, is.
func lateSequences(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	rows, err := tx.Query(ctx, `select s.oid::regclass::text, d.refobjid::regclass::text || '.' || a.attname,
		format('select coalesce((select max(%I) from %s), given) - given from (select last_value::numeric - case when is_called then 0 else %s end from %s) s (given)',
			a.attname, d.refobjid::regclass, q.seqincrement, s.oid::regclass)
		from pg_class s join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
		join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid join pg_sequence q on q.seqrelid = s.oid
		where s.relkind = 'S' and q.seqincrement > 0 and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) order by 1`)
	if err != nil {
		return nil, 0, err
	}
	type sequence struct{ Name, Column, Query string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sequence])
	if err != nil {
		return nil, 0, err
	}
	for _, s := range all {
		var behind int64
		if err := postgres.Briefly(ctx, tx, func() error { return tx.QueryRow(ctx, s.Query).Scan(&behind) }); err != nil {
			return nil, 0, err
		}
		if behind > 0 {
			wrong = append(wrong, fmt.Sprintf("sequence %s is %d behind %s", s.Name, behind, s.Column))
		}
	}
	return wrong, len(all), nil
}

// otherCollations sort otherwise here than where their indexes were built.
func otherCollations(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	if err := tx.QueryRow(ctx, "select count(*) from pg_collation where collversion is not null").Scan(&looked); err != nil {
		return nil, 0, err
	}
	wrong, err = lines(ctx, tx, `select format('collation %I has the version %s here, and %s in the database', collname, pg_collation_actual_version(oid), collversion)
		from pg_collation where collversion is distinct from pg_collation_actual_version(oid) and collversion is not null order by 1`)
	if err != nil {
		return nil, 0, err
	}
	var major int
	if err := tx.QueryRow(ctx, "select current_setting('server_version_num')::int4 / 10000").Scan(&major); err != nil || !postgres.RecordsCollations(major) {
		return wrong, looked, err
	}
	of, err := lines(ctx, tx, `select format('the database''s collation has the version %s here, and %s in the database', pg_database_collation_actual_version(oid), datcollversion)
		from pg_database where datname = current_database() and datcollversion is not null and datcollversion is distinct from pg_database_collation_actual_version(oid)`)
	return append(wrong, of...), looked + 1, err
}

// otherExtensions are those whose version this host does not have: what their
// functions call is another library's, or none.
func otherExtensions(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	if err := tx.QueryRow(ctx, "select count(*) from pg_extension").Scan(&looked); err != nil {
		return nil, 0, err
	}
	wrong, err = lines(ctx, tx, `select case when not exists (select from pg_available_extensions a where a.name = e.extname)
			then format('extension %I %s is not installed on this host', extname, extversion)
			else format('extension %I has the version %s in the database, which this host does not have; its own is %s', extname, extversion,
				(select default_version from pg_available_extensions a where a.name = e.extname)) end
		from pg_extension e where not exists (select from pg_available_extension_versions v where v.name = e.extname and v.version = e.extversion) order by 1`)
	return wrong, looked, err
}

// badChecksums reads every page of what is stored, whose checksums the server holds
// against it, and tells of those that are not what was written, of others that the
// server has met before, and of a cluster that could not tell.
func badChecksums(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	var on string
	if err := tx.QueryRow(ctx, "select current_setting('data_checksums')").Scan(&on); err != nil {
		return nil, 0, err
	}
	if on != "on" {
		return []string{"the cluster keeps no data checksums"}, 1, nil
	}
	if wrong, err = lines(ctx, tx, `select format('%s pages of %s are not what was written', checksum_failures, coalesce(datname, 'the shared tables'))
		from pg_stat_database where checksum_failures > 0 order by 1`); err != nil {
		return nil, 0, err
	}
	schema, err := extension(ctx, tx, "pg_prewarm")
	if err != nil {
		return nil, 0, err
	}
	all, err := relations(ctx, tx, "c.relkind in ('r', 'm', 'i', 't', 'S')")
	if err != nil {
		return nil, 0, err
	}
	for _, r := range all {
		says, err := unreadable(ctx, tx, schema, r.OID)
		if err != nil {
			return nil, 0, err
		}
		if says != "" {
			wrong = append(wrong, fmt.Sprintf("%s cannot be read: %s", r.Name, says))
		}
	}
	return wrong, len(all), nil
}

// unreadable reads all pages of one relation, in a savepoint: the first that is
// damaged ends it.
func unreadable(ctx context.Context, tx pgx.Tx, schema string, oid int64) (says string, err error) {
	err = postgres.Briefly(ctx, tx, func() error {
		_, err := tx.Exec(ctx, "select "+schema+".pg_prewarm($1::int8::oid::regclass, 'buffer')", oid)
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == dataCorrupted || refused.Code == ioError) {
		return refused.Message, nil
	}
	return "", err
}

// What a server says of a page that is not what was written, and of one that its disk
// does not give.
const (
	dataCorrupted = "XX001"
	ioError       = "58030"
)

// What a server, and amcheck, say of what contradicts itself (XX001 of a table, XX002 of
// an index, XX000 of what should not be), and of a relation without its file.
const (
	corruption = "XX"
	noFile     = "58P01"
)

// brokenTrees are tables and B-trees that amcheck finds damaged. The extension is
// made for the while where the database does not have it.
func brokenTrees(ctx context.Context, tx pgx.Tx) (wrong []string, looked int, err error) {
	schema, err := extension(ctx, tx, "amcheck")
	if err != nil {
		return nil, 0, err
	}
	heaps, err := looksAtHeaps(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	kinds := "'r', 'm'"
	if !heaps {
		kinds = "''"
	}
	all, err := relations(ctx, tx, own+` and (c.relkind in (`+kinds+`) or
		c.relkind = 'i' and m.amname = 'btree' and exists (select from pg_index i where i.indexrelid = c.oid and i.indisvalid))`)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range all {
		says, err := broken(ctx, tx, schema, r.Kind == "i", r.OID)
		if err != nil {
			return nil, 0, err
		}
		if says != "" {
			wrong = append(wrong, fmt.Sprintf("%s is damaged: %s", r.Name, says))
		}
	}
	return wrong, len(all), nil
}

// looksAtHeaps reports whether the database's amcheck knows tables: since 1.3, of
// PostgreSQL 14.
func looksAtHeaps(ctx context.Context, tx pgx.Tx) (knows bool, err error) {
	err = tx.QueryRow(ctx, `select exists (select from pg_proc p join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
		join pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid where e.extname = 'amcheck' and p.proname = 'verify_heapam')`).Scan(&knows)
	return knows, err
}

// withoutHeaps says that tables were not looked at, where that is so.
func withoutHeaps(ctx context.Context, tx pgx.Tx) (says string, err error) {
	knows, err := looksAtHeaps(ctx, tx)
	if err != nil || knows {
		return "", err
	}
	var version string
	err = tx.QueryRow(ctx, "select extversion from pg_extension where extname = 'amcheck'").Scan(&version)
	return fmt.Sprintf("tables were not looked at, only their indexes: amcheck %s knows no others", version), err
}

// broken asks amcheck about one relation, in a savepoint: it raises what it finds
// in an index.
func broken(ctx context.Context, tx pgx.Tx, schema string, index bool, oid int64) (says string, err error) {
	err = postgres.Briefly(ctx, tx, func() error {
		if index {
			_, err := tx.Exec(ctx, "select "+schema+".bt_index_check($1::int8::oid::regclass, true)", oid)
			return err
		}
		return tx.QueryRow(ctx, "select coalesce((select msg from "+schema+".verify_heapam($1::int8::oid::regclass) limit 1), '')", oid).Scan(&says)
	})
	if err != nil {
		return damage(err)
	}
	return says, nil
}

// damage tells an error that is about what is stored from one about the looking: a
// lock, a time limit, a function.
func damage(err error) (says string, other error) {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (strings.HasPrefix(refused.Code, corruption) || refused.Code == ioError || refused.Code == noFile) {
		return refused.Message, nil
	}
	return "", err
}

// extension gives the schema of one of PostgreSQL's own extensions. It is made for
// the while where the database does not have it.
func extension(ctx context.Context, tx pgx.Tx, name string) (schema string, err error) {
	if err := tx.QueryRow(ctx, "select coalesce((select extnamespace::regnamespace::text from pg_extension where extname = $1), '')", name).Scan(&schema); err != nil || schema != "" {
		return schema, err
	}
	schema = madePrefix + name
	_, err = tx.Exec(ctx, "create schema "+schema+"; create extension "+name+" schema "+schema, pgx.QueryExecModeSimpleProtocol)
	return schema, err
}

// madePrefix begins the names of schemas that are made for the while.
const madePrefix = "comeback_"

// relation is what has a file of its own.
type relation struct {
	Name, Kind string
	OID        int64
}

// relations lists those that a condition holds for, over pg_class c, its namespace n
// and its access method m; none that is temporary or made for the while.
func relations(ctx context.Context, tx pgx.Tx, condition string) ([]relation, error) {
	rows, err := tx.Query(ctx, `select c.oid::regclass::text, c.relkind::text, c.oid::int8 from pg_class c join pg_namespace n on n.oid = c.relnamespace
		left join pg_am m on m.oid = c.relam where n.nspname not in ('`+madePrefix+`amcheck', '`+madePrefix+`pg_prewarm') and c.relpersistence <> 't' and
		(`+condition+`) order by 2, 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
}
