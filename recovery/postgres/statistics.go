package postgres

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// WithoutStatistics is what keeps the server from gathering the statistics of one table, such
// as an expression that fails for a row, in its own words; "" where nothing does, or what
// would keep it from anything else.
func WithoutStatistics(err error) string {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || slices.ContainsFunc([]string{"53", "57", "58", "XX"}, func(class string) bool { return strings.HasPrefix(pg.Code, class) }) {
		return ""
	}
	return pg.Message
}
