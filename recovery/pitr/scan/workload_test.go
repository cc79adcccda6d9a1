package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"comeback/recovery"
)

// effect is what is known to have happened to a table.
type effect struct {
	counts
	// before is what was done before it was truncated.
	before                      counts
	created, dropped, truncated bool
}

type counts struct{ inserted, updated, deleted int64 }

// writer writes transactions with known effects, side by side with others. Rows
// and tables that it changes are its own, so that it never waits for another.
type writer struct {
	id   int
	rand *rand.Rand
	conn *pgx.Conn
	// effects are those of the transaction under way; prefix tells the
	// databases' tables apart.
	effects map[string]effect
	truths  []truth
	next    int // the next row
	rows    map[string][]int
	// private are its own tables that exist, made the number that it made.
	private []string
	made    int
	// known are the names of its own tables when they were made, as a map
	// that is saved now and then has them.
	database DatabaseMap
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
	known := truth{name: name, xid: recovery.XID(xid), how: recovery.Committed, tables: lines(w.effects)}
	switch n := w.rand.IntN(20); {
	case n == 0:
		w.exec(ctx, "rollback")
		known.how = recovery.Aborted
	case n <= 2:
		gid := fmt.Sprintf("w%d: %s; %d", w.id, name, w.rand.IntN(1000))
		w.exec(ctx, "prepare transaction '"+gid+"'")
		w.truths = append(w.truths, truth{name, known.xid, recovery.Prepared, known.tables})
		if w.rand.IntN(3) == 0 {
			w.exec(ctx, "rollback prepared '"+gid+"'")
			known.how = recovery.AbortedPrepared
		} else {
			w.exec(ctx, "commit prepared '"+gid+"'")
			known.how = recovery.CommittedPrepared
		}
	default:
		w.exec(ctx, "commit")
	}
	if known.how == recovery.Aborted || known.how == recovery.AbortedPrepared {
		w.rows, w.private = before, private
	}
	w.truths = append(w.truths, known)
}

func cloneRows(rows map[string][]int) map[string][]int {
	c := map[string][]int{}
	for k, v := range rows {
		c[k] = slices.Clone(v)
	}
	return c
}

// act does one thing, maybe in a savepoint that is kept or rolled back.
func (w *writer) act(ctx context.Context, depth int) {
	if depth < 3 && w.rand.IntN(5) == 0 {
		before, rows, private := maps.Clone(w.effects), cloneRows(w.rows), slices.Clone(w.private)
		w.exec(ctx, fmt.Sprintf("savepoint s%d", depth))
		for range 1 + w.rand.IntN(3) {
			w.act(ctx, depth+1)
		}
		if w.rand.IntN(2) == 0 {
			w.exec(ctx, fmt.Sprintf("rollback to s%d", depth))
			w.effects, w.rows, w.private = before, rows, private
			return
		}
		w.exec(ctx, fmt.Sprintf("release s%d", depth))
		return
	}
	acts := []func(context.Context){w.insert, w.insert, w.insert, w.update, w.update, w.delete, w.copy, w.upsert, w.long, w.move,
		w.unlogged, w.create, w.truncate, w.drop, w.alter, w.catalog}
	acts[w.rand.IntN(len(acts))](ctx)
}

// ids are new rows of a table.
func (w *writer) ids(table string, n int) []int {
	var ids []int
	for range n {
		w.next++
		ids = append(ids, w.id*10_000_000+w.next)
	}
	w.rows[table] = append(w.rows[table], ids...)
	return ids
}

// some takes some rows of a table.
func (w *writer) some(table string, n int) []int {
	all := w.rows[table]
	n = min(n, len(all))
	if n == 0 {
		return nil
	}
	at := w.rand.IntN(len(all) - n + 1)
	return slices.Clone(all[at : at+n])
}

