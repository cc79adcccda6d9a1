package rescue

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lookup asks live for a batch of values, each a list of columns; nil is null.
// Every query gives the number of the value first.
type lookup struct {
	// columns are the names in the batch, types what they are cast to.
	types  []string
	values [][][]byte // by column
	size   int
}

func newLookup(types ...string) *lookup {
	return &lookup{types: types, values: make([][][]byte, len(types))}
}

// add adds a value to the batch and gives its number, from 1.
func (l *lookup) add(value [][]byte) int {
	for i, v := range value {
		l.values[i] = append(l.values[i], v)
		l.size += len(v)
	}
	return l.len()
}

func (l *lookup) len() int { return len(l.values[0]) }

// full reports whether a batch is as long as one query should be.
func (l *lookup) full() bool { return l.len() >= 500 || l.size >= 4<<20 }

func (l *lookup) reset() {
	for i := range l.values {
		l.values[i] = l.values[i][:0]
	}
	l.size = 0
}

// source is the batch as a table k of columns k1, k2 and so on, with its number n.
func (l *lookup) source() string {
	var arrays, names []string
	for i := range l.types {
		arrays = append(arrays, fmt.Sprintf("pg_catalog.unnest($%d::pg_catalog.text[])", i+1))
		names = append(names, fmt.Sprintf("k%d", i+1))
	}
	return fmt.Sprintf("rows from (%s) with ordinality k(%s, n)", strings.Join(arrays, ", "), strings.Join(names, ", "))
}

// equals compares columns of a table t with those of the batch.
func (l *lookup) equals(columns []KeyColumn) string {
	var all []string
	for i, c := range columns {
		all = append(all, fmt.Sprintf("t.%s %s k.k%d::%s", quote(c.Name), c.Operator, i+1, l.types[i]))
	}
	return strings.Join(all, " and ")
}

// ask executes a query over the batch.
func (l *lookup) ask(ctx context.Context, tx pgx.Tx, sql string, row func(n int, columns [][]byte)) error {
	var params [][]byte
	for _, column := range l.values {
		params = append(params, array(column))
	}
	r := tx.Conn().PgConn().ExecParams(ctx, sql, params, nil, nil, nil)
	for r.NextRow() {
		values := r.Values()
		n, err := strconv.Atoi(string(values[0]))
		if err != nil {
			_, _ = r.Close()
			return fmt.Errorf("the server counts %q", values[0])
		}
		row(n, values[1:])
	}
	_, err := r.Close()
	return err
}

// array writes a text[] as PostgreSQL reads it.
func array(values [][]byte) []byte {
	b := []byte{'{'}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if v == nil {
			b = append(b, "NULL"...)
			continue
		}
		b = append(b, '"')
		for _, c := range v {
			if c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
		b = append(b, '"')
	}
	return append(b, '}')
}
