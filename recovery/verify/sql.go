package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

const (
	// maxRows is how many rows of a result are looked at, maxValue how many
	// bytes of a value; what is beyond decides nothing but "too many".
	maxRows  = 1000
	maxValue = 4096
	// queryTimeout bounds a query whose stage has no budget.
	queryTimeout = 10 * time.Minute
	// lockTimeout bounds the wait for a lock: on a paused copy it would be
	// for ever.
	lockTimeout = 5 * time.Second
)

// SQLCheck is the kind of step that asks a restored database one question.
type SQLCheck struct{}

// Name is recovery.KindSQLCheck.
func (SQLCheck) Name() string { return recovery.KindSQLCheck }

// Restart says that a check may be made again.
func (SQLCheck) Restart() recovery.Restart { return recovery.Repeat }

// Do makes the check. Where it does not hold, the outcome has what was found
// and the error says so in one sentence.
func (SQLCheck) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.SQLCheckArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	e, err := ParseExpectation(args.Expect)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("check %q: %w", args.Name, err)
	}
	b, ok := env.Binding(args.On)
	if !ok {
		return recovery.Outcome{}, recovery.Errorf("restore it in a stage before the check",
			"check %q: not checked: %s has no address", args.Name, args.On)
	}
	limit := time.Duration(s.Budget)
	if limit <= 0 {
		limit = queryTimeout
	}
	env.Meter().Phase("ask "+args.On, 0, recovery.NoUnit)
	check := recovery.CheckResult{Name: args.Name, Query: args.Query, Expected: e.String()}
	r, err := query(ctx, b.URL, args.Query, limit)
	if err != nil {
		check.Found = "an error: " + err.Error()
		return recovery.Outcome{Check: &check}, recovery.Errorf(hintFor(err), "check %q: %w", args.Name, err)
	}
	check.Held, check.Found = e.Judge(r, args.Moment)
	o := recovery.Outcome{Check: &check, Says: fmt.Sprintf("expected %s, found %s", check.Expected, check.Found)}
	if !check.Held {
		return o, recovery.Errorf("look at the restored data; if the expectation is out of date, correct it in the runbook",
			"check %q: expected %s, found %s", args.Name, check.Expected, check.Found)
	}
	return o, nil
}

// query runs one statement in a read-only transaction and reads the beginning
// of its result.
func query(ctx context.Context, url, sql string, limit time.Duration) (Result, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return Result{}, fmt.Errorf("connect: %w", err)
	}
	config.Password = "" // PGPASSWORD and .pgpass are other servers'
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(limit.Milliseconds())
	config.RuntimeParams["lock_timeout"] = fmt.Sprint(lockTimeout.Milliseconds())
	config.RuntimeParams["DateStyle"] = "ISO, YMD"
	config.RuntimeParams["TimeZone"] = "UTC"
	config.RuntimeParams["IntervalStyle"] = "postgres"
	config.RuntimeParams["application_name"] = "comeback check"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return Result{}, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return Result{}, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	// The extended protocol takes one statement only, and gives values as text.
	reader := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil)
	var r Result
	for reader.NextRow() {
		r.Columns = len(reader.FieldDescriptions())
		if len(r.Rows) == maxRows {
			r.More = true
			continue
		}
		row := make([]*string, r.Columns)
		for i, v := range reader.Values() {
			if v != nil {
				if len(v) > maxValue {
					v = v[:maxValue]
				}
				text := string(v)
				row[i] = &text
			}
		}
		r.Rows = append(r.Rows, row)
	}
	r.Columns = len(reader.FieldDescriptions())
	tag, err := reader.Close()
	if err != nil {
		return Result{}, explain(err, sql, limit)
	}
	if r.Columns == 0 && !strings.HasPrefix(tag.String(), "SELECT") {
		return Result{}, fmt.Errorf("the statement gives no rows to judge: it is a %s", tag)
	}
	return r, nil
}

// PostgreSQL's codes for what a check runs into.
const (
	syntaxError      = "42601"
	readOnly         = "25006"
	queryCanceled    = "57014"
	lockNotAvailable = "55P03"
	undefinedTable   = "42P01"
)

// explain puts a server's error into one sentence, its own words first.
func explain(err error, sql string, limit time.Duration) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	at := ""
	if n := int(pg.Position); n > 0 {
		runes := []rune(sql)
		if n <= len(runes) {
			at = fmt.Sprintf(" in line %d of the query", 1+strings.Count(string(runes[:n-1]), "\n"))
		}
	}
	switch {
	case pg.Code == syntaxError && strings.Contains(pg.Message, "multiple commands"):
		return &checkError{"the block holds several statements, and a check is one query", pg}
	case pg.Code == queryCanceled:
		return &checkError{fmt.Sprintf("%s (after %s)", pg.Message, recovery.FormatSpan(limit)), pg}
	}
	return &checkError{pg.Message + at, pg}
}

// checkError is a server's error in words for people.
type checkError struct {
	says string
	pg   *pgconn.PgError
}

func (e *checkError) Error() string { return e.says }
func (e *checkError) Unwrap() error { return e.pg }

// hintFor says what to do about a query that failed.
func hintFor(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return "try again; if the restored server is gone, restore again"
	}
	switch pg.Code {
	case readOnly:
		return "write a query that only reads"
	case queryCanceled:
		return "give the stage a larger budget, or ask for less"
	case lockNotAvailable:
		return "a change in the log holds this table; choose a moment just before or after it"
	case undefinedTable:
		return "the restored database does not have it: choose an earlier moment, or correct the query"
	case syntaxError:
		return "write one query in the block"
	}
	return "correct the query in the runbook, or choose another moment"
}