func (w *writer) insert(ctx context.Context) {
	ids := w.ids("items", 1+w.rand.IntN(20))
	n := w.exec(ctx, "insert into items select i, 'item' from unnest($1::int[]) i", ids)
	w.change("items", func(e *effect) { e.inserted += n })
}

func (w *writer) update(ctx context.Context) {
	ids := w.some("items", 1+w.rand.IntN(30))
	n := w.exec(ctx, "update items set note = note || 'u' where id = any($1::int[])", ids)
	w.change("items", func(e *effect) { e.updated += n })
}

func (w *writer) delete(ctx context.Context) {
	ids := w.some("items", 1+w.rand.IntN(10))
	n := w.exec(ctx, "delete from items where id = any($1::int[])", ids)
	w.rows["items"] = slices.DeleteFunc(w.rows["items"], func(id int) bool { return slices.Contains(ids, id) })
	w.change("items", func(e *effect) { e.deleted += n })
}

func (w *writer) copy(ctx context.Context) {
	ids := w.ids("items", 50+w.rand.IntN(300))
	if w.err != nil {
		return
	}
	n, err := w.conn.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"id", "note"},
		pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) { return []any{ids[i], strings.Repeat("c", 100)}, nil }))
	w.err = err
	w.change("items", func(e *effect) { e.inserted += n })
}

func (w *writer) upsert(ctx context.Context) {
	old := w.some("items", 3)
	fresh := w.ids("items", 2)
	w.exec(ctx, "insert into items select i, 'up' from unnest($1::int[]) i on conflict (id) do update set note = excluded.note", slices.Concat(old, fresh))
	w.change("items", func(e *effect) { e.inserted += int64(len(fresh)); e.updated += int64(len(old)) })
}

// long writes values that are kept out of line.
func (w *writer) long(ctx context.Context) {
	if ids := w.some("papers", 1); ids != nil && w.rand.IntN(2) == 0 {
		n := w.exec(ctx, "update papers set body = body || md5(body) where id = any($1::int[])", ids)
		w.change("papers", func(e *effect) { e.updated += n })
		return
	}
	n := w.exec(ctx, "insert into papers select i, (select string_agg(md5(i::text || k::text), '') from generate_series(1, 400) k) from unnest($1::int[]) i", w.ids("papers", 2))
	w.change("papers", func(e *effect) { e.inserted += n })
}

// move moves rows between partitions, and adds some.
func (w *writer) move(ctx context.Context) {
	n := w.exec(ctx, "insert into parted select i, 1 from unnest($1::int[]) i", w.ids("parted", 3))
	w.change("parted_1", func(e *effect) { e.inserted += n })
	ids := w.some("parted", 4)
	var first int64
	if w.err == nil {
		w.err = w.conn.QueryRow(ctx, "select count(*) from parted_1 where id = any($1::int[])", ids).Scan(&first)
	}
	n = w.exec(ctx, "update parted set k = 3 - k where id = any($1::int[])", ids)
	w.change("parted_1", func(e *effect) { e.updated += first })
	w.change("parted_2", func(e *effect) { e.updated += n - first })
}

func (w *writer) unlogged(ctx context.Context) {
	w.exec(ctx, "insert into volatile select generate_series(1, 20)")
}

func (w *writer) create(ctx context.Context) {
	w.made++
	name := fmt.Sprintf("own_%d_%d", w.id, w.made)
	w.exec(ctx, "create table "+name+" (id int primary key, note text, n serial)")
	n := w.exec(ctx, "insert into "+name+" select i, 'own' from generate_series(1, $1::int) i", 1+w.rand.IntN(50))
	w.private = append(w.private, name)
	w.look(ctx)
	w.change(name, func(e *effect) { e.created, e.inserted = true, n })
}

// look keeps the names of the tables that there are.
func (w *writer) look(ctx context.Context) {
	if w.err != nil {
		return
	}
	var relations []MappedRelation
	if relations, w.err = readRelations(ctx, w.conn); w.err != nil {
		return
	}
	for _, r := range relations {
		if !slices.ContainsFunc(w.database.Relations, func(k MappedRelation) bool { return k.OID == r.OID }) {
			w.database.Relations = append(w.database.Relations, r)
		}
	}
}

