package verify

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"comeback/recovery"
)

// Rows streams the files that a query of a restored component names.
func Rows(ctx context.Context, env recovery.Env, component, query string) iter.Seq2[recovery.NamedFile, error] {
	return func(yield func(recovery.NamedFile, error) bool) {
		url, live, err := addressOf(env, component)
		if err != nil {
			yield(recovery.NamedFile{}, err)
			return
		}
		for f, err := range listed(ctx, url, live, query) {
			if err != nil {
				err = notRunning(err, component)
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// addressOf finds a database.
func addressOf(env recovery.Env, component string) (url string, live bool, err error) {
	b, ok := env.Binding(component)
	if !ok {
		return "", false, recovery.Errorf("restore it in a stage before the check", "not checked: %s has no address", component)
	}
	url, err = resolved(env, b)
	return url, !b.Scratch, err
}

// listed streams what a query lists, in the byte order of the paths. The server
// sorts, on its own disk; a failure is yielded once, last.
func listed(ctx context.Context, url string, live bool, query string) iter.Seq2[recovery.NamedFile, error] {
	return func(yield func(recovery.NamedFile, error) bool) {
		if err := list(ctx, url, live, query, func(f recovery.NamedFile) bool { return yield(f, nil) }); err != nil {
			yield(recovery.NamedFile{}, err)
		}
	}
}

func list(ctx context.Context, url string, live bool, query string, yield func(recovery.NamedFile) bool) error {
	const unbounded = 0 // the tree is read meanwhile: only the run's end bounds it
	config, err := connection(url, live, unbounded)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := begin(ctx, conn, live, unbounded, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	query = strings.TrimRight(strings.TrimSpace(query), "; \t\n")
	described, err := conn.PgConn().Prepare(ctx, "", query, nil)
	if err != nil {
		return explain(err, query, 0)
	}
	sorted, err := sortedQuery(query, described.Fields)
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	reader := conn.PgConn().ExecParams(reading, sorted, nil, nil, nil, []int16{pgx.BinaryFormatCode, pgx.TextFormatCode, pgx.TextFormatCode})
	for reader.NextRow() {
		v := reader.Values()
		f := recovery.NamedFile{Path: string(v[0]), Null: v[0] == nil, SHA256: string(v[1]), Bytes: -1}
		if v[2] != nil {
			if f.Bytes, err = strconv.ParseInt(string(v[2]), 10, 64); err != nil {
				return fmt.Errorf("read the size of %q: %w", f.Path, err)
			}
		}
		if f.SHA256 != "" && !isDigest(f.SHA256) {
			return recovery.Errorf("let the query give a SHA-256 in hex, or leave the column out",
				"the digest of %q is %q, which is no SHA-256", f.Path, shorten(f.SHA256, maxWord))
		}
		if !yield(f) {
			stop() // the rest decides nothing
			break
		}
	}
	if _, err := reader.Close(); err != nil && reading.Err() == nil {
		return explain(err, query, 0)
	}
	return ctx.Err()
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

// sortedQuery asks for the same rows as three columns, in the byte order of the
// first: the path in UTF-8, the digest in lower-case hex, the size.
func sortedQuery(query string, fields []pgconn.FieldDescription) (string, error) {
	if len(fields) == 0 || len(fields) > 3 {
		return "", recovery.Errorf("write `rows: select path, sha256, bytes from TABLE`; sha256 and bytes may be missing",
			"the query gives %d columns, where a path and at most sha256 and bytes are asked for", len(fields))
	}
	path := "convert_to(f.c1::text, 'UTF8')"
	if fields[0].DataTypeOID == pgtype.ByteaOID { // names of any bytes
		path = "f.c1"
	}
	digest, size := "null::text", "null::text"
	columns := []string{"c1"}
	for i, field := range fields[1:] {
		column := fmt.Sprintf("c%d", i+2)
		columns = append(columns, column)
		switch strings.ToLower(field.Name) {
		case "sha256":
			digest = "lower(f." + column + "::text)"
			if field.DataTypeOID == pgtype.ByteaOID {
				digest = "encode(f." + column + ", 'hex')"
			}
		case "bytes", "size":
			size = "f." + column + "::bigint::text"
		default:
			return "", recovery.Errorf("name the columns after the path sha256 and bytes, with `as` where the table calls them something else",
				"the query gives a column %q, and what a file is compared by is sha256 or bytes", field.Name)
		}
	}
	return fmt.Sprintf("select %s, %s, %s from (%s\n) as f(%s) order by 1", path, digest, size, query, strings.Join(columns, ", ")), nil
}
