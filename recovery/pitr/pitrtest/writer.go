package pitrtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// effect is what is known to have happened to a table.
type effect struct {
	counts
	// before is what was done before it was truncated.
	before                      counts
	created, dropped, truncated bool
}

type counts struct{ inserted, updated, deleted, left, arrived int64 }

// writer writes transactions with known effects, side by side with others. Rows
// and tables that it changes are its own, so that it never waits for another.
type writer struct {
	id   int
	rand *rand.Rand
	conn *pgx.Conn
	// effects are those of the transaction under way; prefix tells the
	// databases' tables apart.
	effects map[string]effect
	truths  []Truth
	next    int // the next row
	rows    map[string][]int
	// private are its own tables that exist, made the number that it made.
	private  []string
	made     int
	database string
	look     func(ctx context.Context, database string, conn *pgx.Conn) error
	states   bool
	err      error
}

// exec runs a statement and gives the number of rows.
func (w *writer) exec(ctx context.Context, sql string, args ...any) int64 {
	if w.err != nil {
		return 0
	}
	tag, err := w.conn.Exec(ctx, sql, args...)
	if err != nil {
		w.err = fmt.Errorf("writer %d: %s: %w", w.id, sql, err)
	}
	return tag.RowsAffected()
}

func (w *writer) change(table string, by func(*effect)) {
	e := w.effects[table]
	by(&e)
	w.effects[table] = e
}

// one is one transaction.
func (w *writer) one(ctx context.Context, name string) {
	w.effects = map[string]effect{}
	before, private := cloneRows(w.rows), slices.Clone(w.private)
	w.exec(ctx, "begin")
	for range 1 + w.rand.IntN(4) {
		w.act(ctx, 0)
	}
	var xid int64
	if w.err == nil {
		w.err = w.conn.QueryRow(ctx, "select pg_current_xact_id()::text::int8").Scan(&xid)
	}
	known := Truth{Name: name, XID: recovery.XID(xid), How: recovery.Committed, Tables: lines(w.effects)}
	switch n := w.rand.IntN(20); {
	case n == 0:
		w.exec(ctx, "rollback")
		known.How = recovery.Aborted
	case n <= 2:
		gid := fmt.Sprintf("w%d: %s; %d", w.id, name, w.rand.IntN(1000))
		w.exec(ctx, "prepare transaction '"+gid+"'")
		w.truths = append(w.truths, Truth{Name: name, XID: known.XID, How: recovery.Prepared, Tables: known.Tables})
		if w.rand.IntN(3) == 0 {
			w.exec(ctx, "rollback prepared '"+gid+"'")
			known.How = recovery.AbortedPrepared
		} else {
			w.exec(ctx, "commit prepared '"+gid+"'")
			known.How = recovery.CommittedPrepared
		}
	default:
		w.exec(ctx, "commit")
	}
	if known.How == recovery.Aborted || known.How == recovery.AbortedPrepared {
		w.rows, w.private = before, private
	} else if w.states {
		known.State = w.state(ctx)
	}
	known.writer = w.id
	w.truths = append(w.truths, known)
}

// state reads what its rows and tables are now.
func (w *writer) state(ctx context.Context) (s State) {
	if w.err == nil {
		s, w.err = ReadState(ctx, w.conn, w.id)
	}
	return s
}

func cloneRows(rows map[string][]int) map[string][]int {
	c := map[string][]int{}
	for k, v := range rows {
		c[k] = slices.Clone(v)
	}
	return c
}

// lines writes effects as Show does.
func lines(effects map[string]effect) []string {
	var tables []recovery.TableChange
	for name, e := range effects {
		c := recovery.TableChange{Relation: recovery.Relation{Name: name}, Inserted: e.before.inserted + e.inserted,
			Updated: e.before.updated + e.updated, Deleted: e.before.deleted + e.deleted,
			Left: e.before.left + e.left, Arrived: e.before.arrived + e.arrived,
			Created: e.created, Dropped: e.dropped, Truncated: e.truncated}
		if c.Inserted+c.Updated+c.Deleted+c.Arrived != 0 || e.created || e.dropped || e.truncated {
			tables = append(tables, c)
		}
	}
	return Show(tables)
}
