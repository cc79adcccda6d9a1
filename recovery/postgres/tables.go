package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// TableDigest names the way in which ReadTables makes digests. They depend on the
// rows of a table, not on their order, and on nothing that the server is set to:
// the SHA-256 of the number of rows and of the sums of both halves of
// md5(row::text).
const TableDigest = "rows and sums of md5(row::text), 1"

// plainText are the settings that the text of a row depends on.
var plainText = []string{
	"set local datestyle = 'ISO, MDY'", "set local intervalstyle = 'postgres'", "set local extra_float_digits = 1",
	"set local bytea_output = 'hex'", "set local timezone = 'UTC'", "set local lc_monetary = 'C'", "set local xmloption = 'content'",
	"set local search_path = ''",
}

// ReadTables counts the rows of every permanent table that is not the system's,
// and makes a digest of each, as the transaction sees them. The server reads every
// table once, and sends numbers. Progress is told before each table, and may be
// nil.
func ReadTables(ctx context.Context, tx pgx.Tx, progress func(table string, n, of int)) ([]recovery.TableRecord, error) {
	for _, sql := range plainText {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("read the tables: %w", err)
		}
	}
	rows, err := tx.Query(ctx, `select c.oid, case when n.nspname = 'public' then '' else n.nspname || '.' end || c.relname, format('%I.%I', n.nspname, c.relname),
		(select coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ',' order by a.attnum)), '')
			from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
		from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' order by 2`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	type table struct {
		OID                 uint32
		Name, Quoted, Shape string
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	all := make([]recovery.TableRecord, len(tables))
	for i, t := range tables {
		if progress != nil {
			progress(t.Name, i, len(tables))
		}
		all[i].Name, all[i].OID, all[i].Shape = t.Name, t.OID, t.Shape
		err := Briefly(ctx, tx, func() (err error) {
			all[i].Rows, all[i].Digest, err = digest(ctx, tx, t.Quoted)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the table %s: %w", t.Name, err)
		}
	}
	return all, nil
}

// digest reads one table, by its name for PostgreSQL.
func digest(ctx context.Context, tx pgx.Tx, quoted string) (rows int64, text string, err error) {
	var first, second string
	err = tx.QueryRow(ctx, `select pg_catalog.count(*), coalesce(pg_catalog.sum(('x' || pg_catalog.left(h, 16))::bit(64)::bigint), 0)::text,
		coalesce(pg_catalog.sum(('x' || pg_catalog.right(h, 16))::bit(64)::bigint), 0)::text
		from (select pg_catalog.md5(("comeback row".*)::text) from only `+quoted+` "comeback row") d(h)`).Scan(&rows, &first, &second)
	if err != nil {
		return 0, "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", rows, first, second))
	return rows, hex.EncodeToString(sum[:]), nil
}
