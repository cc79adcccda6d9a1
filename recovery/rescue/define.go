package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/dump/script"
)

// Definition is what makes a table: statements for before its rows and for after.
type Definition struct {
	Before []Statement `json:"before"`
	After  []Statement `json:"after"`
}

// Statement is one of a definition. An optional one may fail: what it gives is
// not the table itself but who owns it, who may use it, what is said of it.
type Statement struct {
	SQL      string `json:"sql"`
	Says     string `json:"says"`
	Optional bool   `json:"optional,omitempty"`
}

// makes are the statements that a table's definition may consist of; anything
// else in what a copy says of itself is refused.
var makes = [][]string{{"create", "table"}, {"create", "unlogged", "table"}, {"create", "sequence"}, {"create", "index"}, {"create", "unique", "index"}, {"create", "trigger"},
	{"create", "constraint", "trigger"}, {"create", "policy"}, {"create", "statistics"}, {"alter", "table"}, {"alter", "sequence"}, {"alter", "index"}}

// ParseDefinition reads what pg_dump writes of a table, without its rows. Its
// settings are left out, because ours hold.
func ParseDefinition(before, after io.Reader) (Definition, error) {
	var d Definition
	var err error
	if d.Before, err = parseStatements(before); err == nil {
		d.After, err = parseStatements(after)
	}
	return d, err
}

func parseStatements(in io.Reader) ([]Statement, error) {
	var all []Statement
	r := script.NewReader(in)
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the definition: %w", err)
		}
		t := p.Tokens()
		switch {
		case p.Kind == script.Command && !script.IsRestrict(string(p.Text)):
			return nil, refusedf("bring the table back under another name", "the definition holds a command of psql")
		case p.Kind != script.Statement || len(t) == 0 || t[0].Is("set") || t[0].Is("select"):
			continue
		}
		s := Statement{SQL: string(p.Text), Says: p.Summary()}
		about := t[0].Is("grant") || t[0].Is("revoke") || t[0].Is("comment")
		known := about || slices.ContainsFunc(makes, func(words []string) bool { return begins(t, words) })
		if !known {
			return nil, refusedf("bring the table back under another name", "the definition is more than a table's: %s", p.Summary())
		}
		s.Optional = about || givesOwner(t)
		all = append(all, s)
	}
}

// begins reports whether a statement begins with some words.
func begins(t []script.Token, words []string) bool {
	for i, word := range words {
		if i >= len(t) || !t[i].Is(word) {
			return false
		}
	}
	return true
}

// givesOwner reports whether a statement is ALTER … OWNER TO.
func givesOwner(t []script.Token) bool {
	for i := range t {
		if i+1 < len(t) && t[i].Is("owner") && t[i+1].Is("to") {
			return t[0].Is("alter")
		}
	}
	return false
}

// Sequences are statements that set the sequences of a copy's table as they are
// there: they belong to a table that is made anew.
func Sequences(ctx context.Context, copy *pgx.Conn, name Name) ([]Statement, error) {
	tx, _, err := beginCopy(ctx, copy, pgx.ReadCommitted)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only read
	rows, err := tx.Query(ctx, `select n.nspname::text, s.relname::text from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_namespace n on n.oid = s.relnamespace
		where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
		and d.refobjid = (select c.oid from pg_class c join pg_namespace m on m.oid = c.relnamespace where m.nspname = $1::text and c.relname = $2::text) order by 1, 2`, name.Schema, name.Table)
	if err != nil {
		return nil, fmt.Errorf("find the sequences of %s: %w", name, err)
	}
	sequences, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Name])
	if err != nil {
		return nil, fmt.Errorf("find the sequences of %s: %w", name, err)
	}
	var all []Statement
	for _, s := range sequences {
		var last int64
		var called bool
		if err := tx.QueryRow(ctx, "select last_value, is_called from "+s.sql()).Scan(&last, &called); err != nil {
			return nil, fmt.Errorf("read the sequence %s: %w", s, err)
		}
		all = append(all, Statement{Says: "set sequence " + s.String(),
			SQL: fmt.Sprintf("select pg_catalog.setval(%s::pg_catalog.regclass, %d, %t)", quoteText(s.sql()), last, called)})
	}
	return all, nil
}

// create makes a table that live does not have.
func (a *applying) create(w *work) error {
	statements := a.Definitions[w.Table.String()].Before
	if w.Create == Bare {
		statements = []Statement{{SQL: w.bare()}}
	} else if len(statements) == 0 {
		return refusedf("bring it back under another name", "live has no table %s, and its definition is not known", w.Live.Name)
	}
	return a.define(w, statements)
}

// complete makes what comes after the rows: keys, indexes, triggers.
func (a *applying) complete(w *work) error {
	if w.Create == Bare {
		return nil
	}
	if err := run(a.ctx, a.tx, "set local search_path = pg_catalog, pg_temp"); err != nil {
		return fmt.Errorf("go on with the rescue: %w", err)
	}
	if err := a.define(w, a.Definitions[w.Table.String()].After); err != nil {
		return err
	}
	if err := run(a.ctx, a.tx, "set local search_path to default"); err != nil {
		return fmt.Errorf("go on with the rescue: %w", err)
	}
	return nil
}

// define executes statements of a definition.
func (a *applying) define(w *work, statements []Statement) error {
	for _, s := range statements {
		if !s.Optional {
			if err := run(a.ctx, a.tx, s.SQL); err != nil {
				return a.failed(w, err, "make the table")
			}
			continue
		}
		if err := run(a.ctx, a.tx, "savepoint comeback_define"); err != nil {
			return fmt.Errorf("make the table %s: %w", w.Live.Name, err)
		}
		if err := run(a.ctx, a.tx, s.SQL); err != nil {
			why := fmt.Sprintf("%s: %s", s.Says, words(err))
			if !slices.Contains(w.without, why) {
				w.without = append(w.without, why)
			}
			if err := run(a.ctx, a.tx, "rollback to savepoint comeback_define"); err != nil {
				return fmt.Errorf("make the table %s: %w", w.Live.Name, err)
			}
		}
	}
	return nil
}

// words are PostgreSQL's own.
func words(err error) string {
	if pg := pgError(err); pg != nil {
		return pg.Message
	}
	return err.Error()
}

// bare is a table that stands apart: columns and a key, nothing that acts.
func (w *work) bare() string {
	var parts []string
	for _, p := range w.Columns {
		column := quote(p.Name) + " " + p.Type
		if p.NotNull {
			column += " not null"
		}
		parts = append(parts, column)
	}
	if len(w.Key) > 0 {
		parts = append(parts, "primary key ("+list(w.Key, func(_ int, k KeyColumn) string { return quote(k.Name) })+")")
	}
	return "create table " + w.Live.sql() + " (" + strings.Join(parts, ", ") + ")"
}

// dumpTable are the arguments by which pg_dump writes a table's definition, of
// one section.
func dumpTable(name Name, section, url string) []string {
	return []string{"--section=" + section, "--strict-names", "--no-publications", "--no-subscriptions", "--no-security-labels", "--no-tablespaces",
		"--table=" + name.sql(), "--dbname=" + url}
}
