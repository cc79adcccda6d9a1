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

// listedFile is a file as a row lists it.
type listedFile struct {
	path string
	// null says that the row has no path.
	null   bool
	sha256 string // lower-case hex; "" where the row does not say
	bytes  int64  // -1 where the row does not say
}

// listed streams what a query lists, in the byte order of the paths. The server
// sorts, on its own disk; a failure is yielded once, last.
func listed(ctx context.Context, url string, live bool, query string) iter.Seq2[listedFile, error] {
	return func(yield func(listedFile, error) bool) {
		if err := list(ctx, url, live, query, func(f listedFile) bool { return yield(f, nil) }); err != nil {
			yield(listedFile{}, err)
		}
	}
}

func list(ctx context.Context, url string, live bool, query string, yield func(listedFile) bool) error {
	config, err := connection(url, live, 0) // the tree is read meanwhile: only the run's end bounds it
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
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
		f := listedFile{path: string(v[0]), null: v[0] == nil, sha256: string(v[1]), bytes: -1}
		if v[2] != nil {
			if f.bytes, err = strconv.ParseInt(string(v[2]), 10, 64); err != nil {
				return fmt.Errorf("read the size of %q: %w", f.path, err)
			}
		}
		if f.sha256 != "" && !isDigest(f.sha256) {
			return recovery.Errorf("let the query give a SHA-256 in hex, or leave the column out",
				"the digest of %q is %q, which is no SHA-256", f.path, shorten(f.sha256, maxWord))
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
