package rescue

import (
	"fmt"
	"strings"
)

// Definition is what makes a table: statements for before its rows and for after.
type Definition struct {
	Before []string
	After  []string
}

// create makes a table that live does not have.
func (a *applying) create(w *work) error {
	statements := a.Definitions[w.Table].Before
	if w.Create == Bare {
		statements = []string{w.bare()}
	} else if len(statements) == 0 {
		return refusedf("bring it back under another name", "live has no table %s, and its definition is not known", w.Live.Name)
	}
	for _, sql := range statements {
		if err := run(a.ctx, a.tx, sql); err != nil {
			return a.failed(w, err, "make the table")
		}
	}
	return nil
}

// complete makes what comes after the rows: keys, indexes, triggers.
func (a *applying) complete(w *work) error {
	if w.Create == Bare {
		return nil
	}
	for _, sql := range a.Definitions[w.Table].After {
		if err := run(a.ctx, a.tx, "set local search_path = pg_catalog, pg_temp;\n"+sql); err != nil {
			return a.failed(w, err, "make the indexes and constraints of")
		}
	}
	if err := run(a.ctx, a.tx, "set local search_path to default"); err != nil {
		return fmt.Errorf("go on with the rescue: %w", err)
	}
	return nil
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
