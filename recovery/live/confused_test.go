package live_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/live"
	"comeback/recovery/postgres"
	"comeback/shop"
)

// A standby, and what a standby becomes, are told from the primary although all of
// them have the same system identifier and the same database.
func TestConfused_standbyAndCopy(t *testing.T) {
	ctx := within(t)
	s := openShop(t)
	key, err := s.Backup(ctx, shop.BackupOptions{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir, "standby")
	if out, err := exec.Command("cp", "-a", filepath.Join(s.Copy(), key), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s.Owner.UID >= 0 {
		if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", s.Owner.UID, s.Owner.GID), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	c := postgres.Cluster{Data: dir, Owner: s.Owner, Tools: s.Tools}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			t.Error(err)
		}
	})
	if err := c.Configure(map[string]string{"restore_command": "false", "max_connections": "40", "max_wal_senders": "4", "wal_level": "replica"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	standby, err := postgres.Start(ctx, &env{}, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	then, err := live.Identify(ctx, s.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Content(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now, err := live.Identify(ctx, standby.URL("shop"))
	if err != nil {
		t.Fatal(err)
	}
	if now.SystemIdentifier != then.SystemIdentifier || now.OID != then.OID {
		t.Fatalf("%+v and %+v", now, then)
	}
	t.Run("a standby", func(t *testing.T) {
		differs(t, then, now, "role was primary and is standby")
		d := live.Database{Address: standby.URL("shop"), Run: runID, Was: then.OID}
		_, err := d.Fence(ctx)
		refused(t, err, "is a standby")
		refused(t, d.Unfence(ctx), "is a standby")
		_, err = d.Load(ctx, &env{}, live.Source{Address: standby.URL("shop"), Tools: s.Tools, Dir: filepath.Join(s.Dir, "transfer")})
		refused(t, err, "is a standby")
		_, err = live.Quiet(ctx, standby.URL("shop"), apart)
		refused(t, err, "is a standby")
		p, err := live.Protected(ctx, standby.URL("shop"), live.Archives{}, "")
		if err != nil || len(p.Missing) == 0 || p.Next == "" {
			t.Errorf("%+v, %v", p, err)
		}
	})
	t.Run("a restored copy", func(t *testing.T) {
		conn := connect(t, standby.URL("postgres"))
		run(t, conn, "select pg_promote()")
		now, err := live.Identify(ctx, standby.URL("shop"))
		if err != nil {
			t.Fatal(err)
		}
		if now.Standby || now.Timeline != 2 {
			t.Errorf("%+v", now)
		}
		differs(t, then, now, "timeline was 1 and is 2")
		differs(t, then, now, "data directory was "+s.Cluster())
		// The timeline too, where somebody has faked it.
		now.Timeline, now.Data = then.Timeline, then.Data
		differs(t, then, now, "inode was")
	})
	after, err := s.Content(ctx)
	if err != nil || !maps.Equal(before.Digest, after.Digest) {
		t.Errorf("live was changed (%v)", err)
	}
}

// A pool that comes back at once, and writes as fast as it can, neither gets in
// while the databases are switched nor loses a commit that it was told of.
func TestDatabase_underLoad(t *testing.T) {
	ctx := within(t)
	w := openTwo(t)
	ticks := "create table ticks (id bigint primary key)"
	for _, s := range []*postgres.Server{w.live, w.scratch} {
		conn := connect(t, s.URL("shop"))
		run(t, conn, ticks)
		conn.Close(ctx)
	}
	d := w.database(t, "shop")
	var next, refusals atomic.Int64
	var acknowledged sync.Map
	stop := make(chan struct{})
	var pool sync.WaitGroup
	for range 6 {
		pool.Go(func() {
			var conn *pgx.Conn
			for {
				select {
				case <-stop:
					if conn != nil {
						conn.Close(ctx)
					}
					return
				default:
				}
				if conn == nil || conn.IsClosed() {
					var err error
					if conn, err = pgx.Connect(ctx, address(w.live, "shop")); err != nil {
						conn = nil
						refusals.Add(1)
						continue
					}
				}
				id := next.Add(1)
				if _, err := conn.Exec(ctx, "insert into ticks values ($1)", id); err == nil {
					acknowledged.Store(id, true)
				}
			}
		})
	}
	l, err := d.Load(ctx, &env{}, w.source())
	if err != nil {
		t.Fatal(err)
	}
	d.New = l.Database.OID
	until(t, func() bool { return next.Load() > 100 })
	f, err := d.Fence(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Ended) == 0 {
		t.Errorf("%+v", f)
	}
	seen := refusals.Load()
	until(t, func() bool { return refusals.Load() > seen+20 }) // they come back at once
	if _, err := d.Swap(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.Unfence(ctx); err != nil {
		t.Fatal(err)
	}
	at := next.Load()
	until(t, func() bool { return next.Load() > at+100 })
	close(stop)
	pool.Wait()
	if got := w.says(t, "shop"); got != "new" {
		t.Errorf("live says %q", got)
	}
	run(t, w.root, "alter database shop_old_7c31 allow_connections true")
	kept := map[int64]string{}
	for _, name := range []string{"shop_old_7c31", "shop"} {
		conn := connect(t, address(w.live, name))
		rows, err := conn.Query(ctx, "select id from ticks")
		if err != nil {
			t.Fatal(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if kept[id] != "" {
				t.Errorf("%d is in both", id)
			}
			kept[id] = name
		}
	}
	acknowledged.Range(func(id, _ any) bool {
		if kept[id.(int64)] == "" {
			t.Errorf("commit %d was acknowledged and is in neither database", id)
		}
		return true
	})
}

// until waits for something that goes on by itself.
func until(t *testing.T, done func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		}
	}
}
