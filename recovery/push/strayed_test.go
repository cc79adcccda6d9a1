package push_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/push"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// place is an environment in which a server can be started.
type place struct{ recovery.Env }

func (place) Claim(context.Context, recovery.Resource) error { return nil }
func (place) Now() time.Time                                 { return time.Now() }
func (place) Meter() recovery.Meter                          { return silent{} }

type silent struct{ recovery.Meter }

func (silent) Log(string)  {}
func (silent) Note(string) {}

// restored is a server on a new timeline, as it was when a base backup was made.
func restored(t *testing.T, s *shop.Shop, key string) (address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	t.Cleanup(cancel)
	data := filepath.Join(shoptest.Dir(t), "data")
	if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(s.Copy(), filepath.FromSlash(key)), data).CombinedOutput(); err != nil {
		t.Fatalf("copy the backup: %v: %s", err, out)
	}
	if s.Owner.UID >= 0 {
		if out, err := exec.CommandContext(ctx, "chown", "-R", fmt.Sprint(s.Owner.UID), data).CombinedOutput(); err != nil {
			t.Fatalf("give the backup to %s: %v: %s", s.Owner.Name, err, out)
		}
	}
	c := postgres.Cluster{Data: data, Owner: s.Owner, Tools: s.Tools}
	if err := c.Configure(map[string]string{"restore_command": fmt.Sprintf("cp '%s'/%%f %%p", s.Archive()), "recovery_target": "immediate", "recovery_target_action": "promote",
		"wal_level": "replica", "max_wal_senders": "4", "max_replication_slots": "4"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.WithoutCancel(t.Context()), c.Resource()); err != nil {
			t.Errorf("release the restored server: %v", err)
		}
	})
	server, err := postgres.Start(ctx, place{}, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	return server.URL("postgres")
}

