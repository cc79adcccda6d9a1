package rescue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Choice is what a person wants of a table beyond what is done by itself: rows
// that live misses are inserted, and those that live has as the transaction left
// them get their values from before.
type Choice struct {
	// Table is as the copy has it.
	Table Name `json:"table"`
	// Into is the table of live to bring the rows back into, where that is not
	// the one of the same name, or of the same number in a copy of live. Where
	// live does not have it, it is made.
	Into Name `json:"into,omitzero"`
	// Remove takes away rows that the transaction added.
	Remove bool `json:"remove,omitempty"`
	// Overwrite brings rows back that were changed since, too.
	Overwrite bool `json:"overwrite,omitempty"`
	// Disable lists triggers of live that are not to fire meanwhile.
	Disable []string `json:"disable,omitempty"`
}

// Pair is a column of live and what it is called in the copy.
type Pair struct {
	Column
	From string `json:"from"`
	// at is its place among the compared columns.
	at int
}

// match finds the table of live that rows belong to, and its columns.
func match(ctx context.Context, tx pgx.Tx, d *TableDifference, c Choice, sameCluster bool) (t TablePreview, err error) {
	t = TablePreview{Table: d.Name, Problem: d.Problem, Notes: slices.Clone(d.Notes), Choice: c}
	t.Live.Name = d.Name
	byNumber := false
	if c.Into.Table != "" {
		t.Live.Name = c.Into
	} else if sameCluster {
		// A copy of the same cluster has the same numbers for the same tables.
		var name Name
		rows, err := tx.Query(ctx, `select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.oid = $1 and c.relkind in ('r', 'p')`, d.OID)
		if err != nil {
			return t, fmt.Errorf("find %s in live: %w", d.Name, err)
		}
		for rows.Next() {
			byNumber = true
			if err := rows.Scan(&name.Schema, &name.Table); err != nil {
				return t, fmt.Errorf("find %s in live: %w", d.Name, err)
			}
		}
		if err := rows.Err(); err != nil {
			return t, fmt.Errorf("find %s in live: %w", d.Name, err)
		}
		if byNumber && name != d.Name {
			t.Notes = append(t.Notes, fmt.Sprintf("live calls it %s now", name))
			t.Live.Name = name
		}
	}
	live, ok, err := readTable(ctx, tx, t.Live.Name)
	if err != nil {
		return t, err
	}
	if !ok {
		t.Create = Defined
		if c.Into.Table != "" && c.Into != d.Name {
			t.Create = Bare
		}
		t.Live.Kind = "r"
		t.alone(d)
		return t, nil
	}
	t.Live = live
	if sameCluster && !byNumber && c.Into.Table == "" {
		t.Notes = append(t.Notes, "live has another table of this name, made later")
	}
	if t.Problem == "" {
		t.pair(d, byNumber)
	}
	if t.Problem == "" {
		err = t.findKey(ctx, tx, d)
	}
	return t, err
}

// alone is a table that live does not have: its columns are the copy's.
func (t *TablePreview) alone(d *TableDifference) {
	t.Live.Columns = d.Columns
	for i, name := range d.Compared {
		c, _ := d.column(name)
		t.Columns = append(t.Columns, Pair{c, name, i})
	}
	t.Key = d.Key
}

// pair finds what the columns are called in live: by their number in a copy of
// live's own table, or else by their name.
func (t *TablePreview) pair(d *TableDifference, byNumber bool) {
	var gone, other []string
	for i, name := range d.Compared {
		from, _ := d.column(name)
		to, ok := t.Live.column(name)
		if byNumber {
			n := slices.IndexFunc(t.Live.Columns, func(c Column) bool { return c.Number == from.Number })
			if ok = n >= 0; ok {
				to = t.Live.Columns[n]
			}
			if ok && to.Name != name {
				t.Notes = append(t.Notes, fmt.Sprintf("live calls the column %s %s now", name, to.Name))
			}
		}
		switch {
		case !ok:
			gone = append(gone, name)
			continue
		case to.Generated:
			continue
		case to.Type != from.Type:
			other = append(other, fmt.Sprintf("%s was %s and is %s", to.Name, from.Type, to.Type))
		}
		t.Columns = append(t.Columns, Pair{to, name, i})
		if slices.Contains(d.Touched, name) {
			t.Touched = append(t.Touched, to.Name)
		}
	}
	if len(gone) > 0 {
		t.Notes = append(t.Notes, "live has no column "+strings.Join(gone, ", ")+" any more: it is left out")
	}
	if len(other) > 0 {
		t.Notes = append(t.Notes, "live has other types: "+strings.Join(other, ", "))
	}
	for _, c := range t.Live.Columns {
		if c.Generated || slices.ContainsFunc(t.Columns, func(p Pair) bool { return p.Name == c.Name }) {
			continue
		}
		if c.NotNull && !c.Default && d.Removed > 0 {
			t.Problem = fmt.Sprintf("live's column %s is new, takes no null and has no default", c.Name)
			return
		}
		says := "stays null"
		if c.Default {
			says = "gets its default"
		}
		t.Notes = append(t.Notes, fmt.Sprintf("live's column %s is new: in an inserted row it %s", c.Name, says))
	}
}

// findKey finds live's own unique index over the key of the copy.
func (t *TablePreview) findKey(ctx context.Context, tx pgx.Tx, d *TableDifference) error {
	var key []string
	for _, k := range d.Key {
		i := slices.IndexFunc(t.Columns, func(p Pair) bool { return p.From == k.Name })
		if i < 0 {
			t.Problem = fmt.Sprintf("live has no column %s, which its key needs", k.Name)
			return nil
		}
		key = append(key, t.Columns[i].Name)
	}
	if len(key) == 0 {
		t.Problem = "it has no key, so that its rows cannot be told from those that live has: bring it back under another name"
		return nil
	}
	indexes, err := uniqueIndexes(ctx, tx, t.Live.OID)
	if err != nil {
		return fmt.Errorf("describe the indexes of %s: %w", t.Live.Name, err)
	}
	for _, i := range indexes {
		same := len(i.columns) == len(key) && !slices.ContainsFunc(i.columns, func(c KeyColumn) bool { return !slices.Contains(key, c.Name) })
		switch {
		case same && len(t.Key) == 0:
			t.Key = i.columns
		default:
			t.unique = append(t.unique, i.columns)
		}
	}
	if len(t.Key) == 0 {
		t.Problem = fmt.Sprintf("live has no unique index over %s, which its key needs", strings.Join(key, ", "))
	}
	return nil
}
