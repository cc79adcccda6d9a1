package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"

	"github.com/jackc/pgx/v5"
)

// The server died: what it had not archived is saved first, a recovery without a
// session takes the place of its data directory, and nothing that was committed is
// lost. Then the whole directory is gone, as on a fresh host: the next recovery
// gives the restored one its name, with the configuration of the backup.
func TestRecover_serverDied(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	t.Cleanup(func() { halt(t, l) })
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"alter system set archive_timeout = 0", "select pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(ctx)
	if err := l.Write(ctx, 7); err != nil {
		t.Fatal(err)
	}
	truth := rowsOf(t, l.URL())
	r := newRig(t).live(l)
	path := clusterRunbook(t, l, truth, fmt.Sprintf(", data: %q", l.Cluster()))
	name := clusterTarget(t, l)
	recovers := func(code recovery.Exit) output {
		t.Helper()
		got := r.run(ctx, "recover", path, "--plain", "--to", "latest", "--confirm", name, "--outage", "1 minute ago")
		if got.code != code {
			t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
		}
		return got
	}
	kill(t, l.Cluster())
	if got := r.run(ctx, "wal", "save", path, "--from", filepath.Join(l.Cluster(), "pg_wal")); got.code != 0 {
		t.Fatalf("save the rest of the log: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	// Its address may lead to what passes sessions on to it, so that another host is a warning.
	address := r.environ["DATABASE_URL"]
	r.environ["DATABASE_URL"] = "postgres://postgres:hunter2@db1.invalid/shop"
	if p := r.planned(t, "recover", path, "--to", "latest"); !slices.ContainsFunc(p.Warnings, func(says string) bool {
		return strings.HasPrefix(says, "database: its server is down, and its address leads to db1.invalid, which is not this machine") && strings.Contains(says, "let ${DATABASE_URL} name this machine")
	}) {
		t.Errorf("the plan does not warn: %q", p.Warnings)
	}
	r.environ["DATABASE_URL"] = address
	got := recovers(recovery.CameBack)
	if !strings.Contains(got.out, "the server is down (in production)") {
		t.Errorf("it does not say that the server is down\n%s", got.out)
	}
	if !slices.Equal(rowsOf(t, l.URL()), truth) {
		t.Error("what was committed is not there")
	}
	first := r.lastState(t)
	if len(first.Old) != 1 || len(first.Losses) != 1 || first.Losses[0].Commits != 0 || !first.Losses[0].Final {
		t.Errorf("old data %+v, losses %+v", first.Old, first.Losses)
	}

	halt(t, l)
	if err := os.Rename(l.Cluster(), l.Cluster()+".lost"); err != nil {
		t.Fatal(err)
	}
	// Another copy has gone away meanwhile: came back, not protected.
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(b), "copies:\n", "copies:\n  offsite: {url: \"file:///nowhere/offsite\"}\n", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Where its address leads to the host that died, it would be restored, started here, and
	// asked for there: that is told with the plan.
	r.environ["DATABASE_URL"] = "postgres://postgres:hunter2@db1.invalid/shop"
	dead := recovers(recovery.Refused)
	if says := dead.out + dead.err; !strings.Contains(says, "leads to db1.invalid, which is not this machine") || !strings.Contains(says, "let ${DATABASE_URL} name this machine") || strings.Contains(says, "hunter2") {
		t.Errorf("it does not say where its address leads\n%s", says)
	}
	r.environ["DATABASE_URL"] = address
	got = recovers(recovery.WithExceptions)
	if !strings.Contains(got.out, "nothing is there yet") {
		t.Errorf("it does not say that there is nothing\n%s", got.out)
	}
	if !slices.Equal(rowsOf(t, l.URL()), truth) {
		t.Error("on a fresh host, what was committed is not there")
	}
	s := r.lastState(t)
	if len(s.Old) != 0 || len(s.Held()) != 0 {
		t.Errorf("old data %+v, held %+v", s.Old, s.Held())
	}
	// Nothing tells where the log of the lost directory ended.
	if len(s.Losses) != 1 || s.Losses[0].Final || !s.Losses[0].Stopped {
		t.Errorf("losses %+v", s.Losses)
	}
	lacks := s.Unprotected()
	if len(lacks) != 2 || !strings.Contains(lacks[0], "copy offsite could not be asked") || !strings.Contains(lacks[1], "the new base backup is not in the copy offsite") {
		t.Errorf("not protected: %q", lacks)
	}
	if base := s.Step("database.base"); base.Outcome.Facts["copies"] != "nearby" {
		t.Errorf("the new base backup: %s", base.Outcome.Says)
	}
}

// lastState is how the newest run stands.
func (r *rig) lastState(t *testing.T) recovery.State {
	t.Helper()
	runs, err := os.ReadDir(filepath.Join(r.state, "runs"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("runs: %v, %v", runs, err)
	}
	var newest recovery.State
	for _, run := range runs {
		if s := r.stateOf(t, run.Name()); s.Started.After(newest.Started) {
			newest = s
		}
	}
	return newest
}

// kill ends a server at once, as a power failure does.
func kill(t *testing.T, data string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	limit := time.After(3 * time.Minute) // only how long a failure takes
	for {
		left, err := postgres.Processes(data) // its children notice
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		ended, err := afterProcess(left[0])
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-limit:
			t.Fatal("the server does not end")
		}
	}
}

// The server of a database is gone, and nothing else of its host is left: the recovery is
// refused with the ways without it, and with how its runbook becomes a file. The way into
// another server leads there: an empty database of it is replaced by what was lost.
func TestRecover_anotherServer(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	r := newRig(t)
	path := liveRunbook(t, l, l.before)
	recovers := func(book string, args ...string) output {
		return r.run(t.Context(), append([]string{"recover", book, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--outage", "1 minute ago"}, args...)...)
	}
	r.environ["DATABASE_URL"] = "postgres://localhost:1/shop"
	recovers(path, "--dry-run").has(t, recovery.Failed, "the live server cannot be asked", "`into: hand-over`", "`into: cluster` with data:", "an empty database of that name")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored := filepath.Join(l.Copy(), "comeback", "runbooks", "shop", "20261101T000000Z-"+sumOf(text)+".md")
	if err := os.MkdirAll(filepath.Dir(stored), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stored, text, 0o600); err != nil {
		t.Fatal(err)
	}
	recovers("file://"+stored, "--dry-run").has(t, recovery.Failed, "`into: hand-over`", "cp "+stored+" shop.md, then give that")

	another := newProduction(t)
	address := strings.Replace(another.conninfo(), "dbname=postgres", "dbname=shop", 1)
	r.environ["DATABASE_URL"] = address
	recovers(path, "--confirm", target(t)).has(t, recovery.Refused, "has no database", "make it there, empty")
	another.exec(t, "create database shop")
	recovers(path, "--confirm", target(t)).has(t, recovery.WithExceptions, "not protected: database: archive_mode is off")
	if !slices.Equal(rowsOf(t, address), l.before) {
		t.Error("what was lost is not there")
	}
	s := r.lastState(t)
	if s.Step("database.push") != nil || len(s.Unprotected()) == 0 || len(s.Losses) != 1 || s.Losses[0].Final {
		t.Errorf("not protected: %q, losses %+v", s.Unprotected(), s.Losses)
	}
}
