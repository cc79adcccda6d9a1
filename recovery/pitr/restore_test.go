package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// restored is what a restore ended in.
type restored struct {
	state  recovery.State
	orders string
	// replay and copy are the outcomes of the two steps.
	copy, replay recovery.Outcome
}

// restore executes the plan for a point and reads the orders of what came back.
func restore(t testing.TB, store storage.Store, p recovery.Point, change ...func(*enginetest.Options)) restored {
	t.Helper()
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	var r restored
	o := enginetest.Options{Engine: testEngine(t), Component: database, Point: p, Owner: owner,
		Stores:    map[string]storage.Store{"nearby": store},
		Releasers: []recovery.Releaser{postgres.ReleaseCluster{}},
		Probe: func(ctx context.Context, env recovery.Env) error {
			b, ok := env.Binding("database")
			if !ok {
				return fmt.Errorf("nothing is bound")
			}
			if !b.Scratch {
				t.Errorf("the binding is not scratch: %+v", b)
			}
			conn, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			return conn.QueryRow(ctx, ordersQuery).Scan(&r.orders)
		}}
	for _, c := range change {
		c(&o)
	}
	r.state = enginetest.Restore(t, o)
	if st := r.state.Step("copy"); st != nil {
		r.copy = st.Outcome
	}
	if st := r.state.Step("replay"); st != nil {
		r.replay = st.Outcome
	}
	return r
}

// passed fails the test where a restore did not end well.
func (r restored) passed(t testing.TB) {
	t.Helper()
	if r.state.Result != recovery.ResultPassed {
		says, hint := enginetest.Failure(r.state)
		t.Fatalf("the run ended as %s: %s (%s)", r.state.Result, says, hint)
	}
}

// proven fails the test where the proof of the point is not what it must be.
func (r restored) proven(t testing.TB, p recovery.Point) {
	t.Helper()
	reached := r.replay.Reached
	if reached == nil {
		t.Fatal("nothing says what was reached")
	}
	if reached.XID != p.Kept.XID || !reached.Time.Equal(p.Kept.Time) {
		t.Errorf("reached xid %d of %s, want %d of %s", reached.XID, reached.Time, p.Kept.XID, p.Kept.Time)
	}
	all := strings.Join(reached.Evidence, "\n")
	want := []string{"the server said", "paused there", "branched off timeline"}
	if p.Kept.XID != 0 {
		want = append(want, fmt.Sprintf("paused: transaction %d, the last to keep, is committed", p.Kept.XID),
			fmt.Sprintf("opened: transaction %d, the last to keep, is committed", p.Kept.XID))
	}
	if p.Lost.XID != 0 {
		want = append(want, fmt.Sprintf("paused: transaction %d, the first to lose, is", p.Lost.XID),
			fmt.Sprintf("opened: transaction %d, the first to lose, is", p.Lost.XID))
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("the evidence does not say %q:\n%s", w, all)
		}
	}
}

// A database that was dropped at the point is there, with its files.
func TestRestore_DroppedDatabase(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.special["drop database"]))
	tables := 0
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			b, _ := env.Binding("database")
			conn, err := pgx.Connect(ctx, strings.Replace(b.URL, "/shop", "/coupons", 1))
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			return conn.QueryRow(ctx, "select count(*) from pg_class").Scan(&tables)
		}
	})
	r.passed(t)
	r.proven(t, p)
	if tables == 0 {
		t.Error("the dropped database is empty")
	}
}

