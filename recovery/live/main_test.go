package live_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// TestMain lets the test binary be the init of a box, and a process that is
// killed on its way.
func TestMain(m *testing.M) {
	isolation.Init()
	dieWhereTold()
	os.Exit(m.Run())
}

// within bounds a test's waiting.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func openShop(t *testing.T) *shop.Shop {
	t.Helper()
	return shoptest.Open(t, shop.Options{Scale: 40})
}

// connect is a session as the superuser.
func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := postgres.ConnectLive(within(t), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(within(t), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// text is a query's one value.
func text(t *testing.T, conn *pgx.Conn, query string, args ...any) string {
	t.Helper()
	var s string
	if err := conn.QueryRow(within(t), query, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

// refused wants a refusal with exit code 3 that says something and what to do.
// differences are what a step would be refused for: the identity is not the planned one.
func differences(then, now live.Identity) []string {
	return recovery.Identity(then.OfDatabase()).Differences(now.OfDatabase())
}

func differs(t *testing.T, then, now live.Identity, says string) {
	t.Helper()
	if others := differences(then, now); !slices.ContainsFunc(others, func(other string) bool { return strings.Contains(other, says) }) {
		t.Errorf("what differs is %q, want %q", others, says)
	}
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), says) || recovery.HintOf(err) == "" {
		t.Errorf("error %v (exit %d), next: %q; want a refusal about %q", err, recovery.ExitOf(err), recovery.HintOf(err), says)
	}
}
