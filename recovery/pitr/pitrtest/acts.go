package pitrtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

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
		ids = append(ids, w.id*rowsOfWriter+w.next)
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
	w.change("parted_1", func(e *effect) { e.updated, e.left, e.arrived = e.updated+first, e.left+first, e.arrived+n-first })
	w.change("parted_2", func(e *effect) { e.updated, e.left, e.arrived = e.updated+n-first, e.left+n-first, e.arrived+first })
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
	w.names(ctx)
	w.change(name, func(e *effect) { e.created, e.inserted = true, n })
}

// names lets whoever reads the log learn the names of the tables that there are.
func (w *writer) names(ctx context.Context) {
	if w.err == nil && w.look != nil {
		w.err = w.look(ctx, w.database, w.conn)
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
	w.names(ctx)
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
	w.names(ctx)
}

func (w *writer) catalog(ctx context.Context) {
	w.exec(ctx, fmt.Sprintf("create or replace view seen_%d as select count(*) from items", w.id))
	w.exec(ctx, fmt.Sprintf("drop view seen_%d", w.id))
}