// own is one of its own tables.
func (w *writer) own() (string, bool) {
	if len(w.private) == 0 {
		return "", false
	}
	return w.private[w.rand.IntN(len(w.private))], true
}

func (w *writer) truncate(ctx context.Context) {
	name, ok := w.own()
	if !ok {
		return
	}
	w.exec(ctx, "truncate "+name)
	n := w.exec(ctx, "insert into "+name+" select generate_series(1, $1::int)", w.rand.IntN(5))
	w.change(name, func(e *effect) {
		if !e.created && !e.truncated {
			e.before, e.truncated = e.counts, true
		}
		// What else was there the transaction had made itself.
		e.counts = counts{inserted: n}
	})
}

func (w *writer) drop(ctx context.Context) {
	name, ok := w.own()
	if !ok {
		return
	}
	if w.rand.IntN(2) == 0 {
		n := w.exec(ctx, "delete from "+name+" where id % 2 = 0")
		w.change(name, func(e *effect) { e.deleted += n })
	}
	w.exec(ctx, "drop table "+name)
	w.private = slices.DeleteFunc(w.private, func(p string) bool { return p == name })
	if w.effects[name].created {
		delete(w.effects, name)
		return
	}
	w.change(name, func(e *effect) {
		if e.truncated {
			e.counts = counts{}
		}
		e.dropped = true
	})
}

func (w *writer) alter(ctx context.Context) {
	name, ok := w.own()
	if !ok {
		return
	}
	w.exec(ctx, "alter table "+name+" add column if not exists more int default 7")
	n := w.exec(ctx, "update "+name+" set note = 'a' where id < 5")
	w.change(name, func(e *effect) { e.updated += n })
}

func (w *writer) catalog(ctx context.Context) {
	w.exec(ctx, fmt.Sprintf("create or replace view seen_%d as select count(*) from items", w.id))
	w.exec(ctx, fmt.Sprintf("drop view seen_%d", w.id))
}

// lines writes effects as show does.
func lines(effects map[string]effect) []string {
	var tables []recovery.TableChange
	for name, e := range effects {
		c := recovery.TableChange{Relation: recovery.Relation{Name: name}, Inserted: e.before.inserted + e.inserted,
			Updated: e.before.updated + e.updated, Deleted: e.before.deleted + e.deleted,
			Created: e.created, Dropped: e.dropped, Truncated: e.truncated}
		if rowsOf(c) != 0 || e.created || e.dropped || e.truncated {
			tables = append(tables, c)
		}
	}
	return show(tables)
}

