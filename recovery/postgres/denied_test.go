package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// A missing right is told from every other refusal, however deep it lies in an error, and
// comes with the grant.
func TestNotAllowed(t *testing.T) {
	missing := fmt.Errorf("ask: %w", &pgconn.PgError{Code: "42501", Message: "permission denied for function pg_switch_wal"})
	for _, test := range []struct {
		err  error
		want bool
	}{
		{missing, true},
		{errors.Join(errors.New("another"), missing), true},
		{&pgconn.PgError{Code: "28P01", Message: "password authentication failed"}, false},
		{&pgconn.PgError{Code: "42P01", Message: "relation does not exist"}, false},
		{errors.New("42501"), false},
		{nil, false},
	} {
		if got := NotAllowed(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
		if denied := Denied(test.err, "switch the log", "grant it"); (denied != nil) != test.want {
			t.Errorf("%v is refused by %v", test.err, denied)
		}
	}
	denied := Denied(missing, "switch the log", "grant it")
	if denied.Error() != "switch the log: permission denied for function pg_switch_wal" || denied.Hint != "as a superuser: grant it" || recovery.ExitOf(denied) != recovery.Refused {
		t.Errorf("it says %+v", denied)
	}
}
