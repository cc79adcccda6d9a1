package rescue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/dump/script"
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
	b.WriteString("set local search_path to default;\n")
	for _, w := range slices.Backward(a.tables) {
		switch {
		case w.Create != "":
			b.WriteString(w.undoCreate())
		default:
			if w.Insert > 0 {
				b.WriteString(w.undoInsert())
			}
			if w.Update > 0 {
				b.WriteString(w.undoUpdate())
			}
		}
	}
	for _, w := range a.tables {
		if w.Remove > 0 {
			b.WriteString(w.undoRemove())
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
func (w *work) undoKey() string {
	var all []string
	for i, k := range w.Key {
		all = append(all, fmt.Sprintf("t.%s %s u.k%d", quote(k.Name), k.Operator, i))
	}
	return strings.Join(all, " and ")
}

// undone writes down how many rows were taken back of how many.
func (w *work) undone(what, act, statement string, strict bool) string {
	return fmt.Sprintf("with d as (%s returning 1) insert into pg_temp.comeback_undone select %s, (select pg_catalog.count(*) from %s where act operator(pg_catalog.=) '%s'), pg_catalog.count(*), %t from d;\n",
		statement, quoteText(w.Live.Name.String()+": "+what), w.undo(), act, strict)
}

// undoInsert deletes rows that were inserted, where nothing refers to them. Rows
// of the table itself may, if they go, too; what PostgreSQL does about others is
// not to be left to it.
func (w *work) undoInsert() string {
	itself := slices.ContainsFunc(w.referring, func(f ForeignKey) bool { return f.Table == w.Live.Name })
	return w.undone("inserted rows stay", insert, fmt.Sprintf("delete from %s using %s u where u.act operator(pg_catalog.=) 'i' and %s and %s%su.was%s",
		w.only(), w.undo(), w.undoKey(), w.digest(), equal, w.notReferred()), itself)
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

// undoRemove inserts rows again that were removed.
func (w *work) undoRemove() string {
	unless := " on conflict do nothing"
	if w.deferrable {
		unless = ""
	}
	return w.undone("removed rows stay away", remove, fmt.Sprintf("insert into %s (%s) overriding system value select %s from %s u where u.act operator(pg_catalog.=) 'd' and not exists (select from %s where %s)%s",
		w.Live.sql(), list(w.columns, func(_ int, c Column) string { return quote(c.Name) }),
		list(w.columns, func(i int, _ Column) string { return fmt.Sprintf("u.c%d", i) }), w.undo(), w.live(), w.undoKey(), unless), false)
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

// try takes back what was done, by the script, and compares what is left with
// what was there.
func (a *applying) try() (err error) {
	path := filepath.Join(a.Dir, "undo.sql")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the undo script: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	if err := a.writeUndo(file); err != nil {
		return fmt.Errorf("write the undo script: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the undo script: %w", err)
	}
	const hint = "nothing was changed; disable the table's triggers for the rescue, or bring the rows back into a table of their own"
	if err := runScript(a.ctx, a.tx, file); err != nil {
		return failed(hint, err, "try the undo script")
	}
	for _, w := range a.tables {
		if w.Create != "" {
			_, there, err := readTable(a.ctx, a.tx, w.Live.Name)
			if err != nil {
				return err
			}
			if there {
				return refusedf(hint, "the undo script does not work: the table %s stays", w.Live.Name)
			}
			continue
		}
		n, err := value(a.ctx, a.tx, w.unlike())
		if err != nil {
			return a.failed(w, err, "compare what the undo script left of")
		}
		if n != 0 {
			return refusedf(hint, "the undo script does not work: %d rows of %s are not as they were", n, w.Live.Name)
		}
	}
	if err := run(a.ctx, a.tx, "rollback to savepoint comeback_rescue"); err != nil {
		return fmt.Errorf("take the trial back: %w", err)
	}
	return nil
}

// runScript executes what writeUndo wrote, but for its transaction.
func runScript(ctx context.Context, tx pgx.Tx, in io.Reader) error {
	r := script.NewReader(in)
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Kind == script.Command {
			return fmt.Errorf("line %d: a command of psql is none of it", p.Line)
		}
		if p.Kind != script.Statement {
			continue
		}
		if t := p.Tokens(); len(t) == 1 && (t[0].Is("begin") || t[0].Is("commit")) {
			continue
		}
		if p.Copies {
			if _, err := tx.Conn().PgConn().CopyFrom(ctx, r.Data(), string(p.Text)); err != nil {
				return err
			}
			continue
		}
		if err := run(ctx, tx, string(p.Text)); err != nil {
			return err
		}
	}
}

// UndoOptions say what to take back.
type UndoOptions struct {
	Live *pgx.Conn
	// Script is what Apply wrote.
	Script io.Reader
	// Leave leaves rows alone that were changed since the rescue, and does the
	// rest; without it nothing is done then.
	Leave bool
	// Committing is called before the commit, as in [ApplyOptions].
	Committing func(ctx context.Context, xid uint64, done []Undone) error
}

// Undone is what was taken back of one kind of row.
type Undone struct {
	// What is the table and what stays where Done is less than Wanted.
	What   string `json:"what"`
	Wanted int64  `json:"wanted,string"`
	Done   int64  `json:"done,string"`
}

// Undo takes back what a rescue did, in one transaction.
func Undo(ctx context.Context, o UndoOptions) ([]Undone, error) {
	tx, _, err := begin(ctx, o.Live, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after the commit it does nothing
	how := "off"
	if o.Leave {
		how = "on"
	}
	if err := run(ctx, tx, "set local "+leave+" = "+how); err != nil {
		return nil, fmt.Errorf("begin the undo: %w", err)
	}
	if err := runScript(ctx, tx, o.Script); err != nil {
		if pg := pgError(err); pg != nil && pg.Code == changedSince {
			return nil, refusedf("look at them; to leave them alone and take the rest back, undo with --leave-changed", "take the rescue back: %s", pg.Message)
		}
		return nil, failed("nothing was changed; look at it, then try again", err, "take the rescue back")
	}
	results, err := tx.Conn().PgConn().Exec(ctx, "select what, wanted, done from pg_temp.comeback_undone order by what").ReadAll()
	if err != nil {
		return nil, fmt.Errorf("count what was taken back: %w", err)
	}
	var all []Undone
	for _, row := range results[0].Rows {
		u := Undone{What: string(row[0])}
		if _, err := fmt.Sscan(string(row[1])+" "+string(row[2]), &u.Wanted, &u.Done); err != nil {
			return nil, fmt.Errorf("count what was taken back: %w", err)
		}
		all = append(all, u)
	}
	xid, err := value(ctx, tx, "select pg_catalog.pg_current_xact_id()::pg_catalog.text")
	if err != nil {
		return nil, fmt.Errorf("name the transaction: %w", err)
	}
	if o.Committing != nil {
		if err := o.Committing(ctx, uint64(xid), all); err != nil {
			return nil, fmt.Errorf("record the transaction before its commit: %w", err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		if pgError(err) != nil {
			return nil, failed("nothing was changed; look at it, then try again", err, "commit the undo")
		}
		return nil, fmt.Errorf("commit the undo as transaction %d: %w; %w", xid, err, ErrUnknown)
	}
	return all, nil
}
