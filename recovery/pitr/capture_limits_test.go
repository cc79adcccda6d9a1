package pitr_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// The rows are counted however long it takes, whatever limits the role has: here a table is
// locked for longer than any of them.
func TestCapture_limits(t *testing.T) {
	t.Parallel()
	s := shoptest.Open(t, shop.Options{Scale: 1})
	conn, err := pgx.Connect(t.Context(), s.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "create role hurried superuser login; alter role hurried set statement_timeout = '1s'; alter role hurried set lock_timeout = '1s'"); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "begin; lock table orders in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	unlocked := make(chan error, 1)
	go func() {
		for seen, waits := false, false; !seen || waits; seen = seen || waits {
			_, err := conn.Exec(t.Context(), "select pg_stat_clear_snapshot()") // a transaction sees one all the time
			if err == nil {
				err = conn.QueryRow(t.Context(), "select exists (select from pg_stat_activity where usename = 'hurried' and wait_event_type = 'Lock' and clock_timestamp() - query_start < interval '1.3s')").Scan(&waits)
			}
			if err != nil {
				unlocked <- err
				return
			}
		}
		_, err := conn.Exec(t.Context(), "rollback")
		unlocked <- err
	}()
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"url": {s.Layout.URL("hurried", "shop")}}}
	m, err := pitr.New(pitr.Options{Temp: t.TempDir()}).(recovery.Capturer).Capture(t.Context(), recovery.Capture{System: "shop", Component: c, Stamp: "20261128T100000Z",
		Store: store, Temp: t.TempDir(), Meter: mute{wrote: make(chan int64, 1)}, Now: time.Now,
		Secret: func(text string) (string, error) { return text, nil },
		Begin:  func(context.Context, recovery.Beginning) error { return nil },
		Command: func(ctx context.Context, c recovery.Cmd) error {
			cmd := exec.CommandContext(ctx, c.Path, c.Args...)
			var says bytes.Buffer
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdout, &says
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%w: %s", err, says.Bytes())
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-unlocked; err != nil {
		t.Fatal(err)
	}
	if len(m.Tables) == 0 {
		t.Errorf("no rows are counted, its remarks are %q", m.Remarks)
	}
}
