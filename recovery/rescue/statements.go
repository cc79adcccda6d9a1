package rescue

import (
	"fmt"
	"slices"
	"strings"
)

// work is one table under way: the SQL about it. Everything is qualified, so
// that it means the same whatever path triggers are to see.
type work struct {
	*TablePreview
	n           int
	columns     []Column // of live, those that hold values of their own
	referring   []ForeignKey
	deferrable  bool // a unique constraint of live can be deferred
	altered     []string
	without     []string
	alteredRows int64
	advanced    []Advanced // sequences
	behind      []string   // sequences that could not be
}

// staged are the rows to be brought back, state what live has of them, made what
// was done, as it came out.
func (w *work) staged() string { return fmt.Sprintf("pg_temp.comeback_rescue_%d", w.n) }
func (w *work) state() string  { return fmt.Sprintf("pg_temp.comeback_state_%d", w.n) }
func (w *work) done() string   { return fmt.Sprintf("pg_temp.comeback_done_%d", w.n) }
func (w *work) undo() string   { return fmt.Sprintf("pg_temp.comeback_undo_%d", w.n) }

// place is the number of a column of live among the pairs, -1 where the copy
// does not have it.
func (w *work) place(name string) int {
	return slices.IndexFunc(w.Columns, func(p Pair) bool { return p.Name == name })
}

// live is the table as t, itself alone where others inherit from it.
func (w *work) live() string { return w.Live.from() }

// only is the same for statements that write.
func (w *work) only() string {
	if w.Live.Kind == "p" {
		return w.Live.sql() + " t"
	}
	return "only " + w.Live.sql() + " t"
}

func list[T any](all []T, each func(int, T) string) string {
	var parts []string
	for i, v := range all {
		parts = append(parts, each(i, v))
	}
	return strings.Join(parts, ", ")
}

// byKey finds the row of live that belongs to one of s, whose columns have a
// prefix before their number.
func (w *work) byKey(prefix string) string {
	var all []string
	for _, k := range w.Key {
		all = append(all, fmt.Sprintf("t.%s %s s.%s%d", quote(k.Name), k.Operator, prefix, w.place(k.Name)))
	}
	return strings.Join(all, " and ")
}

// text is a row of some columns as one text, which tells any two values apart.
func text(columns string) string {
	return "row(" + columns + `)::pg_catalog.text collate pg_catalog."C"`
}

// paired is a row of the columns that take part.
func (w *work) paired() string {
	return text(list(w.Columns, func(_ int, p Pair) string { return "t." + quote(p.Name) }))
}

// numbered is a row of the staged columns with a prefix.
func (w *work) numbered(prefix string) string {
	return text(list(w.Columns, func(i int, _ Pair) string { return fmt.Sprintf("s.%s%d", prefix, i) }))
}

const equal = " operator(pg_catalog.=) "

// stage makes the table that the rows are copied into. A domain that takes no
// null could not be empty there: the types are those beneath.
func (w *work) stage() string {
	columns := []string{"n pg_catalog.int8", `act pg_catalog.text`}
	for _, prefix := range []string{"b", "e"} {
		for i, p := range w.Columns {
			columns = append(columns, fmt.Sprintf("%s%d %s", prefix, i, p.Base))
		}
	}
	return fmt.Sprintf("create temp table comeback_rescue_%d (%s) on commit drop; create temp table comeback_done_%d (n pg_catalog.int8, act pg_catalog.text) on commit drop",
		w.n, strings.Join(columns, ", "), w.n)
}

// remember locks the rows of live that will be changed, and keeps them.
func (w *work) remember() string {
	return fmt.Sprintf("create temp table comeback_state_%d on commit drop as select s.n, %s from %s s join %s on %s where s.act operator(pg_catalog.<>) 'i' for update of t",
		w.n, list(w.columns, func(i int, c Column) string { return fmt.Sprintf("t.%s as c%d", quote(c.Name), i) }), w.staged(), w.live(), w.byKey("b"))
}

// removeRows deletes what the transaction added, where live still has it and
// nothing refers to it.
func (w *work) removeRows() string {
	return fmt.Sprintf("with d as (delete from %s using %s s where s.act operator(pg_catalog.=) 'd' and %s and %s%s%s%s returning s.n) insert into %s select d.n, 'd' from d",
		w.only(), w.staged(), w.byKey("b"), w.paired(), equal, w.numbered("e"), w.notReferred(nil, w.removedToo()), w.done())
}

// removedToo holds for a row c of the table that the transaction has added, too.
func (w *work) removedToo() string {
	var all []string
	for _, k := range w.Key {
		all = append(all, fmt.Sprintf("c.%s %s v.b%d", quote(k.Name), k.Operator, w.place(k.Name)))
	}
	return fmt.Sprintf("exists (select from %s v where v.act operator(pg_catalog.=) 'd' and %s)", w.staged(), strings.Join(all, " and "))
}

// notReferred holds for a row of live that nothing refers to, but rows of its own
// table that go with it, for which goes holds: what would follow it by a cascade is
// somebody else's. In an undo those do not count either that are taken back after it.
func (w *work) notReferred(later []*work, goes string) string {
	var b strings.Builder
	for _, f := range w.referring {
		var on []string
		for i, k := range f.Keys {
			on = append(on, fmt.Sprintf("t.%s %s c.%s", quote(k.Name), k.Operator, quote(f.Columns[i])))
		}
		if f.Table == w.Live.Name {
			on = append(on, "not "+goes)
		}
		for _, other := range later {
			if other.Live.Name == f.Table && other.Create == "" {
				on = append(on, "not exists (select from "+other.undo()+" v where "+other.undoneBy("c", "v")+")")
			}
		}
		fmt.Fprintf(&b, " and not exists (select from %s c where %s)", f.Table.sql(), strings.Join(on, " and "))
	}
	return b.String()
}

