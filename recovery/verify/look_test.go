package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// lookAtPaused looks at a copy in which the drop of carts is about to commit: the
// lock is named, and keeps nothing else back.
func lookAtPaused(t *testing.T, url string) {
	t.Helper()
	_, err := verify.Look(t.Context(), "database", url, "select * from carts", time.Minute)
	if err == nil || recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "drops, empties or changes carts") || !strings.Contains(err.Error(), "its lock is held") || !strings.Contains(recovery.HintOf(err), "earlier moment") {
		t.Errorf("a locked table: %v (hint %q)", err, recovery.HintOf(err))
	}
	conn, err := verify.Connect(t.Context(), url, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if paused, err := verify.Paused(t.Context(), conn); err != nil || !paused {
		t.Errorf("paused: %t, %v", paused, err)
	}
	rows, err := verify.CountRows(t.Context(), conn, time.Minute, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if cache := rowsOf(rows, "search_cache"); cache.Rows != -1 || !strings.Contains(cache.Why, "unlogged") {
		t.Errorf("an unlogged table: %+v", cache)
	}
	carts, orders := rowsOf(rows, "carts"), rowsOf(rows, "orders")
	if carts.Why != "locked" || carts.Rows >= 0 && !carts.Estimate || orders.Rows != 0 || orders.Why != "" || orders.Estimate {
		t.Errorf("carts %+v, orders %+v", carts, orders)
	}
}

func rowsOf(all []verify.TableRows, table string) verify.TableRows {
	i := slices.IndexFunc(all, func(r verify.TableRows) bool { return r.Table == table })
	if i < 0 {
		return verify.TableRows{Table: "missing"}
	}
	return all[i]
}

func TestLook(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	url := s.URL()
	r, err := verify.Look(t.Context(), "database", url, "select id, null as nothing from orders order by id limit 2", time.Minute)
	if err != nil || !slices.Equal(r.Names, []string{"id", "nothing"}) || len(r.Rows) != 2 || *r.Rows[0][0] == "" || r.Rows[0][1] != nil {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range []struct{ sql, says, hint string }{
		{"delete from orders", "read-only transaction", "only reads"},
		{"select 1; select 2", "several statements", "one query"},
		{"select nothing", `column "nothing" does not exist`, "correct the query"},
		{"begin", "it is a BEGIN", "only reads"},
		{"select pg_sleep(60)", "statement timeout", "--timeout"},
	} {
		limit := time.Minute
		if strings.Contains(c.sql, "sleep") {
			limit = 100 * time.Millisecond
		}
		_, err := verify.Look(t.Context(), "database", url, c.sql, limit)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) {
			t.Errorf("%s: %v (hint %q)", c.sql, err, recovery.HintOf(err))
		}
	}
	if _, err := verify.Look(t.Context(), "database", "postgres:///shop?host=/nowhere", "select 1", time.Minute); err == nil || !strings.Contains(err.Error(), "is not running") {
		t.Errorf("a server that is not there: %v", err)
	}
}

// Partitions count as their table, and a name that must be quoted does no harm.
func TestCountRows(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 20})
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `create table visits (day int) partition by range (day);
		create table visits_1 partition of visits for values from (0) to (10);
		create table visits_2 partition of visits for values from (10) to (20);
		insert into visits select i % 20 from generate_series(1, 100) i;
		create schema odd; create table odd."a "" table" (); insert into odd."a "" table" default values`); err != nil {
		t.Fatal(err)
	}
	rows, err := verify.CountRows(t.Context(), conn, time.Minute, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int64{"visits": 100, `odd.a " table`: 1, "orders": 20} {
		if got := rowsOf(rows, table); got.Rows != want || got.Estimate {
			t.Errorf("%s: %+v, want %d", table, got, want)
		}
	}
	if rowsOf(rows, "visits_1").Table != "missing" {
		t.Error("a partition is listed")
	}
	// Without any time left, all are estimated or said to be unknown.
	rows, err = verify.CountRows(t.Context(), conn, 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Estimate && r.Why == "" {
			t.Errorf("%+v was counted", r)
		}
	}
}
