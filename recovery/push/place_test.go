package push_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/push"
	"comeback/storage"
)

// No two components share a spool, whatever they and their systems are called, nor what is
// received beside it.
func TestSpoolIn(t *testing.T) {
	seen := map[string]bool{}
	for _, of := range [][2]string{{"shop", "archive-db"}, {"shop-archive", "db"}, {"shop", "archive-db-received"}, {"shop-archive", "db-received"}, {"shop.archive", "db"}, {"shop", "archive.db"}} {
		spool := push.SpoolIn("/state", of[0], of[1])
		for _, dir := range []string{spool, push.ReceivedBeside(spool)} {
			if seen[dir] {
				t.Errorf("%s of %s is another's, too", dir, of)
			}
			seen[dir] = true
		}
	}
}

// What an earlier version has left in the spool comes to the copies that lack it, and is
// taken by nobody whose copies they are not.
func TestMoveSpool(t *testing.T) {
	h := newHost(t, 2)
	state := filepath.Join(h.dir, "state")
	o := dirOptions(h.dir)
	o.Spool = push.FormerSpoolIn(state, "shop", "archive-db")
	down := o.Copies[1]
	o.Copies[1].Open = func(context.Context) (storage.Store, error) { return nil, errors.New("down") }
	for _, name := range h.names {
		if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
			t.Fatal(err)
		}
	}
	there := func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	if err := push.MoveSpool(t.Context(), state, "shop-archive", "db", []string{"nearby", "elsewhere"}); err != nil || !there(o.Spool) {
		t.Fatalf("another system took it: %v", err)
	}
	for range 2 {
		if err := push.MoveSpool(t.Context(), state, "shop", "archive-db", []string{"nearby", "offsite"}); err != nil || there(o.Spool) {
			t.Fatalf("it is not moved: %v", err)
		}
	}
	o.Spool, o.Copies[1] = push.SpoolIn(state, "shop", "archive-db"), down
	if n, err := push.CatchUp(t.Context(), o); n != 2 || err != nil {
		t.Errorf("brought %d, %v", n, err)
	}
	for _, name := range h.names {
		if !there(filepath.Join(h.dir, "offsite", "wal", name+".zst")) {
			t.Errorf("the copy lacks %s", name)
		}
	}
	// Where there is one of now, an earlier one that comes later stays beside.
	former := push.FormerSpoolIn(state, "shop", "archive-db")
	if err := errors.Join(os.MkdirAll(former, 0o700), push.MoveSpool(t.Context(), state, "shop", "archive-db", nil)); err != nil || !there(former) {
		t.Errorf("%v", err)
	}
}

// What an earlier version receives is not taken from under it.
func TestMoveReceived(t *testing.T) {
	state := t.TempDir()
	former := push.ReceivedBeside(push.FormerSpoolIn(state, "shop", "database"))
	if err := errors.Join(push.MoveReceived(state, "shop", "database"), os.MkdirAll(former, 0o700), os.WriteFile(filepath.Join(former, "000000010000000000000003.partial"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	under, done := make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := push.ReceiveOptions{Options: dirOptions(t.TempDir()), Slot: "comeback", Dir: former, Log: func(string) {},
		Server: func(ctx context.Context) (push.Server, error) {
			close(under)
			<-ctx.Done()
			return push.Server{}, ctx.Err()
		}}
	go func() { done <- push.Receive(ctx, o) }()
	<-under
	if err := push.MoveReceived(state, "shop", "database"); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("while it is at work: %v", err)
	}
	stop()
	<-done
	if err := push.MoveReceived(state, "shop", "database"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(push.ReceivedBeside(push.SpoolIn(state, "shop", "database")), "000000010000000000000003.partial")); err != nil {
		t.Error(err)
	}
}