// Each form of base backup and of archive comes back to exactly the commit that
// was asked for, by every way to ask.
func TestRestore(t *testing.T) {
	l := source.get(t)
	before := func(name string) string { return fmt.Sprintf("before-xid:%d", l.mark(t, name).xid) }
	for _, test := range []struct {
		name  string
		bases []string
		pack  []string
		to    string
		want  string // orders
	}{
		{"plain, raw, before a transaction", []string{"plain"}, nil, before("order 4"), l.prior(t, "order 4").orders},
		{"tar, gzip WAL, after a transaction", []string{"tar"}, []string{".gz", "gzip", "-1c"}, fmt.Sprintf("after-xid:%d", l.mark(t, "order 5").xid), l.mark(t, "order 5").orders},
		{"gzip, zstd WAL, a time", []string{"gzip"}, []string{".zst", "zstd", "-1c"}, l.mark(t, "order 9").time.Format(timeFormat), l.mark(t, "order 9").orders},
		{"zstd, raw, latest", []string{"gzip", "zstd"}, nil, "latest", l.mark(t, "order 20").orders},
		{"a position", []string{"zstd"}, nil, "lsn:" + l.mark(t, "order 17").before.String(), l.prior(t, "order 17").orders},
		{"a backup's own end", []string{"plain", "tar", "zstd"}, nil, "base/zstd", l.mark(t, "prepared").orders},
		{"before a dropped table", []string{"zstd"}, nil, before("drop table"), l.prior(t, "drop table").orders},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, test.bases...)
			if test.pack != nil {
				c.pack(t, test.pack[0], test.pack[1:]...)
			}
			s := survey(t, c.store, database)
			p := mustResolve(t, c.store, s, test.to)
			r := restore(t, c.store, p)
			r.passed(t)
			r.proven(t, p)
			if r.orders != test.want {
				t.Errorf("the orders are %s, want %s", r.orders, test.want)
			}
			if !strings.Contains(r.copy.Says, "every checksum of its manifest holds") {
				t.Errorf("the copy says %q", r.copy.Says)
			}
		})
	}
}

const timeFormat = "2006-01-02T15:04:05.999999Z07:00"

// A database that was being dropped at the moment, which is not valid any more and whose files
// are all there, is valid again, and another one stays as it is.
func TestReplay_droppedMeanwhile(t *testing.T) {
	t.Parallel()
	c := source.get(t).copy(t, "zstd")
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			b, _ := env.Binding("database")
			conn, err := pgx.Connect(ctx, strings.Replace(b.URL, "/shop", "/postgres", 1))
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			for _, sql := range []string{"create database other", "create database wreck"} {
				if _, err := conn.Exec(ctx, sql); err != nil {
					return err
				}
			}
			wreck, err := pgx.Connect(ctx, strings.Replace(b.URL, "/shop", "/wreck", 1))
			if err != nil {
				return err
			}
			var file string
			err = wreck.QueryRow(ctx, "select current_setting('data_directory') || '/' || pg_relation_filepath('pg_description')").Scan(&file)
			if err := errors.Join(err, wreck.Close(ctx)); err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, "update pg_catalog.pg_database set datconnlimit = -2, datallowconn = datname <> 'shop' where datname in ('shop', 'other', 'wreck')"); err != nil {
				return err
			}
			if err := os.Remove(file); err != nil { // as a drop that was cut off
				return err
			}
			cut := &replay{conn: conn, cluster: postgres.Cluster{Socket: conn.Config().Host}, args: replayArgs{Database: "wreck"}}
			if _, err := cut.reopen(ctx); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "a file of pg_description is missing") {
				t.Errorf("one that lacks a file: %v", err)
			}
			opened := &replay{conn: conn, cluster: postgres.Cluster{Socket: conn.Config().Host}, args: replayArgs{Database: "shop"}}
			for _, want := range []int{1, 0} { // remarks
				if remarks, err := opened.reopen(ctx); err != nil || len(remarks) != want || want > 0 && !strings.Contains(remarks[0], "database shop was being dropped at the moment") {
					t.Errorf("%q, %v", remarks, err)
				}
			}
			if left, err := opened.names(ctx, "select datname from pg_database where datconnlimit = -2 order by 1"); err != nil || !slices.Equal(left, []string{"other", "wreck"}) {
				t.Errorf("not valid are %q, %v", left, err)
			}
			shop, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return err
			}
			return shop.Close(ctx)
		}
	})
	r.passed(t)
}
