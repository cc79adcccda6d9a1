package rescue

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// reading is a table as it comes out of a copy, row by row in the order of its
// key. What the server sorts lies on its disk.
type reading struct {
	table  Name
	orders []bool // of the key: by number
	rows   *rows
	pipe   *io.PipeReader
	done   chan error

	// The row that stands here: its key as it is ordered, and its columns.
	fields [][]byte
	key    []any
	values []byte
	end    bool
	before []any
	cancel context.CancelFunc
}

// readInOrder begins to read columns of a table.
func readInOrder(ctx context.Context, conn *pgx.Conn, t *Table, columns []string) *reading {
	pr, pw := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	r := &reading{table: t.Name, rows: newRows(pr), pipe: pr, done: make(chan error, 1), cancel: cancel}
	for _, k := range t.Key {
		c, _ := t.column(k.Name)
		r.orders = append(r.orders, c.Order == "number")
	}
	go func() {
		w := bufio.NewWriterSize(pw, 64<<10)
		_, err := conn.PgConn().CopyTo(ctx, w, "copy ("+selectInOrder(t, columns)+") to stdout")
		err = errors.Join(err, w.Flush())
		pw.CloseWithError(err) // nil is io.EOF
		r.done <- err
	}()
	return r
}

// selectInOrder reads the columns of a table behind its key, ordered by it: by
// number, or by the bytes of its text, which no collation has a say in.
func selectInOrder(t *Table, columns []string) string {
	var list, keys, orders []string
	for _, c := range columns {
		list = append(list, "t."+quote(c))
	}
	for i, k := range t.Key {
		c, _ := t.column(k.Name)
		key := "t." + quote(k.Name)
		if c.Order != "number" {
			key = "t." + quote(k.Name) + `::pg_catalog.text collate pg_catalog."C"`
		}
		keys = append(keys, key)
		orders = append(orders, strconv.Itoa(i+1))
	}
	sql := fmt.Sprintf("select %s from %s", strings.Join(append(keys, list...), ", "), t.from())
	if len(orders) > 0 {
		sql += " order by " + strings.Join(orders, ", ")
	}
	return sql
}

// from is where the rows of a table lie, as t: in itself alone, in all its
// partitions, or in some of them.
func (t *Table) from() string {
	switch {
	case t.Kind != "p":
		return "only " + t.sql() + " t"
	case len(t.Leaves) == 0:
		return t.sql() + " t"
	}
	var names []string
	for _, c := range t.Columns {
		names = append(names, quote(c.Name))
	}
	var parts []string
	for _, leaf := range t.Leaves {
		parts = append(parts, "select "+strings.Join(names, ", ")+" from only "+leaf.sql())
	}
	return "(" + strings.Join(parts, " union all ") + ") t"
}

// next goes to the next row; after the last one end is set.
func (r *reading) next() error {
	line, err := r.rows.next()
	if errors.Is(err, io.EOF) {
		r.end = true
		return nil
	}
	if err != nil {
		return err
	}
	r.fields = splitRow(line, r.fields)
	if len(r.fields) <= len(r.orders) {
		return fmt.Errorf("read %s: a row has too few columns", r.table)
	}
	r.before, r.key = r.key, r.before[:0]
	used := 0
	for i, number := range r.orders {
		used += len(r.fields[i]) + 1
		text, ok := unescape(r.fields[i])
		if !ok {
			return fmt.Errorf("read %s: the key of a row is null", r.table)
		}
		if !number {
			r.key = append(r.key, bytes.Clone(text))
			continue
		}
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return fmt.Errorf("read %s: the key of a row is no number", r.table)
		}
		r.key = append(r.key, n)
	}
	r.values = line[used:]
	if len(r.before) > 0 && compareKeys(r.before, r.key) >= 0 {
		return fmt.Errorf("read %s: its rows do not come in the order of their key", r.table)
	}
	return nil
}

// close ends the reading, also before its end, and gives what went wrong.
func (r *reading) close() error {
	if !r.end {
		r.cancel()
	}
	r.pipe.CloseWithError(errors.New("reading ended")) // the writer sees it, nobody else
	err := <-r.done
	r.cancel()
	if r.end && err != nil {
		return fmt.Errorf("read %s: %w", r.table, err)
	}
	return nil
}

func compareKeys(a, b []any) int {
	for i := range a {
		var c int
		switch x := a[i].(type) {
		case int64:
			c = cmp.Compare(x, b[i].(int64))
		case []byte:
			c = bytes.Compare(x, b[i].([]byte))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
