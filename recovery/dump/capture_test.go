package dump_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// late is a store that stores nothing before a call has returned.
type late struct {
	storage.Store
	first func(context.Context) error
}

func (l *late) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if first := l.first; first != nil {
		l.first = nil
		if err := first(ctx); err != nil {
			return storage.Object{}, err
		}
	}
	return l.Store.Put(ctx, key, r, o)
}

// A dump, and the count of its rows, takes as long as it takes, whatever limits its role has:
// here the first object is stored, and a table is locked, for longer than any of them.
func TestCapture_limits(t *testing.T) {
	limits := []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
	if source.Cluster().Tools.Major >= 17 {
		limits = append(limits, "transaction_timeout")
	}
	sql := "create role hurried superuser login\n--\ncreate database hurried"
	for _, limit := range limits {
		sql += "\n--\nalter role hurried set " + limit + " = '1s'"
	}
	if err := query(t.Context(), "postgres", sql); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := query(context.Background(), "postgres", "drop database hurried\n--\ndrop role hurried"); err != nil {
			t.Error(err)
		}
	})
	if err := query(t.Context(), "hurried", "create table orders as select generate_series(1, 20) id"); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(source.URL("hurried"))
	if err != nil {
		t.Fatal(err)
	}
	settings := address.Query()
	settings.Set("user", "hurried")
	address.RawQuery = settings.Encode()
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	locks, err := source.Connect(t.Context(), "hurried")
	if err != nil {
		t.Fatal(err)
	}
	defer locks.Close(context.Background())
	// until waits for what the server tells of the sessions of the dump.
	until := func(ctx context.Context, sessions string) error {
		for {
			var so bool
			if _, err := locks.Exec(ctx, "select pg_stat_clear_snapshot()"); err != nil { // a transaction sees one all the time
				return err
			}
			err := locks.QueryRow(ctx, "select "+sessions+" from (select *, clock_timestamp() - state_change > interval '1.3s' as passed from pg_stat_activity where usename = 'hurried') s").Scan(&so)
			if so || err != nil {
				return err
			}
		}
	}
	unlocked := make(chan error, 1)
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"url": {address.String()}}}
	m, err := dump.New(dump.Options{}).(recovery.Capturer).Capture(t.Context(), recovery.Capture{System: "shop", Component: c, Stamp: "20261128T100000Z",
		Store: &late{dir, func(ctx context.Context) error {
			if err := until(ctx, "coalesce(bool_and(passed), true)"); err != nil { // or the session was ended
				return err
			}
			_, err := locks.Exec(ctx, "begin; lock table orders in access exclusive mode")
			go func() {
				err := until(ctx, "coalesce(bool_or(query like 'LOCK TABLE %' and wait_event_type = 'Lock'), false) and bool_and(passed)")
				_, rollback := locks.Exec(context.Background(), "rollback")
				unlocked <- errors.Join(err, rollback)
			}()
			return err
		}},
		Temp: t.TempDir(), Meter: noMeter{}, Now: time.Now, Command: plainEnv{}.Command,
		Secret: func(text string) (string, error) { return text, nil },
		Begin:  func(context.Context, recovery.Beginning) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-unlocked; err != nil {
		t.Fatal(err)
	}
	if len(m.Tables) != 1 || m.Tables[0].Rows != 20 || m.TableDigest != postgres.TableDigest {
		t.Errorf("its tables are %v, its remarks %q", m.Tables, m.Remarks)
	}
}
