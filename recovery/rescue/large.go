package rescue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"
)

// large tells of large objects, which are rows of no table that is compared: those that
// were there before and are not after do not come back, and what names them leads
// nowhere.
func large(ctx context.Context, before, after *pgx.Conn) (exception, remark string, err error) {
	was, err := before.Query(ctx, "select oid from pg_catalog.pg_largeobject_metadata order by oid")
	if err != nil {
		return "", "", fmt.Errorf("list the large objects of the copy from before: %w", err)
	}
	defer was.Close()
	var is pgx.Rows
	if after != nil {
		if is, err = after.Query(ctx, "select oid from pg_catalog.pg_largeobject_metadata order by oid"); err != nil {
			return "", "", fmt.Errorf("list the large objects of the copy from after: %w", err)
		}
		defer is.Close()
	}
	next := func(rows pgx.Rows) int64 {
		var oid uint32
		if rows == nil || !rows.Next() || rows.Scan(&oid) != nil { // Err has what Scan says
			return math.MaxInt64
		}
		return int64(oid)
	}
	var n, gone int64
	var first []string
	there := next(is)
	for oid := next(was); oid < math.MaxInt64; oid = next(was) {
		n++
		for there < oid {
			there = next(is)
		}
		if after == nil || there == oid {
			continue
		}
		if gone++; len(first) < 5 {
			first = append(first, fmt.Sprint(oid))
		}
	}
	err = was.Err()
	if is != nil {
		for there < math.MaxInt64 { // to its end, so that its failure shows
			there = next(is)
		}
		err = errors.Join(err, is.Err())
	}
	switch {
	case err != nil:
		return "", "", fmt.Errorf("compare the large objects of the copies: %w", err)
	case gone > 0:
		if gone > int64(len(first)) {
			first = append(first, "…")
		}
		exception = fmt.Sprintf("%d large objects were removed and do not come back, so that rows which name them lead nowhere (%s): take them out of a copy from before (lo_export), and put them into live under the same OIDs (lo_from_bytea)",
			gone, strings.Join(first, ", "))
	case n > 0:
		remark = "what large objects hold is not compared and does not come back"
	}
	return exception, remark, nil
}
