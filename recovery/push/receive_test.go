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
			Program: s.Tools.Program("pg_receivewal"), Conninfo: conninfo, Env: env, Slot: "comeback", Dir: filepath.Join(work, "received"),
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
	o.Conninfo = strings.Replace(conninfo, s.Layout.Dir, "/nowhere", 1)
	o.Log = func(string) {}
	if err := push.Receive(t.Context(), o); err == nil || recovery.HintOf(err) == "" {
		t.Errorf("a server that is not there: %v", err)
	}
}
