package rescue

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The undo is a script for psql, which needs nothing else: it takes back what
// this rescue did, row by row, as long as the row is as the rescue left it. Of
// inserted rows it holds the key and a digest; of the others what live had.

// leave is the setting by which the script leaves rows alone that were changed
// since, instead of giving up.
const leave = "comeback.leave_conflicts"

// writeUndo writes the script for what was done so far.
func (a *applying) writeUndo(out io.Writer) error {
	b := bufio.NewWriterSize(out, 64<<10)
	fmt.Fprintf(b, `-- Takes back what comeback rescue did in the database %s.
-- Run it with: psql -v ON_ERROR_STOP=1 -f FILE
-- Where rows were changed since, it changes nothing and says so. With
-- PGOPTIONS='-c %s=on' it leaves those rows alone and does the rest.
-- Sequences stay where they are: rows that were inserted since have their values.
begin;
%sset local client_encoding = %s;
create temp table comeback_undone (what pg_catalog.text, wanted pg_catalog.int8, done pg_catalog.int8, strict pg_catalog.bool) on commit drop;
`, oneLine(a.Preview.Database), leave, settings, quoteText(a.Preview.Encoding))
	for _, w := range a.tables {
		if err := b.Flush(); err != nil {
			return err
		}
		if err := a.writeRows(out, w); err != nil {
			return fmt.Errorf("keep what live had of %s: %w", w.Live.Name, err)
		}
	}
	for _, w := range a.tables {
		b.WriteString(w.triggers(true))
	}
	for _, w := range a.tables {
		if w.Insert > 0 && w.Create == "" {
			b.WriteString(w.undoHold())
		}
	}
	b.WriteString("set constraints all deferred;\nset local search_path to default;\n")
	for _, w := range a.tables {
		if w.Remove > 0 {
			b.WriteString(w.undoRemove())
		}
	}
	for n, w := range slices.Backward(a.tables) {
		switch {
		case w.Create != "":
			b.WriteString(w.undoCreate())
		default:
			if w.Insert > 0 {
				b.WriteString(w.undoInsert(a.tables[:n]))
			}
			if w.Update > 0 {
				b.WriteString(w.undoUpdate())
			}
		}
	}
	for _, w := range a.tables {
		if w.Remove > 0 {
			b.WriteString(w.undoRemove() + w.removed())
		}
	}
	b.WriteString("set constraints all immediate;\nset local search_path = pg_catalog, pg_temp;\n")
	for _, w := range a.tables {
		if w.Create == "" {
			b.WriteString(w.triggers(false))
		}
	}
	fmt.Fprintf(b, `do $comeback$
declare
	says text := (select string_agg(format('%%s: %%s of %%s', what, wanted - done, wanted), '; ') from pg_temp.comeback_undone
		where done <> wanted and (strict or coalesce(current_setting('%s', true), '') <> 'on'));
begin
	if says is not null then
		raise exception using message = 'changed since the rescue, so that nothing is taken back: ' || says, errcode = '%s';
	end if;
end $comeback$;
commit;
`, leave, changedSince)
	return b.Flush()
}

// changedSince is the SQLSTATE by which the script gives up.
const changedSince = "CB001"

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// writeRows writes the table of what a rescue did to one of live's, with its
// rows.
func (a *applying) writeRows(out io.Writer, w *work) error {
	columns := []string{"act pg_catalog.text", "was pg_catalog.text"}
	var key, had, none []string
	for i, k := range w.Key {
		p := w.Columns[w.place(k.Name)]
		columns = append(columns, fmt.Sprintf("k%d %s", i, p.Base))
		key = append(key, fmt.Sprintf("s.b%d", w.place(k.Name)))
	}
	for i, c := range w.columns {
		columns = append(columns, fmt.Sprintf("c%d %s", i, c.Base))
		had = append(had, fmt.Sprintf("h.c%d", i))
		none = append(none, "null")
	}
	if w.Create != "" {
		columns = columns[:2]
	}
	fmt.Fprintf(out, "create temp table comeback_undo_%d (%s) on commit drop;\ncopy %s from stdin;\n", w.n, strings.Join(columns, ", "), w.undo())
	var sql string
	if w.Create != "" {
		sql = fmt.Sprintf("select 'i', %s from %s", w.digest(), w.live())
	} else {
		pick := func(more ...string) string { return strings.Join(slices.Concat(more, key), ", ") }
		sql = fmt.Sprintf("select %s, %s from %s d join %s s on s.n operator(pg_catalog.=) d.n join %s on %s where d.act operator(pg_catalog.=) 'i'",
			pick("'i'", w.digest()), strings.Join(none, ", "), w.done(), w.staged(), w.live(), w.byKey("b"))
		if w.Update > 0 {
			sql += fmt.Sprintf(" union all select %s, %s from %s d join %s s on s.n operator(pg_catalog.=) d.n join %s h on h.n operator(pg_catalog.=) d.n join %s on %s where d.act operator(pg_catalog.=) 'u'",
				pick("'u'", w.digest()), strings.Join(had, ", "), w.done(), w.staged(), w.state(), w.live(), w.byKey("b"))
		}
		if w.Remove > 0 {
			sql += fmt.Sprintf(" union all select %s, %s from %s d join %s s on s.n operator(pg_catalog.=) d.n join %s h on h.n operator(pg_catalog.=) d.n where d.act operator(pg_catalog.=) 'd'",
				pick("'d'", "null"), strings.Join(had, ", "), w.done(), w.staged(), w.state())
		}
	}
	buffered := bufio.NewWriterSize(out, 64<<10)
	if _, err := a.tx.Conn().PgConn().CopyTo(a.ctx, buffered, "copy ("+sql+") to stdout"); err != nil {
		return err
	}
	buffered.WriteString("\\.\nanalyze " + w.undo() + ";\n")
	return buffered.Flush()
}