// A server that is restored to before what was received, on a new timeline, is followed all the
// same, from where that begins. What was received is in the copies, or put aside; nothing of it
// is lost.
func TestReceive_restored(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 20})
	key, err := s.Backup(t.Context(), shop.BackupOptions{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	copyDir, dir := t.TempDir(), filepath.Join(t.TempDir(), "received")
	open := func(address string) *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
		return conn
	}
	// receive follows a server until the copies have what work has closed.
	receive := func(address string, work func(conn *pgx.Conn) string) (told []string) {
		t.Helper()
		conn := open(address)
		for paused := true; paused; {
			if err := conn.QueryRow(t.Context(), "select pg_is_in_recovery()").Scan(&paused); err != nil {
				t.Fatal(err)
			}
		}
		conninfo, env, err := postgres.ProgramAddress(address, conn.Config(), "postgres")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		arrived, ended := make(chan string, 100), make(chan error, 1)
		lines := make(chan string, 1000)
		go func() {
			ended <- push.Receive(ctx, push.ReceiveOptions{Slot: "comeback", Dir: dir, Log: func(text string) { lines <- text }, Pushed: func(name string) { arrived <- name },
				Options: push.Options{Component: recovery.Component{Name: "database"}, Spool: filepath.Join(filepath.Dir(dir), "spool"), Quorum: 1, Now: time.Now,
					Copies: []push.Copy{{Name: "nearby", Open: func(context.Context) (storage.Store, error) { return storage.OpenDir(copyDir) }}}},
				Server: reached(push.Server{Program: s.Tools.Program("pg_receivewal"), Conninfo: conninfo, Env: env, Log: sentBy(address)})})
		}()
		for streams := false; !streams; {
			if err := conn.QueryRow(t.Context(), "select exists (select from pg_stat_replication where application_name = 'comeback' and state = 'streaming')").Scan(&streams); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				t.Fatalf("the receiver has ended: %v", err)
			default:
			}
		}
		want := work(conn)
		for got := ""; got != want; {
			select {
			case got = <-arrived:
			case err := <-ended:
				t.Fatalf("the receiver has ended: %v", err)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("asked to end: %v", err)
		}
		close(lines)
		for line := range lines {
			told = append(told, line)
		}
		return told
	}
	closed := func(conn *pgx.Conn) string {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "select pg_logical_emit_message(true, 'comeback', 'a line')"); err != nil {
			t.Fatal(err)
		}
		name, err := postgres.CloseSegment(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	three := func(conn *pgx.Conn) string {
		closed(conn)
		closed(conn)
		return closed(conn)
	}
	var before string
	receive(s.Layout.URL("postgres", "postgres"), func(conn *pgx.Conn) string {
		before = three(conn)
		if _, err := conn.Exec(t.Context(), "select pg_logical_emit_message(true, 'comeback', 'one that nobody closes')"); err != nil {
			t.Fatal(err)
		}
		for begun := []string(nil); len(begun) == 0; {
			if begun, err = filepath.Glob(filepath.Join(dir, "*.partial")); err != nil || t.Context().Err() != nil {
				t.Fatal("nothing begins", err)
			}
		}
		return before
	})
	again := restored(t, s, key)
	var first, last string
	told := receive(again, func(conn *pgx.Conn) string {
		first, last = closed(conn), closed(conn)
		return last
	})
	if !strings.HasPrefix(first, "00000002") || first >= "00000002"+before[8:] {
		t.Fatalf("the server was restored to %s, not to before %s", first, before)
	}
	for _, name := range []string{before + ".zst", "00000002.history", first + ".zst", last + ".zst"} {
		if _, err := os.Stat(filepath.Join(copyDir, "wal", name)); err != nil {
			t.Errorf("the copy lacks %s: %v", name, err)
		}
	}
	aside, err := filepath.Glob(filepath.Join(dir, "before-00000002-*", "*"))
	if err != nil || len(aside) != 2 || filepath.Base(aside[0]) != before || !strings.HasPrefix(filepath.Base(aside[1]), "00000001") || !strings.HasSuffix(aside[1], ".partial") {
		t.Errorf("put aside: %v, %v", aside, err)
	}
	if says := strings.Join(told, "\n"); !strings.Contains(says, "does not have what comes behind 00000001") || !strings.Contains(says, ".partial, which was not finished, is in the copies") {
		t.Errorf("it told:\n%s", says)
	}
	// From then on there is nothing to put aside.
	for _, line := range receive(again, closed) {
		if strings.Contains(line, "does not have") {
			t.Error(line)
		}
	}
	// The old server, where it was; its slot has kept what nobody received.
	old := open(s.Layout.URL("postgres", "postgres"))
	meanwhile := closed(old)
	receive(s.Layout.URL("postgres", "postgres"), closed)
	if _, err := os.Stat(filepath.Join(copyDir, "wal", meanwhile+".zst")); err != nil {
		t.Errorf("the copy lacks %s, of when nobody received: %v", meanwhile, err)
	}
}

// What is asked for behind a file is where the next begins, or the file itself where it was not
// finished.
func TestLog_holds(t *testing.T) {
	third := push.Log{Timeline: 3, History: "1\t0/5000028\tno recovery target specified\n\n2\t0/7000000\tbefore 700\n", Until: 0x9000100, SegmentSize: 16 << 20}
	for name, want := range map[string]bool{
		"000000030000000000000008":         true,
		"000000030000000000000009":         false, // it was restored to before its end
		"000000030000000000000009.partial": true,
		"00000003000000000000000A.partial": false,
		"000000020000000000000006":         true, // where timeline 3 begins
		"000000020000000000000007":         false,
		"000000020000000000000007.partial": true,
		"000000010000000000000004":         true,
		"000000010000000000000005":         false,
		"000000010000000000000005.partial": true, // timeline 2 begins in it
		"000000040000000000000002":         false,
	} {
		if got, err := push.Holds(third, name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := push.Holds(push.Log{Timeline: 2, History: "one"}, "000000010000000000000004"); err == nil {
		t.Error("a history that cannot be read is taken for one")
	}
}
