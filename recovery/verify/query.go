package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// maxRows is how many rows of a result are looked at, maxValue how many
	// bytes of a value, maxRow how many of a row; what is beyond decides
	// nothing but "too many".
	maxRows  = 1000
	maxValue = 4096
	maxRow   = 16 << 20
	// queryTimeout bounds a query whose stage has no budget.
	queryTimeout = 10 * time.Minute
	// lockTimeout bounds the wait for a lock: on a paused copy it would be
	// for ever.
	lockTimeout = 5 * time.Second
)

var errNothingToJudge = errors.New("no rows to judge")

// query runs one statement in a read-only transaction and reads the beginning
// of its result.
func query(ctx context.Context, url string, live bool, sql string, limit time.Duration) (Result, error) {
	config, err := connection(url, live, limit)
	if err != nil {
		return Result{}, fmt.Errorf("connect: %w", err)
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return Result{}, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := begin(ctx, conn, live, limit, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return Result{}, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	reading, stop := context.WithCancel(ctx)
	defer stop()
	// The extended protocol takes one statement only, and gives values as text.
	reader := conn.PgConn().ExecParams(reading, sql, nil, nil, nil, nil)
	var r Result
	for reader.NextRow() {
		if len(r.Rows) == maxRows {
			r.More = true
			stop() // the rest decides nothing; the server is told to end it
			break
		}
		r.Rows = append(r.Rows, texts(reader.Values()))
	}
	r.Columns = len(reader.FieldDescriptions())
	for _, f := range reader.FieldDescriptions() {
		r.Names = append(r.Names, f.Name)
	}
	tag, err := reader.Close()
	switch {
	case r.More:
		return r, nil
	case err != nil:
		return Result{}, explain(err, sql, limit)
	case r.Columns == 0 && !strings.HasPrefix(tag.String(), "SELECT"):
		return Result{}, fmt.Errorf("the statement gives %w: it is a %s", errNothingToJudge, tag)
	}
	return r, nil
}

// texts copies the values of a row, which are only valid until the next one.
func texts(values [][]byte) []*string {
	row := make([]*string, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		text := string(v)
		if len(v) > maxValue {
			// The mark keeps a part from being taken for the whole.
			text = strings.ToValidUTF8(text[:maxValue], "") + "…"
		}
		row[i] = &text
	}
	return row
}
