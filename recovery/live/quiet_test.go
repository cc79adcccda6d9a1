package live_test

import (
	"context"
	"testing"
	"time"

	"comeback/recovery/live"
)

const apart = 50 * time.Millisecond

func TestQuiet(t *testing.T) {
	ctx := within(t)
	s := openShop(t)
	address := s.Layout.URL("postgres", "shop")
	run(t, connect(t, s.Layout.URL("postgres", "postgres")), "alter system set autovacuum = off", "select pg_reload_conf()", "create role app login")

	t.Run("nobody writes", func(t *testing.T) {
		q, err := live.Quiet(ctx, address, apart)
		if err != nil {
			t.Fatal(err)
		}
		if !q.Quiet || q.Transactions != 0 || !q.To.After(q.From) || q.LSN == 0 || q.LastCommit.IsZero() || len(q.Writers) > 0 {
			t.Errorf("%+v", q)
		}
	})
	t.Run("a transaction is under way", func(t *testing.T) {
		app := connect(t, s.Layout.URL("shop", "shop"))
		run(t, app, "begin", "update customers set name = name where id = 1")
		q, err := twice(ctx, address, apart)
		if err != nil {
			t.Fatal(err)
		}
		if q.Quiet || len(q.Writers) != 1 || q.Writers[0].User != "shop" || q.Writers[0].State != "idle in transaction" || q.Writers[0].Oldest.IsZero() {
			t.Errorf("%+v", q)
		}
		// It ends, and with it the wait.
		done := make(chan live.Quietness, 1)
		go func() {
			q, err := live.Quiet(ctx, address, apart)
			if err != nil {
				t.Error(err)
			}
			done <- q
		}()
		run(t, app, "commit")
		if q := <-done; !q.Quiet || len(q.Connected) == 0 {
			t.Errorf("%+v", q)
		}
	})
	t.Run("a steady stream of writes", func(t *testing.T) {
		if err := s.StartWrites(100); err != nil {
			t.Fatal(err)
		}
		// So far apart that a machine which does much else writes in between, too.
		q, err := twice(ctx, address, 20*apart)
		if err != nil || q.Quiet || q.Transactions == 0 || q.Log == 0 {
			t.Errorf("%+v, %v", q, err)
		}
		if err := s.StopWrites(); err != nil {
			t.Fatal(err)
		}
		if q, err = live.Quiet(ctx, address, apart); err != nil || !q.Quiet {
			t.Errorf("%+v, %v", q, err)
		}
		commits := s.Commits()
		if last := commits[len(commits)-1]; !q.LastCommit.Equal(last.Time) {
			t.Errorf("the last commit is of %s, observed was %s", last.Time, q.LastCommit)
		}
	})
	t.Run("by a role with few rights", func(t *testing.T) {
		writer := connect(t, s.Layout.URL("shop", "shop"))
		run(t, writer, "begin", "select pg_current_xact_id()")
		q, err := twice(ctx, s.Layout.URL("app", "shop"), apart)
		if err != nil || q.Quiet || len(q.Writers) != 1 || q.Writers[0].User != "shop" {
			t.Errorf("%+v, %v", q, err)
		}
	})
}

// twice observes what does not become quiet, for longer and longer until there was time
// to look twice.
func twice(ctx context.Context, address string, apart time.Duration) (live.Quietness, error) {
	for long := 2*apart + 500*time.Millisecond; ; long *= 2 {
		late, cancel := context.WithTimeout(ctx, long)
		q, err := live.Quiet(late, address, apart)
		cancel()
		if ctx.Err() != nil || err == nil && q.To.After(q.From) {
			return q, err
		}
	}
}
