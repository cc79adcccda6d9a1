package pitr

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
)

// What stands around a point does not move it: a transaction that is far older
// than its commit, one in two phases, a timeline that begins there, a table that
// loses its rows or itself. What TestRestore and TestFork show is not shown again.
func TestRestore_Exactly(t *testing.T) {
	l := source.get(t)
	_, marks := copyFork(t, "plain") // the fork is made
	emptied := forked.maker.special["truncate"]
	before := func(xid recovery.XID) string { return fmt.Sprintf("before-xid:%d", xid) }
	after := func(xid recovery.XID) string { return fmt.Sprintf("after-xid:%d", xid) }
	for _, test := range []struct {
		name   string
		base   string
		fork   bool
		to     string
		orders string
		// query gives what else must be so, found.
		query, found string
		// remark is part of what a person is told, where something is.
		remark string
		// timeline is the one to follow, look asks for a look on the way.
		timeline uint32
		look     bool
	}{
		{name: "the first commit after the backup's end is lost", base: "tar", to: before(l.mark(t, "order 5").xid), orders: l.prior(t, "order 5").orders, timeline: 1},
		{name: "a long transaction is lost", base: "gzip", to: before(l.mark(t, "long").xid), orders: l.prior(t, "long").orders, timeline: 1},
		{name: "a long transaction is kept", base: "gzip", to: after(l.mark(t, "long").xid), orders: l.mark(t, "long").orders, timeline: 1},
		{name: "a prepared transaction is not committed", base: "gzip", to: before(l.mark(t, "prepared").xid), orders: l.prior(t, "prepared").orders, timeline: 1,
			query: "select count(*)::text from pg_prepared_xacts", found: "1", remark: "transaction 'two' of database shop"},
		{name: "a prepared transaction is committed", base: "gzip", to: after(l.mark(t, "prepared").xid), orders: l.mark(t, "prepared").orders, timeline: 1,
			query: "select count(*)::text from pg_prepared_xacts", found: "0"},
		{name: "a dropped table is there", base: "zstd", to: before(l.special["drop table"]), orders: l.prior(t, "drop table").orders, timeline: 1,
			query: "select to_regclass('carts')::text", found: "carts"},
		{name: "the first commit of another timeline is lost", base: "gzip", fork: true, to: before(marks[0].xid), orders: l.prior(t, "long").orders, timeline: 2},
		{name: "the first commit of another timeline is kept", base: "gzip", fork: true, to: after(marks[0].xid), orders: marks[0].orders, timeline: 2,
			query: "select (count(*) > 0)::text from bulk", found: "true"},
		{name: "an emptied table is full", base: "gzip", fork: true, to: before(emptied), orders: marks[0].orders, timeline: 2,
			query: "select (count(*) > 0)::text from bulk", found: "true"},
		{name: "an emptied table is empty", base: "gzip", fork: true, to: after(emptied), orders: marks[0].orders, timeline: 2,
			query: "select (count(*) > 0)::text from bulk", found: "false"},
		{name: "an emptied table is full, and was looked at", base: "gzip", fork: true, to: before(emptied), orders: marks[0].orders, timeline: 2, look: true,
			query: "select (count(*) > 0)::text from bulk", found: "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, test.base)
			if test.fork {
				c, _ = copyFork(t, test.base)
			}
			p := mustResolve(t, c.store, survey(t, c.store, database), test.to)
			if test.look {
				p = resolveLook(t, c, test.to)
			}
			if p.Timeline != test.timeline {
				t.Errorf("timeline %d is followed, want %d", p.Timeline, test.timeline)
			}
			var found string
			ask := func(ctx context.Context, url string, answer *string) error {
				if test.query == "" {
					return nil
				}
				conn, err := pgx.Connect(ctx, url)
				if err != nil {
					return err
				}
				defer conn.Close(ctx)
				if _, err := conn.Exec(ctx, "set lock_timeout = '5s'"); err != nil {
					return err
				}
				return conn.QueryRow(ctx, test.query).Scan(answer)
			}
			seen := test.found
			r := restore(t, c.store, p, func(o *enginetest.Options) {
				orders := o.Probe
				o.Probe = func(ctx context.Context, env recovery.Env) error {
					b, _ := env.Binding("database")
					if err := ask(ctx, b.URL, &found); err != nil {
						return err
					}
					return orders(ctx, env)
				}
				o.Event = func(e recovery.Event) {
					if f, ok := payload[recovery.StepFinished](e); ok && f.Step == "replay" && test.look {
						if err := ask(context.Background(), f.Outcome.Bindings[0].URL, &seen); err != nil {
							t.Errorf("look: %v", err)
						}
					}
				}
			})
			r.passed(t)
			if test.look {
				r.replay = r.state.Step("open").Outcome
			}
			r.proven(t, p)
			if r.orders != test.orders {
				t.Errorf("the orders are %s, want %s", r.orders, test.orders)
			}
			if found != test.found || seen != test.found {
				t.Errorf("%s gives %q, and %q at the look; want %q", test.query, found, seen, test.found)
			}
			told := slices.ContainsFunc(r.replay.Remarks, func(s string) bool { return test.remark != "" && strings.Contains(s, test.remark) })
			if told != (test.remark != "") {
				t.Errorf("the remarks are %q", r.replay.Remarks)
			}
		})
	}
}