// undoKey finds the row of live that belongs to one of u.
func (w *work) undoKey() string { return w.undoneBy("t", "u") }

// undoneBy is the same by other names.
func (w *work) undoneBy(row, undo string) string {
	var all []string
	for i, k := range w.Key {
		all = append(all, fmt.Sprintf("%s.%s %s %s.k%d", row, quote(k.Name), k.Operator, undo, i))
	}
	return strings.Join(all, " and ")
}

// undone writes down how many rows were taken back of how many.
func (w *work) undone(what, act, statement string, strict bool) string {
	return fmt.Sprintf("with d as (%s returning 1) insert into pg_temp.comeback_undone select %s, (select pg_catalog.count(*) from %s where act operator(pg_catalog.=) '%s'), pg_catalog.count(*), %t from d;\n",
		statement, quoteText(w.Live.Name.String()+": "+what), w.undo(), act, strict)
}

// undoHold locks the rows that are to go, before anything looks for what refers to
// them: whoever is about to refer to one waits, and finds it gone; whoever did so a
// moment ago is seen.
func (w *work) undoHold() string {
	return fmt.Sprintf("create temp table comeback_held_%d on commit drop as select from %s, %s u where u.act operator(pg_catalog.=) 'i' and %s for update of t;\n",
		w.n, w.only(), w.undo(), w.undoKey())
}

// undoInsert deletes rows that were inserted, where nothing refers to them but rows of
// the table itself that go, too.
func (w *work) undoInsert(later []*work) string {
	strict := slices.ContainsFunc(w.referring, func(f ForeignKey) bool {
		return f.Table == w.Live.Name || slices.ContainsFunc(later, func(other *work) bool { return other.Live.Name == f.Table })
	})
	return w.undone("inserted rows stay", insert, fmt.Sprintf("delete from %s using %s u where u.act operator(pg_catalog.=) 'i' and %s and %s%su.was%s",
		w.only(), w.undo(), w.undoKey(), w.digest(), equal, w.notReferred(later, fmt.Sprintf("exists (select from %s v where v.act operator(pg_catalog.=) 'i' and %s)", w.undo(), w.undoneBy("c", "v")))), strict)
}

// undoUpdate gives updated rows back what they had.
func (w *work) undoUpdate() string {
	var sets []string
	for i, c := range w.columns {
		if slices.Contains(w.Touched, c.Name) || slices.Contains(w.altered, c.Name) && !slices.ContainsFunc(w.Key, func(k KeyColumn) bool { return k.Name == c.Name }) {
			sets = append(sets, fmt.Sprintf("%s = u.c%d", quote(c.Name), i))
		}
	}
	return w.undone("updated rows stay", update, fmt.Sprintf("update %s set %s from %s u where u.act operator(pg_catalog.=) 'u' and %s and %s%su.was",
		w.only(), strings.Join(sets, ", "), w.undo(), w.undoKey(), w.digest(), equal), false)
}

// undoRemove inserts rows again that were removed. It is done first, for rows that
// refer to them, and once more in the end, when their place is free.
func (w *work) undoRemove() string {
	unless := " on conflict do nothing"
	if w.deferrable {
		unless = ""
	}
	return fmt.Sprintf("insert into %s (%s) overriding system value select %s from %s u where u.act operator(pg_catalog.=) 'd' and not exists (select from %s where %s)%s;\n",
		w.Live.sql(), list(w.columns, func(_ int, c Column) string { return quote(c.Name) }), w.had("u"), w.undo(), w.live(), w.undoKey(), unless)
}

// had are the columns that live had, of a row of the undo's table.
func (w *work) had(undo string) string {
	return list(w.columns, func(i int, _ Column) string { return fmt.Sprintf("%s.c%d", undo, i) })
}

// removed writes down how many of the rows that were removed are there again.
func (w *work) removed() string {
	return fmt.Sprintf("insert into pg_temp.comeback_undone select %s, pg_catalog.count(*), pg_catalog.count(*) filter (where exists (select from %s where %s and %s%s%s)), false from %s u where u.act operator(pg_catalog.=) 'd';\n",
		quoteText(w.Live.Name.String()+": removed rows stay away"), w.live(), w.undoKey(),
		text(list(w.columns, func(_ int, c Column) string { return "t." + quote(c.Name) })), equal, text(w.had("u")), w.undo())
}

// undoCreate drops a table that was made, if it holds what it was given and
// nothing else.
func (w *work) undoCreate() string {
	const comparison = "select %[1]s from %[2]s"
	now := fmt.Sprintf(comparison, w.digest(), w.live())
	was := "select was from " + w.undo()
	body := fmt.Sprintf(`
begin
	if exists ((%[1]s except all %[2]s) union all (%[2]s except all %[1]s)) then
		insert into pg_temp.comeback_undone values (%[3]s, 1, 0, false);
	else
		execute %[4]s;
		insert into pg_temp.comeback_undone values (%[3]s, 1, 1, false);
	end if;
end `, now, was, quoteText(w.Live.Name.String()+": the table that was made stays"), quoteText("drop table "+w.Live.sql()))
	tag := "$comeback$"
	for n := 1; strings.Contains(body, tag); n++ {
		tag = fmt.Sprintf("$comeback%d$", n)
	}
	return "do " + tag + body + tag + ";\n"
}
