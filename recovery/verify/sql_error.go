package verify

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"comeback/recovery"
)

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
	var large *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &large) {
		return fmt.Errorf("a row of the result has more than %s", recovery.FormatBytes(maxRow))
	}
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
	var gone *stopped
	if errors.As(err, &gone) {
		return gone.hint
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return "try again"
	}
	switch pg.Code {
	case readOnly:
		return "write a query that only reads"
	case queryCanceled:
		return "give the stage a larger budget, or ask for less"
	case lockNotAvailable:
		return "a change in the log holds this table; choose a moment just before or after it"
	case tooManyConnections:
		return "let others leave the server, or give it more connections (max_connections), then try again"
	case undefinedTable:
		return "the restored database does not have it: choose an earlier moment, or correct the query"
	case syntaxError:
		return "write one query in the block"
	}
	return "correct the query in the runbook, or choose another moment"
}

// never reports whether a query fails for a reason that time cannot mend.
func never(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == syntaxError || pg.Code == readOnly) || errors.Is(err, errNothingToJudge)
}
