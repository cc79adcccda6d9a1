package rescue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// settings make every server write the same value in the same way, and make
// names mean what they say. They end with the transaction, so that a pooler
// does not hand them on.
const settings = `set local search_path = pg_catalog, pg_temp;
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local extra_float_digits = 3;
set local bytea_output = 'hex';
set local xmlbinary = 'base64';
set local xmloption = 'content';
set local lc_monetary = 'C';
set local standard_conforming_strings = on;
set local quote_all_identifiers = off;
set local row_security = off;
set local statement_timeout = 0;
set local lock_timeout = '5s';
set local transform_null_equals = off;
`

// untimed lets a transaction take as long as it takes, where the server has a limit of that:
// from 17 on.
const untimed = "select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings where name = 'transaction_timeout'"

// liveIdle is how long a transaction with live may wait for us, which holds its locks there.
var liveIdle = "10min"

// begin opens a transaction with live, with our settings. A database in another encoding
// than UTF-8 is spoken to in its own, so that bytes stay what they are.
func begin(ctx context.Context, conn *pgx.Conn, o pgx.TxOptions) (pgx.Tx, string, error) {
	return beginIdle(ctx, conn, o, liveIdle)
}

// beginCopy opens a transaction with a restored copy, with our settings. It waits as long as
// another copy is read, and is in nobody's way.
func beginCopy(ctx context.Context, conn *pgx.Conn, isolation pgx.TxIsoLevel) (pgx.Tx, string, error) {
	return beginIdle(ctx, conn, pgx.TxOptions{IsoLevel: isolation, AccessMode: pgx.ReadOnly}, "0")
}

func beginIdle(ctx context.Context, conn *pgx.Conn, o pgx.TxOptions, idle string) (pgx.Tx, string, error) {
	tx, err := conn.BeginTx(ctx, o)
	if err != nil {
		return nil, "", fmt.Errorf("begin a transaction: %w", err)
	}
	encoding, err := settle(ctx, tx, idle)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("begin a transaction: %w", err), tx.Rollback(context.WithoutCancel(ctx)))
	}
	return tx, encoding, nil
}

func settle(ctx context.Context, tx pgx.Tx, idle string) (encoding string, err error) {
	for _, sql := range []string{settings, "set local idle_in_transaction_session_timeout = " + quoteText(idle), untimed} {
		if err := run(ctx, tx, sql); err != nil {
			return "", err
		}
	}
	if err := tx.QueryRow(ctx, "select pg_catalog.current_setting('server_encoding')").Scan(&encoding); err != nil {
		return "", err
	}
	return encoding, run(ctx, tx, "set local client_encoding = "+quoteText(encoding))
}

// run executes statements without results.
func run(ctx context.Context, tx pgx.Tx, sql string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// value asks for one number.
func value(ctx context.Context, tx pgx.Tx, sql string) (int64, error) {
	results, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, fmt.Errorf("%d results where one number was asked for", len(results))
	}
	return strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
}

// readOnly is how live is asked for a preview.
var readOnly = pgx.TxOptions{AccessMode: pgx.ReadOnly}

// Name is a table by its schema and its own name, letter by letter as the
// catalog has them.
type Name struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
}

// String is the name for people: without the schema where that is public.
func (n Name) String() string {
	if n.Schema == "public" {
		return n.Table
	}
	return n.Schema + "." + n.Table
}

// sql is the name for PostgreSQL.
func (n Name) sql() string { return quote(n.Schema) + "." + quote(n.Table) }

// quote writes an identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteText writes a string literal.
func quoteText(text string) string {
	q := "'" + strings.ReplaceAll(strings.ReplaceAll(text, "'", "''"), `\`, `\\`) + "'"
	if strings.Contains(text, `\`) {
		return " E" + q
	}
	return q
}

// failed says what could not be done, in PostgreSQL's words, but for those that
// quote a value of a row.
func failed(hint string, err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	e := &recovery.Error{What: doing + ": " + err.Error(), Hint: hint, Err: err}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e.What = doing + ": " + pg.Message
		if strings.HasPrefix(pg.Code, "22") { // data exceptions quote them
			e.What = doing + ": a value does not fit (SQLSTATE " + pg.Code + ")"
		}
	}
	return e
}

func refusedf(hint, format string, args ...any) *recovery.Error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}

// pgError is PostgreSQL's own error, or nil.
func pgError(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	return nil
}
