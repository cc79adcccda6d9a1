package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comeback/recovery/exchange"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/storage"
)

// beside is a live shop, and the shop as it was at a moment in a data directory
// beside it: promoted, shut down, its log never archived.
type beside struct {
	*shop.Shop
	dir      string
	restored map[string]string
	old      map[string]string
	system   string
}

func openBeside(t *testing.T) *beside {
	t.Helper()
	ctx := within(t)
	b := &beside{Shop: openShop(t)}
	b.dir = filepath.Join(b.Dir, "restored")
	// Whoever serves the shop's directory is gone when the shop is closed.
	t.Cleanup(func() {
		c := postgres.Cluster{Data: b.Cluster(), Socket: b.Socket(), Owner: b.Owner, Tools: b.Tools}
		if err := c.Halt(context.Background()); err != nil {
			t.Error(err)
		}
	})
	key, err := b.Backup(ctx, shop.BackupOptions{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	moment, err := b.Content(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	b.restored, b.old = moment.Digest, b.digest(t)
	id, err := live.Identify(ctx, b.address())
	if err != nil {
		t.Fatal(err)
	}
	b.system = id.SystemIdentifier
	if out, err := exec.Command("cp", "-a", filepath.Join(b.Copy(), key), b.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b.Owner.UID >= 0 {
		if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", b.Owner.UID, b.Owner.GID), b.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b.promote(t, moment.After)
	return b
}

// promote recovers the copy to a commit, as a recovery does: it archives nothing,
// and keeps what is to be archived.
func (b *beside) promote(t *testing.T, to shop.Commit) {
	t.Helper()
	ctx := within(t)
	c := postgres.Cluster{Data: b.dir, Owner: b.Owner, Tools: b.Tools}
	err := c.Configure(map[string]string{"archive_mode": "on", "archive_command": "", "wal_level": "replica", "max_connections": "40", "max_wal_senders": "4", "fsync": "off",
		"restore_command": "cp '" + b.Archive() + "/%f' '%p'", "recovery_target_xid": strconv.FormatUint(uint64(to.XID), 10), "recovery_target_action": "promote"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Start(ctx, &env{}, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, s.URL("postgres"))
	for text(t, conn, "select pg_is_in_recovery()::text") == "true" {
		select {
		case <-s.Exited():
			t.Fatal(s.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	// A segment of its own that is full before anybody archives.
	run(t, conn, "select pg_logical_emit_message(false, 'test', 'x')", "select pg_switch_wal()", "checkpoint")
	conn.Close(ctx)
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.Socket); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(postgres.SocketDir(b.dir)); err != nil {
		t.Error(err)
	}
}

func (b *beside) address() string { return b.Layout.URL("postgres", "shop") }

func (b *beside) digest(t *testing.T) map[string]string {
	t.Helper()
	d, err := shop.Digest(within(t), b.URL())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (b *beside) prepared() live.Restored {
	return live.Restored{Live: b.Cluster(), Data: b.dir, Tools: b.Tools, System: b.system, Timeline: 1, Synchronous: "s1"}
}

func (b *beside) service() live.Service { return live.Service{Data: b.Cluster(), Tools: b.Tools} }

func (b *beside) archive(t *testing.T) []live.Archive {
	t.Helper()
	store, err := storage.OpenDir(b.Copy())
	if err != nil {
		t.Fatal(err)
	}
	return []live.Archive{live.StoreArchive{Copy: "nearby", Store: store, Prefix: "wal/"}}
}

// The way of a whole cluster: prepared beside, exchanged, archiving again, and
// back.
func TestCluster(t *testing.T) {
	ctx := within(t)
	b := openBeside(t)
	t.Run("leaves out standbys", b.leavesOutStandbys)
	t.Run("needs a configuration", b.needsAConfiguration)
	root := connect(t, b.Layout.URL("postgres", "postgres"))
	run(t, root, "alter system set synchronous_standby_names = 's1'", "alter system set work_mem = '7MB'", "alter system set primary_conninfo = 'host=x password=very-secret'",
		"alter system set recovery_target_time = '2026-11-22 02:41:07+00'")
	write(t, filepath.Join(b.Cluster(), "conf.d", "more.conf"), "maintenance_work_mem = '33MB'\n")
	appendTo(t, filepath.Join(b.Cluster(), "postgresql.conf"), "include_dir = 'conf.d'\nrecovery_target_inclusive = off\n")
	if err := os.Symlink("/etc/ssl/certs/none.pem", filepath.Join(b.Cluster(), "server.crt")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.Cluster(), "huge", "data"), strings.Repeat("x", 17<<20))
	if parent, err := live.Exchangeable(b.Cluster()); err != nil || parent != b.Dir {
		t.Fatalf("%s, %v", parent, err)
	}
	p, err := live.Prepare(ctx, &env{}, b.prepared())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("prepares", func(t *testing.T) {
		again, err := live.Prepare(ctx, &env{}, b.prepared())
		if err != nil || again.Pair != p.Pair || !slices.Equal(again.Taken, p.Taken) || !slices.Equal(again.Dropped, p.Dropped) {
			t.Errorf("once more: %+v, %v", again, err)
		}
		if p.Timeline != 2 || p.System != b.system || !slices.Equal(p.Taken, []string{"conf.d", "pg_hba.conf", "pg_ident.conf", "postgresql.conf", "server.crt"}) {
			t.Errorf("%+v", p)
		}
		var dropped []string
		for _, d := range p.Dropped {
			dropped = append(dropped, d.Name)
		}
		if slices.Sort(dropped); !slices.Equal(dropped, []string{"primary_conninfo", "recovery_target_time", "synchronous_standby_names"}) {
			t.Errorf("dropped %q", dropped)
		}
		if says := strings.Join(p.Remarks, "\n"); !strings.Contains(says, "huge is too large") || !strings.Contains(says, "sets recovery_target_inclusive") {
			t.Errorf("remarks %q", says)
		}
		if p.Archivable[0] != "00000002.history" {
			t.Errorf("archivable %q", p.Archivable)
		}
		all, err := json.Marshal(p)
		if err != nil || strings.Contains(string(all), "very-secret") {
			t.Errorf("%s, %v", all, err)
		}
		if auto := read(t, filepath.Join(b.dir, "postgresql.auto.conf")); strings.Contains(auto, "very-secret") || !strings.Contains(auto, "work_mem = '7MB'") || !strings.Contains(auto, "synchronous_standby_names = ''") {
			t.Errorf("postgresql.auto.conf:\n%s", auto)
		}
		if !maps.Equal(b.digest(t), b.old) {
			t.Error("live was changed")
		}
	})
	c := live.Cluster{Pair: p.Pair, Tools: b.Tools}
	t.Run("is not exchanged while a server uses it", func(t *testing.T) {
		refused(t, c.Exchange(ctx), "a server uses "+b.Cluster())
		if !maps.Equal(b.digest(t), b.old) {
			t.Error("live was changed")
		}
	})
	t.Run("starts one that is on its way down", b.startedOnItsWayDown)
	e := &env{}
	for range 2 {
		if state, err := b.service().Stop(ctx, e); err != nil || state != "shut down" {
			t.Fatalf("%s, %v", state, err)
		}
	}
	t.Run("one that is started meanwhile", func(t *testing.T) {
		c := c
		c.Before = func(ctx context.Context, _ string) error { return b.service().Start(ctx, &env{}, b.address()) }
		refused(t, c.Exchange(ctx), "a server uses")
		if !maps.Equal(b.digest(t), b.old) {
			t.Error("live was changed")
		}
		if _, err := b.service().Stop(ctx, &env{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the lease is lost", func(t *testing.T) {
		c := c
		c.Before = func(context.Context, string) error { return errors.New("the lease is lost") }
		if err := c.Exchange(ctx); err == nil || !strings.Contains(err.Error(), "lease") {
			t.Errorf("error %v", err)
		}
		if side, err := c.Pair.Side(); side != exchange.Before || err != nil {
			t.Errorf("%s, %v", side, err)
		}
	})
	for range 2 {
		if err := c.Exchange(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.service().Start(ctx, e, b.address()); err != nil {
			t.Fatal(err)
		}
	}
	id, err := c.Serves(ctx, b.address(), p)
	if err != nil {
		t.Fatal(err)
	}
	if id.Timeline != 2 || id.Data != b.Cluster() {
		t.Errorf("%+v", id)
	}
	if !maps.Equal(b.digest(t), b.restored) {
		t.Error("what is live is not what was restored")
	}
	root = connect(t, b.Layout.URL("postgres", "postgres"))
	for name, want := range map[string]string{"archive_mode": "on", "work_mem": "7MB", "maintenance_work_mem": "33MB", "synchronous_standby_names": "", "cluster_name": "shop", "fsync": "on", "restore_command": "", "primary_conninfo": ""} {
		if got := text(t, root, "select current_setting($1)", name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	t.Run("is archived again", func(t *testing.T) {
		first, err := live.FirstSegment(ctx, c.Pair.Live)
		if err != nil || !strings.HasPrefix(first, "00000002") {
			t.Fatalf("the timeline begins with %q, %v", first, err)
		}
		p, err := live.Protected(ctx, b.address(), live.Archives{Copies: b.archive(t)}, first)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Missing) > 0 || p.History != "00000002.history" || !strings.HasPrefix(p.Segment, "00000002") || p.First != first || len(p.Copies) != 1 || len(p.Copies[0].Lacks) > 0 {
			t.Errorf("%+v", p)
		}
		if history := read(t, filepath.Join(b.Archive(), "00000002.history")); !strings.HasPrefix(history, "1\t") {
			t.Errorf("the history is %q", history)
		}
	})
	t.Run("goes back", func(t *testing.T) {
		refused(t, c.Undo(ctx), "a server uses")
		if _, err := b.service().Stop(ctx, e); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Undo(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.service().Start(ctx, e, b.address()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Serves(ctx, b.address(), p); err == nil || !strings.Contains(err.Error(), "not the restored directory") {
			t.Errorf("error %v", err)
		}
		// Its own setting makes commits wait again; nothing is written here.
		if !maps.Equal(b.digest(t), b.old) {
			t.Error("live is not what it was")
		}
	})
}

func write(t *testing.T, path, says string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(says), 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path, says string) {
	t.Helper()
	write(t, path, read(t, path)+says)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