// workload makes some transactions in two databases, four writers in each, with
// checkpoints now and then as a busy server has them, and gives what they did.
func workload(t *testing.T, c *cluster, transactions int, seed uint64) (truths []truth, names []recovery.Names, from recovery.LSN) {
	admin := c.connect(t, "postgres")
	admin.do("create database one", "create database two")
	group, ctx := errgroup.WithContext(within(t, 20*time.Minute))
	var writers []*writer
	for _, database := range []string{"one", "two"} {
		s := c.connect(t, database)
		s.do("create table items (id int primary key, note text)", "create table papers (id int primary key, body text)", "alter table papers alter column body set storage external",
			"create table parted (id int, k int) partition by list (k)", "create table parted_1 partition of parted for values in (1)",
			"create table parted_2 partition of parted for values in (2)", "create unlogged table volatile (id int)")
	}
	from = admin.lsn()
	var oids = map[string]uint32{}
	for _, database := range []string{"one", "two"} {
		oids[database] = uint32(admin.number("select oid::int8 from pg_database where datname = $1", database))
	}
	for id := range 8 {
		database := []string{"one", "two"}[id%2]
		writers = append(writers, &writer{id: id, rand: rand.New(rand.NewPCG(seed, uint64(id))), conn: c.connect(t, database).Conn,
			rows: map[string][]int{}, database: DatabaseMap{OID: oids[database], Name: database}})
	}
	var done atomic.Int64
	for _, w := range writers {
		group.Go(func() error {
			w.look(ctx)
			for i := 0; w.err == nil && int(done.Add(1)) <= transactions; i++ {
				w.one(ctx, fmt.Sprintf("writer %d, %d", w.id, i))
				if w.id == 0 && i%20 == 19 {
					w.exec(ctx, "checkpoint")
				}
			}
			return w.err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	live, err := ReadNames(t.Context(), admin.Conn)
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, live)
	for _, w := range writers {
		truths = append(truths, w.truths...)
		names = append(names, (&Map{Databases: []DatabaseMap{w.database}}).build())
	}
	return truths, names, from
}

// soak reports whether the long suites are asked for.
func soak() bool { return os.Getenv("COMEBACK_SOAK") != "" }

// TestReader_Workload reads what concurrent writers did, of which everything is
// known, in chunks of all sizes, and compares with one plain pass of pg_waldump.
func TestReader_Workload(t *testing.T) {
	transactions := 480
	if soak() {
		transactions = 10_000
	}
	seed := uint64(4)
	t.Logf("%d transactions, seed %d", transactions, seed)
	c := newCluster(t, nil)
	long := c.connect(t, "postgres")
	long.do("create table never (id int)", "begin", "insert into never select generate_series(1, 100)")
	want, names, from := workload(t, c, transactions, seed)
	stretch := c.whole(t)
	stretch.From = from
	plain := plainEnds(t, c, stretch)
	t.Logf("%d segments", (stretch.To-stretch.First)/segment)
	var first []recovery.Transaction
	for _, cut := range []struct{ chunk, jobs int }{{1 << 20, 1}, {1, 2}, {2, 1}, {3, 3}, {7, 2}} {
		t.Run(fmt.Sprintf("chunks of %d, %d jobs", cut.chunk, cut.jobs), func(t *testing.T) {
			r := c.reader(t, Merge(names...))
			r.Chunk, r.Jobs = cut.chunk, cut.jobs
			got := read(t, r, stretch)
			compare(t, got, want)
			var ends []string
			for _, tx := range got {
				ends = append(ends, fmt.Sprintf("%s %d", tx.LSN, tx.XID))
			}
			slices.Reverse(ends)
			if diff := cmp.Diff(plain, ends); diff != "" {
				t.Errorf("the ends of transactions (-one pass of pg_waldump +Read):\n%.2000s", diff)
			}
			if first == nil {
				first = got
			} else if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("the listing (-in one chunk +in chunks of %d):\n%.2000s", cut.chunk, diff)
			}
		})
	}
}

// plainEnds lists the ends of transactions as one plain pass shows them.
func plainEnds(t *testing.T, c *cluster, s Stretch) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.Tools.Program("pg_waldump"), "-p", c.Data+"/pg_wal", "-s", s.First.String(), "-e", s.To.String())
	cmd.Env = []string{"TZ=UTC", "LC_ALL=C"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("pg_waldump: %s", exit.Stderr)
	}
	line := regexp.MustCompile(`(?m)^rmgr: Transaction .* tx: +(\d+), lsn: (\S+), .* desc: (COMMIT|ABORT|PREPARE|COMMIT_PREPARED|ABORT_PREPARED) (\d+:)?`)
	var ends []string
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		lsn, err := recovery.ParseLSN(m[2])
		if err != nil {
			t.Fatal(err)
		}
		xid := m[1]
		if m[4] != "" && strings.HasSuffix(m[3], "_PREPARED") {
			xid = strings.TrimSuffix(m[4], ":")
		}
		if lsn >= s.From && lsn < s.To {
			ends = append(ends, fmt.Sprintf("%s %s", lsn, xid))
		}
	}
	return ends
}
