package verify_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// opened is an environment after the switch: what is asked is live.
type opened struct{ bound }

func (o opened) Binding(component string) (recovery.Binding, bool) {
	return recovery.Binding{Component: component, URL: "${DATABASE_URL}"}, true
}

func (o opened) Secret(string) (string, error) { return o.url, nil }

func checkLive(t *testing.T, url, query, expect string, budget time.Duration) (recovery.Outcome, error) {
	t.Helper()
	s := recovery.NewStep("1", recovery.KindSQLCheck, "check", recovery.SQLCheckArgs{Name: "x", On: "database", Query: query, Expect: expect, Moment: moment})
	s.Budget = recovery.Duration(budget)
	return verify.SQLCheck{}.Do(t.Context(), opened{bound{url: url}}, s)
}

// What is live is asked through a pooler as it is asked without one, and nothing is written,
// however a check is worded.
func TestSQLCheck_pooled(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	url := pooled(t, s.Layout)
	for _, c := range []struct{ query, expect, found string }{
		{"select count(*) from orders", "= 50", "50"},
		{"select timestamptz '2026-11-23 02:40:05+01'", "within 10m", "2026-11-23 01:40:05Z, 1m00 before the moment"},
		{"select current_setting('lock_timeout')", "= '5s'", "5s"},
		{"select current_setting('application_name')", "= 'comeback check'", "comeback check"},
	} {
		if o, err := checkLive(t, url, c.query, c.expect, 0); err != nil || !o.Check.Held || o.Check.Found != c.found {
			t.Errorf("%s: %+v, %v", c.query, o.Check, err)
		}
	}
	_, err := checkLive(t, url, "select pg_sleep(600)", "rows", 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("takes too long: %v", err)
	}
	// As its owner, who may write everything.
	for _, query := range []string{
		"delete from carts", "delete from carts returning 1", "with d as (delete from carts returning 1) select count(*) from d", "commit; delete from carts",
		"rollback; begin; delete from carts; commit", "commit", "set transaction read write", "set session characteristics as transaction read write; delete from carts",
		"do $$ begin commit; delete from carts; end $$", "do $$ begin set transaction read write; delete from carts; end $$",
		"select set_config('transaction_read_only', 'off', false), query_to_xml('delete from carts returning 1', true, false, '')",
	} {
		if o, err := checkLive(t, url, query, "rows", 0); err == nil || o.Check.Held {
			t.Errorf("%s: %+v, %v", query, o.Check, err)
		}
	}
	if o, err := checkLive(t, url, "select count(*) > 0 from carts", "= true", 0); err != nil {
		t.Errorf("something was written: %+v, %v", o.Check, err)
	}
}

// Files, and what nobody should have to write down, are asked for through it, too.
func TestSoundCheck_pooled(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	env := opened{bound{url: pooled(t, s.Layout)}}
	var paths []string
	for f, err := range verify.Rows(t.Context(), env, "database", "select 'b' union all select 'a'") {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, f.Path)
	}
	if !slices.Equal(paths, []string{"a", "b"}) {
		t.Errorf("the files are %q", paths)
	}
	sound := func(of ...string) (recovery.Outcome, error) {
		return verify.SoundCheck{}.Do(t.Context(), env, recovery.NewStep("1", recovery.KindSoundCheck, "check", recovery.SoundCheckArgs{Name: "x", On: "database", Sound: of}))
	}
	if o, err := sound("indexes", "foreign keys", "sequences", "collations", "extensions"); err != nil || !o.Check.Held {
		t.Errorf("%+v, %v", o.Check, err)
	}
	// An extension that is not there is not made in what is live, be it for a while.
	if o, err := sound("amcheck"); err == nil || !strings.Contains(o.Check.Found, "read-only transaction") {
		t.Errorf("%+v, %v", o.Check, err)
	}
}

// The address of what is live says which schema is meant: that is asked, not another with
// tables of the same names.
func TestSQLCheck_liveSchema(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	conn, err := pgx.Connect(t.Context(), s.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "create schema app; grant usage on schema app to shop; create table app.orders as select 7 as id; grant select on app.orders to shop"); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"&search_path=app", "&options=-c%20search_path%3Dapp"} {
		url := s.URL() + own
		if o, err := checkLive(t, url, "select count(*) from orders", "= 1", 0); err != nil || !o.Check.Held {
			t.Errorf("%s: %+v, %v", own, o.Check, err)
		}
		for f, err := range verify.Rows(t.Context(), opened{bound{url: url}}, "database", "select id from orders") {
			if err != nil || f.Path != "7" {
				t.Errorf("%s: %+v, %v", own, f, err)
				break
			}
		}
	}
}

// pooled is the address of a pooler before the shop's server: it lets in only who says
// nothing at the start that it does not know, and what a session has set is gone with the
// transaction.
func pooled(t *testing.T, l shop.Layout) string {
	t.Helper()
	known := []string{"user", "database", "client_encoding", "datestyle", "timezone", "standard_conforming_strings", "application_name"}
	return before(t, l, "shop", func(_ int, c net.Conn, socket string) error {
		client := pgproto3.NewBackend(c, c)
		first, err := client.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		startup, ok := first.(*pgproto3.StartupMessage)
		if !ok {
			return nil // it asks for an end of what has ended
		}
		for name := range startup.Parameters {
			if !slices.Contains(known, strings.ToLower(name)) {
				client.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
				return client.Flush()
			}
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		defer conn.Close()
		server := pgproto3.NewFrontend(conn, conn)
		server.Send(startup)
		for {
			if err := server.Flush(); err != nil {
				return err
			}
			state, err := answers(server, client)
			if err != nil {
				return nil // one of the two has gone
			}
			if state == 'I' {
				if err := reset(server); err != nil {
					return err
				}
			}
			for asked := false; !asked; {
				m, err := client.Receive()
				if err != nil {
					return nil
				}
				switch m.(type) {
				case *pgproto3.Terminate:
					return nil
				case *pgproto3.Query, *pgproto3.Sync:
					asked = true
				}
				server.Send(m)
			}
		}
	})
}

// answers brings what the server says to the client, until it is ready again.
func answers(server *pgproto3.Frontend, client *pgproto3.Backend) (state byte, err error) {
	for {
		m, err := server.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(m)
		ready, ok := m.(*pgproto3.ReadyForQuery)
		if err := client.Flush(); err != nil {
			return 0, err
		}
		if ok {
			return ready.TxStatus, nil
		}
	}
}

// reset forgets what a session has set.
func reset(server *pgproto3.Frontend) error {
	server.SendQuery(&pgproto3.Query{String: "discard all"})
	if err := server.Flush(); err != nil {
		return err
	}
	for {
		m, err := server.Receive()
		if err != nil {
			return fmt.Errorf("reset the session: %w", err)
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("reset the session: %s", m.Message)
		case *pgproto3.ReadyForQuery:
			return nil
		}
	}
}
