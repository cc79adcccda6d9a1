package push_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// What a server writes comes through a slot into the copies, also what it wrote while
// nobody received, and no segment twice; a second receiver is refused.
func TestReceive(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	copyDir, work := t.TempDir(), t.TempDir()
	address := s.Layout.URL("postgres", "postgres")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	conninfo, env, err := postgres.ProgramAddress(address, conn.Config(), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	// switched closes a segment and gives its name.
	switched := func() string {
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
	var mu sync.Mutex
	pushed := map[string]int{}
	options := func(arrived chan<- string) push.ReceiveOptions {
		return push.ReceiveOptions{
			Options: push.Options{Component: recovery.Component{Name: "database"}, Spool: filepath.Join(work, "spool"), Quorum: 1, Now: time.Now,
				Copies: []push.Copy{{Name: "nearby", Open: func(context.Context) (storage.Store, error) { return storage.OpenDir(copyDir) }}}},
			Server: reached(push.Server{Program: s.Tools.Program("pg_receivewal"), Conninfo: conninfo, Env: env, Log: sentBy(address)}), Slot: "comeback", Dir: filepath.Join(work, "received"),
			Log: func(text string) { t.Log(text) },
			Pushed: func(name string) {
				mu.Lock()
				pushed[name]++
				mu.Unlock()
				arrived <- name
			},
		}
	}
	run := func(until func() string) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		arrived, ended := make(chan string, 100), make(chan error, 1)
		go func() { ended <- push.Receive(ctx, options(arrived)) }()
		want := until()
		for got := ""; got != want; {
			select {
			case got = <-arrived:
			case err := <-ended:
				t.Fatalf("the receiver has ended: %v", err)
			}
		}
		if err := push.Receive(t.Context(), options(arrived)); recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("a second receiver: %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("asked to end: %v", err)
		}
	}
	var all []string
	run(func() string {
		// The slot is in use for a moment when it is made, too, before anything is received.
		for slot := ""; slot == ""; {
			err := conn.QueryRow(t.Context(), `select s.slot_name::text from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
				where s.slot_name = 'comeback' and r.state = 'streaming'`).Scan(&slot)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				t.Fatal(err)
			}
		}
		all = append(all, switched(), switched())
		return all[1]
	})
	all = append(all, switched(), switched()) // nobody receives
	run(func() string {
		all = append(all, switched())
		return all[4]
	})
	for _, name := range all {
		if _, err := os.Stat(filepath.Join(copyDir, "wal", name+".zst")); err != nil {
			t.Errorf("the copy lacks %s: %v", name, err)
		}
		if pushed[name] != 1 {
			t.Errorf("%s was pushed %d times", name, pushed[name])
		}
	}
	left, err := filepath.Glob(filepath.Join(work, "received", "0*"))
	if err != nil || len(left) > 2 {
		t.Errorf("left beside what goes on: %v, %v", left, err)
	}
	o := options(make(chan string, 10))
	o.Server = reached(push.Server{Program: s.Tools.Program("pg_receivewal"), Conninfo: strings.Replace(conninfo, s.Layout.Dir, "/nowhere", 1), Env: env})
	o.Log = func(string) {}
	if err := push.Receive(t.Context(), o); err == nil || recovery.HintOf(err) == "" {
		t.Errorf("a server that is not there: %v", err)
	}
}

// sentBy asks a server for the log that it sends.
func sentBy(address string) func(context.Context, string) (push.Log, error) {
	return func(ctx context.Context, slot string) (push.Log, error) {
		sent, err := postgres.ReadSent(ctx, address, slot)
		return push.Log(sent), err
	}
}

// reached is a server that was reached.
func reached(s push.Server) func(context.Context) (push.Server, error) {
	return func(context.Context) (push.Server, error) { return s, nil }
}

// What was received is pushed also when the server is gone, and by a start that never
// reaches it; what is not pushed can be told without a server.
func TestReceive_serverGone(t *testing.T) {
	h := newHost(t, 3)
	dir := filepath.Join(h.dir, "pg_wal")
	if err := os.Rename(h.wal(h.names[2]), h.wal(h.names[2]+".partial")); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the server is gone")
	var told []string
	o := push.ReceiveOptions{Options: dirOptions(h.dir), Slot: "comeback", Dir: dir, Log: func(text string) { told = append(told, text) },
		Server: func(context.Context) (push.Server, error) { return push.Server{}, gone }}
	o.Quorum = 2
	unpushed := func(files int) {
		t.Helper()
		u, err := push.ReadUnpushed(dir)
		if err != nil || u.Files != files || (files > 0) == u.Since.IsZero() || u.Partial != h.names[2]+".partial" || u.Until.IsZero() {
			t.Errorf("not pushed: %+v, %v", u, err)
		}
	}
	unpushed(2)
	back := h.away(t, "offsite")
	if err := push.Receive(t.Context(), o); !errors.Is(err, gone) || !strings.Contains(err.Error(), "1 of 2 copies have it") {
		t.Errorf("the copies refuse it, too: %v", err)
	}
	unpushed(2)
	back()
	was, err := os.ReadFile(h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := push.Receive(t.Context(), o); !errors.Is(err, gone) || strings.Contains(err.Error(), "copies") {
		t.Errorf("the copies take it: %v", err)
	}
	unpushed(0)
	if _, err := os.Stat(h.wal(h.names[0])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what the copies have lies there still: %v", err)
	}
	if err := os.WriteFile(h.wal(h.names[0]), was, 0o600); err != nil { // to be compared with
		t.Fatal(err)
	}
	for _, name := range h.names[:2] {
		h.has(t, "nearby", name)
		h.has(t, "offsite", name)
	}
	if none, err := push.ReadUnpushed(filepath.Join(h.dir, "nothing")); err != nil || none != (push.Unpushed{}) {
		t.Errorf("where nothing was received: %+v, %v", none, err)
	}
}

// Copies that refuse are asked less and less often, and never less than each half minute.
func TestReceive_pause(t *testing.T) {
	before := push.Pause(0)
	for refused := 1; refused < 100; refused++ {
		now := push.Pause(refused)
		if now < before || now > 30*time.Second || now > 2*before {
			t.Fatalf("after %d refusals %s, before that %s", refused, now, before)
		}
		before = now
	}
	if before != 30*time.Second {
		t.Errorf("at last %s", before)
	}
}
