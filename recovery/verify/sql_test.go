package verify_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// bound is an environment with one address.
type bound struct {
	recovery.Env
	url string
}

func (b bound) Binding(component string) (recovery.Binding, bool) {
	return recovery.Binding{Component: component, URL: b.url, Scratch: true}, b.url != ""
}

func (bound) Meter() recovery.Meter { return quiet{} }

type quiet struct{ recovery.Meter }

func (quiet) Phase(string, int64, recovery.Unit) {}

func check(ctx context.Context, url, query, expect string, budget time.Duration) (recovery.Outcome, error) {
	s := recovery.NewStep("1", recovery.KindSQLCheck, "check", recovery.SQLCheckArgs{Name: "x", On: "database", Query: query, Expect: expect, Moment: moment})
	s.Budget = recovery.Duration(budget)
	return verify.SQLCheck{}.Do(ctx, bound{url: url}, s)
}

func TestSQLCheck(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	url := s.URL()
	// Whatever the environment says, checks go where they are bound to.
	t.Setenv("PGHOST", "/nowhere")
	t.Setenv("PGPASSWORD", "not this one")
	for _, c := range []struct{ name, query, expect, found string }{
		{"a number", "select count(*) from orders;", ">= 50", "50"},
		{"no rows", "select * from orders where id < 0", "no rows", "no rows"},
		{"rows", "select * from orders", "rows", "50 rows, the first: "},
		{"many rows", "select n from generate_series(1, 100000) n", "rows", "more than 1000 rows, the first: 1"},
		{"a time in UTC, whatever the server's zone", "select timestamptz '2026-11-23 02:40:05+01'", "within 10m", "2026-11-23 01:40:05Z, 1m00 before the moment"},
		{"a set", "values ('b'), ('a')", "set {a, b}", "a, b"},
		{"a result that never ends", "select generate_series(1, 9e15::bigint)", "rows", "more than 1000 rows, the first: 1"},
		{"double precision", "select 2e15::float8 * 10", "= 20000000000000000", "2e+16"},
		{"a comment first", "-- how many\nselect 1", "= 1", "1"},
		{"with", "with x as (select 2 as n) select n from x", "= 2", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := check(t.Context(), url, c.query, c.expect, 0)
			if err != nil || !o.Check.Held || !strings.HasPrefix(o.Check.Found, c.found) || o.Check.Query != c.query || o.Check.Expected != c.expect {
				t.Errorf("%+v, %v", o.Check, err)
			}
		})
	}
	for _, c := range []struct{ name, query, expect, says, hint string }{
		{"does not hold", "select 1", ">= 2", `check "x": expected >= 2, found 1`, "runbook"},
		{"several statements", "select 1; select 2", "= 1", "several statements", "one query"},
		{"writes", "delete from carts returning 1", "= 1", "read-only transaction", "only reads"},
		{"no such table", "select count(*)\nfrom ordrs", "= 1", `relation "ordrs" does not exist in line 2 of the query`, "earlier moment"},
		{"syntax", "selct 1", "= 1", `syntax error at or near "selct" in line 1`, "one query"},
		{"no rows to judge", "do $$ begin end $$", "= 1", "gives no rows to judge: it is a DO", ""},
		{"a copy", "copy orders to stdout", "rows", "gives no rows to judge: it is a COPY", ""},
		{"never ends where one is asked for", "select generate_series(1, 9e15::bigint)", "= 1", "more than 1000 rows, where one value is asked for", "runbook"},
		{"a long value", "select repeat('9', 5000)", ">= 1", "…, which is not a number", ""},
		{"a huge row", "select repeat('x', 20000000)", "rows", "a row of the result has more than 16.8 MB", ""},
		{"an error in the data", "select 1/0", "= 1", "division by zero", "runbook"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := check(t.Context(), url, c.query, c.expect, 0)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) {
				t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
			}
			if o.Check == nil || o.Check.Held || o.Check.Found == "" {
				t.Errorf("the outcome is %+v", o.Check)
			}
		})
	}
	t.Run("takes too long", func(t *testing.T) {
		_, err := check(t.Context(), url, "select pg_sleep(600)", "rows", 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "statement timeout") || !strings.Contains(recovery.HintOf(err), "budget") {
			t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
		}
	})
	t.Run("a locked table", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		if _, err := tx.Exec(t.Context(), "lock table carts in access exclusive mode"); err != nil {
			t.Fatal(err)
		}
		_, err = check(t.Context(), url, "select count(*) from carts", "rows", 0)
		if err == nil || !strings.Contains(err.Error(), "lock timeout") || !strings.Contains(recovery.HintOf(err), "holds this table") {
			t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
		}
	})
	t.Run("no address", func(t *testing.T) {
		if _, err := check(t.Context(), "", "select 1", "= 1", 0); err == nil || !strings.Contains(err.Error(), "not checked") {
			t.Error(err)
		}
	})
	for _, c := range []struct{ name, url, says, hint string }{
		{"no server ever", "postgres:///shop?host=/nowhere&user=shop", "the restored server of database is not running: no such file or directory at /nowhere/.s.PGSQL.5432", "try again: its server is started again first"},
		{"a server that died", "postgres:///shop?host=" + deadSocket(t) + "&user=shop", "the restored server of database is not running: connection refused at ", "try again: its server is started again first"},
		{"a database that is not there", strings.Replace(url, "/shop?", "/sohp?", 1), `database "sohp" does not exist`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := check(t.Context(), c.url, "select 1", "= 1", 0)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) || o.Check == nil || o.Check.Held {
				t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
			}
		})
	}
	t.Run("a connection that is ended", func(t *testing.T) {
		// What a server says to its connections when it is stopped.
		_, err := check(t.Context(), url, "select pg_terminate_backend(pg_backend_pid())", "= true", 0)
		if err == nil || !strings.Contains(err.Error(), "the restored server of database went away: terminating connection") {
			t.Error(err)
		}
	})
}

// deadSocket is a directory with a socket that a server has left behind.
func deadSocket(t *testing.T) string {
	t.Helper()
	dir := shoptest.Dir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, ".s.PGSQL.5432"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}
