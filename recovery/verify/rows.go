package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TableRows is how many rows a table has.
type TableRows struct {
	// Table is its name, with its schema unless that is public.
	Table string `json:"table"`
	// Rows is -1 where it is not known; then Why says why.
	Rows int64 `json:"rows,string"`
	// Estimate says that Rows is the server's own guess.
	Estimate bool   `json:"estimate,omitempty"`
	Why      string `json:"why,omitempty"`
}

const (
	// countedPages is how large a table may be to be counted, not estimated.
	countedPages = 128 << 20 / 8192
	// countTime bounds the count of one table, and countLock the wait for it.
	countTime = 5 * time.Second
	countLock = time.Second
)

// CountRows lists the tables of a database with their rows, by name, partitions
// folded into their table. Small tables are counted and large ones estimated; all
// counts together take about as long as the limit, then the rest is estimated. It
// only reads, and one table that is locked does not keep the others back.
func CountRows(ctx context.Context, conn *pgx.Conn, limit time.Duration, now func() time.Time) ([]TableRows, error) {
	type table struct {
		quoted   string
		unlogged bool
		pages    int64
		guess    int64
		rows     TableRows
	}
	paused, err := Paused(ctx, conn)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `with recursive leaf as (
			select oid as root, oid as leaf from pg_class where relkind in ('r', 'p', 'm') and not relispartition and relpersistence <> 't'
			union all select root, inhrelid from leaf join pg_inherits on inhparent = leaf join pg_class c on c.oid = inhrelid and c.relispartition)
		select case when n.nspname = 'public' then r.relname else n.nspname || '.' || r.relname end, format('%I.%I', n.nspname, r.relname), bool_and(r.relpersistence = 'u'),
			sum(greatest(c.relpages, 0))::bigint, (case when min(c.reltuples) filter (where c.relkind <> 'p') < 0 then -1 else sum(greatest(c.reltuples, 0)) end)::bigint
		from leaf join pg_class r on r.oid = root join pg_namespace n on n.oid = r.relnamespace join pg_class c on c.oid = leaf
		where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_' group by 1, 2 order by 1`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		err = row.Scan(&t.rows.Table, &t.quoted, &t.unlogged, &t.pages, &t.guess)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	until := now().Add(limit)
	var all []TableRows
	for _, t := range tables {
		t.rows.Rows, t.rows.Estimate = t.guess, true
		if t.unlogged && paused {
			t.rows.Rows, t.rows.Estimate, t.rows.Why = -1, false, "unlogged, comes back empty"
			all = append(all, t.rows)
			continue
		}
		if t.pages <= countedPages && now().Before(until) {
			n, why, err := countTable(ctx, conn, t.quoted)
			if err != nil {
				return nil, fmt.Errorf("count the rows of %s: %w", t.rows.Table, err)
			}
			if t.rows.Why = why; why == "" {
				t.rows.Rows, t.rows.Estimate = n, false
			}
		}
		if t.rows.Rows < 0 {
			t.rows.Estimate = false
			if t.rows.Why == "" {
				t.rows.Why = "too large to count, and never analyzed"
			}
		}
		all = append(all, t.rows)
	}
	return all, nil
}

// countTable counts; why says for which reason it could not.
func countTable(ctx context.Context, conn *pgx.Conn, quoted string) (n int64, why string, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return 0, "", err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	limits := fmt.Sprintf("set local statement_timeout = %d; set local lock_timeout = %d", countTime.Milliseconds(), countLock.Milliseconds())
	if _, err := conn.PgConn().Exec(ctx, limits).ReadAll(); err != nil {
		return 0, "", err
	}
	err = tx.QueryRow(ctx, "select count(*) from "+quoted).Scan(&n)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return n, "", nil
	case errors.As(err, &pg) && pg.Code == lockNotAvailable:
		return 0, "locked", nil
	case errors.As(err, &pg) && pg.Code == queryCanceled:
		return 0, "too slow to count", nil
	case errors.As(err, &pg):
		return 0, pg.Message, nil
	}
	return 0, "", err
}
