package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// NotAllowed reports whether a server refuses because the role lacks a right; that it wants
// another password, or lets nobody in, is something else.
func NotAllowed(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == insufficientPrivilege
}

// insufficientPrivilege is PostgreSQL's code.
const insufficientPrivilege = "42501"

// Denied is the server's refusal for want of a right, in its own words and with
// the grant that is missing; nil where err is something else.
func Denied(err error, doing, grant string) *recovery.Error {
	if !NotAllowed(err) {
		return nil
	}
	pg, _ := errors.AsType[*pgconn.PgError](err)
	return &recovery.Error{What: doing + ": " + pg.Message, Hint: "as a superuser: " + grant, Exit: recovery.Refused, Err: err}
}