// updateRows sets what the transaction changed, where live still has what it
// had when it was looked at.
func (w *work) updateRows() string {
	var sets []string
	for _, name := range w.Touched {
		sets = append(sets, fmt.Sprintf("%s = s.b%d", quote(name), w.place(name)))
	}
	return fmt.Sprintf("with d as (update %s set %s from %s s where s.act operator(pg_catalog.=) 'u' and %s and %s%s%s returning s.n) insert into %s select d.n, 'u' from d",
		w.only(), strings.Join(sets, ", "), w.staged(), w.byKey("b"), w.paired(), equal, w.numbered("e"), w.done())
}

// insertRows inserts what the transaction removed, where live has no such row.
// It gives how many rows were inserted, and of how many it is known which they
// are: a trigger could have given them another key.
func (w *work) insertRows() string {
	columns := list(w.Columns, func(_ int, p Pair) string { return quote(p.Name) })
	values := list(w.Columns, func(i int, _ Pair) string { return fmt.Sprintf("s.b%d", i) })
	if w.Create != "" {
		return fmt.Sprintf("with d as (insert into %s (%s) overriding system value select %s from %s s where s.act operator(pg_catalog.=) 'i' order by s.n returning 1), "+
			"m as (insert into %s select s.n, 'i' from %s s where s.act operator(pg_catalog.=) 'i' returning 1) select (select pg_catalog.count(*) from d) operator(pg_catalog.-) (select pg_catalog.count(*) from m)",
			w.Live.sql(), columns, values, w.staged(), w.done(), w.staged())
	}
	unless := " on conflict do nothing"
	if w.deferrable {
		unless = ""
	}
	var on []string
	for i, k := range w.Key {
		on = append(on, fmt.Sprintf("d.k%d %s s.b%d", i, k.Operator, w.place(k.Name)))
	}
	return fmt.Sprintf("with d as (insert into %s as t (%s) overriding system value select %s from %s s where s.act operator(pg_catalog.=) 'i' and not exists (select from %s where %s) order by s.n%s returning %s), "+
		"m as (insert into %s select s.n, 'i' from d join %s s on %s where s.act operator(pg_catalog.=) 'i' returning 1) select (select pg_catalog.count(*) from d) operator(pg_catalog.-) (select pg_catalog.count(*) from m)",
		w.Live.sql(), columns, values, w.staged(), w.live(), w.byKey("b"), unless,
		list(w.Key, func(i int, k KeyColumn) string { return fmt.Sprintf("t.%s as k%d", quote(k.Name), i) }),
		w.done(), w.staged(), strings.Join(on, " and "))
}

// differing tells for each column whether a row came out otherwise than it was
// to be, and for how many rows.
func (w *work) differing() string {
	return fmt.Sprintf("select pg_catalog.count(*) filter (where %s operator(pg_catalog.<>) %s), %s from %s d join %s s on s.n operator(pg_catalog.=) d.n join %s on %s where d.act in ('i', 'u')",
		w.paired(), w.numbered("b"),
		list(w.Columns, func(i int, p Pair) string {
			return fmt.Sprintf("pg_catalog.bool_or(%s operator(pg_catalog.<>) %s)", text("t."+quote(p.Name)), text(fmt.Sprintf("s.b%d", i)))
		}),
		w.done(), w.staged(), w.live(), w.byKey("b"))
}

// digest is that of a whole row of live, as t.
func (w *work) digest() string {
	return "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(" +
		text(list(w.columns, func(_ int, c Column) string { return "t." + quote(c.Name) })) +
		", pg_catalog.getdatabaseencoding())), 'hex')"
}

// triggers disables the chosen ones, or puts them back.
func (w *work) triggers(disable bool) string {
	var b strings.Builder
	for _, g := range w.Triggers {
		if g.Disabled {
			how := g.Enable
			if disable {
				how = "disable"
			}
			fmt.Fprintf(&b, "alter table %s %s trigger %s;\n", w.Live.sql(), how, quote(g.Name))
		}
	}
	return b.String()
}

// unlike counts the rows that are not as they were remembered, but for columns
// that a trigger sets.
func (w *work) unlike() string {
	var now, was []string
	for i, c := range w.columns {
		if !slices.Contains(w.altered, c.Name) {
			now, was = append(now, "t."+quote(c.Name)), append(was, fmt.Sprintf("s.c%d", i))
		}
	}
	var on []string
	for _, k := range w.Key {
		i := slices.IndexFunc(w.columns, func(c Column) bool { return c.Name == k.Name })
		on = append(on, fmt.Sprintf("t.%s %s s.c%d", quote(k.Name), k.Operator, i))
	}
	return fmt.Sprintf("select (select pg_catalog.count(*) from %s s where not exists (select from %s where %s and %s%s%s)) operator(pg_catalog.+) "+
		"(select pg_catalog.count(*) from %s d join %s s on s.n operator(pg_catalog.=) d.n join %s on %s where d.act operator(pg_catalog.=) 'i')",
		w.state(), w.live(), strings.Join(on, " and "), text(strings.Join(now, ", ")), equal, text(strings.Join(was, ", ")),
		w.done(), w.staged(), w.live(), w.byKey("b"))
}
