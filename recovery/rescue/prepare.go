package rescue

import (
	"fmt"
	"path/filepath"
	"slices"
)

// prepare makes missing tables, and brings the rows to live's side.
func (a *applying) prepare() error {
	for i := range a.Preview.Tables {
		t := &a.Preview.Tables[i]
		if t.Problem != "" || t.Rows() == 0 && t.Create == "" {
			continue
		}
		w := &work{TablePreview: t, n: len(a.tables) + 1}
		if t.Create != "" {
			if err := a.create(w); err != nil {
				return err
			}
		}
		if err := a.describe(w); err != nil {
			return err
		}
		a.say("bring %d rows of %s over", t.Rows(), t.Live.Name)
		if err := run(a.ctx, a.tx, w.stage()); err != nil {
			return failed("grant TEMPORARY on the database to this role", err, "make room for the rows of %s", t.Table)
		}
		if err := a.load(w); err != nil {
			return err
		}
		if w.Create == "" {
			if err := run(a.ctx, a.tx, w.remember()); err != nil {
				return a.failed(w, err, "remember the rows of")
			}
		}
		a.tables = append(a.tables, w)
	}
	if len(a.tables) == 0 {
		return refusedf("nothing has to be done", "there is nothing to bring back")
	}
	for _, w := range a.tables {
		if sql := w.triggers(true); sql != "" {
			if err := run(a.ctx, a.tx, sql); err != nil {
				return a.failed(w, err, "disable triggers of")
			}
		}
	}
	return nil
}

// describe reads what SQL about the table needs to know, and refuses one that is
// not as it was looked at.
func (a *applying) describe(w *work) error {
	live, ok, err := readTable(a.ctx, a.tx, w.Live.Name)
	if err != nil {
		return err
	}
	same := ok && (w.Create != "" || live.OID == w.Live.OID && slices.Equal(live.Columns, w.Live.Columns))
	if !same {
		return refusedf("look again", "live's table %s was changed since it was looked at", w.Live.Name)
	}
	if w.Create != "" {
		w.Live = live
	}
	for _, c := range live.Columns {
		if !c.Generated {
			w.columns = append(w.columns, c)
		}
	}
	if w.referring, err = foreignKeys(a.ctx, a.tx, live.OID, true); err != nil {
		return fmt.Errorf("describe what refers to %s: %w", live.Name, err)
	}
	err = a.tx.QueryRow(a.ctx, "select exists (select from pg_catalog.pg_index where indrelid = $1 and (indisunique or indisexclusion) and not indimmediate)", live.OID).Scan(&w.deferrable)
	if err != nil {
		return fmt.Errorf("describe the indexes of %s: %w", live.Name, err)
	}
	return nil
}

// load copies the rows of a table's file into the table that is staged.
func (a *applying) load(w *work) error {
	file, err := open(filepath.Join(a.Dir, w.File.Name))
	if err != nil {
		return fmt.Errorf("read the rows to bring back: %w", err)
	}
	defer file.Close() // it was only read
	if err := w.File.each(a.Dir, func([][]byte) error { return nil }); err != nil {
		return err
	}
	if _, err := a.tx.Conn().PgConn().CopyFrom(a.ctx, file, "copy "+w.staged()+" from stdin"); err != nil {
		return a.failed(w, err, "bring over the rows of")
	}
	if err := run(a.ctx, a.tx, "analyze "+w.staged()); err != nil {
		return a.failed(w, err, "count the rows of")
	}
	return nil
}
