package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// received is a receiver in a process of its own.
type received struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func (r *rig) receives(t *testing.T, book string) *received {
	t.Helper()
	cmd := exec.Command(executable(), "wal", "receive", book)
	cmd.Env = append(r.env(), "COMEBACK_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return &received{t, cmd, bufio.NewScanner(stderr)}
}

// until reads what it says up to a text.
func (r *received) until(text string) {
	r.t.Helper()
	var said []string
	for r.lines.Scan() {
		if said = append(said, r.lines.Text()); strings.Contains(r.lines.Text(), text) {
			return
		}
	}
	r.cmd.Wait()
	r.t.Fatalf("it ended without saying %q:\n%s", text, strings.Join(said, "\n"))
}

// ends gives its exit code.
func (r *received) ends() int {
	for r.lines.Scan() {
		r.t.Log(r.lines.Text())
	}
	r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

// A receiver brings every segment into the copies, whoever dies meanwhile: it itself, or
// the server's end of it.
func TestWALReceive(t *testing.T) {
	t.Parallel()
	s, r, place := shoptest.Open(t, shop.Options{Scale: 20, Seed: 9}), newRig(t), t.TempDir()
	r.environ["DATABASE_URL"] = s.Layout.URL("postgres", "postgres")
	text := "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n"
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(place, name), 0o700); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s: {url: \"file://%s\"}\n", name, filepath.Join(place, name))
	}
	text += "components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", receiver: comeback, quorum: 2}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n"
	book := filepath.Join(place, "shop.md")
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), r.environ["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	// follows waits until somebody receives through the slot, or until nobody uses it any
	// more. It is in use for a moment when it is made, too.
	follows := func(want bool) {
		t.Helper()
		for is := !want; is != want; {
			if err := conn.QueryRow(t.Context(), `select exists (select from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
				where s.slot_name = 'comeback' and s.active and (not $1 or r.state = 'streaming'))`, want).Scan(&is); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all []string
	closed := func() string {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "select pg_logical_emit_message(true, 'comeback', 'a line')"); err != nil {
			t.Fatal(err)
		}
		name, err := postgres.CloseSegment(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
		return name
	}
	inCopies := func(name string) string { return name + " is in the copies" }

	first := r.receives(t, book)
	follows(true)
	first.until(inCopies(closed()))
	r.run(t.Context(), "wal", "receive", book).has(t, recovery.Refused, "another receiver is at work")
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.ends()
	follows(false)
	closed() // nobody receives

	second := r.receives(t, book)
	second.until(inCopies(closed()))
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = 'comeback'"); err != nil {
		t.Fatal(err)
	}
	second.until("the receiver has ended")
	if code := second.ends(); code != int(recovery.Failed) {
		t.Errorf("the server has ended it: exit %d", code)
	}
	closed()
	follows(false)

	third := r.receives(t, book)
	third.until(inCopies(closed()))
	if err := third.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := third.ends(); code != int(recovery.CameBack) {
		t.Errorf("asked to end: exit %d", code)
	}
	for _, copy := range []string{"a", "b"} {
		for _, name := range all {
			if _, err := os.Stat(filepath.Join(place, copy, "wal", name+".zst")); err != nil {
				t.Errorf("%s lacks %s: %v", copy, name, err)
			}
		}
	}
}

// What was received comes into the copies also when the server is gone for good; until
// then everybody is told where it lies who looks for it.
func TestWALReceive_serverGone(t *testing.T) {
	t.Parallel()
	r, place := newRig(t), t.TempDir()
	book := filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  a: {url: \"file://%s/a\"}\n"+
		"components:\n  database: {kind: postgres, url: \"postgres://app@127.0.0.1:1/shop\", receiver: comeback}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n", place)
	dir := filepath.Join(r.state, "spool", "shop-database-received")
	names := []string{"000000010000000000000001", "000000010000000000000002"}
	err := errors.Join(os.Mkdir(filepath.Join(place, "a"), 0o700), os.WriteFile(book, []byte(text), 0o600), os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "000000010000000000000003.partial"), nil, 0o600))
	for _, name := range names {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	save := "comeback wal save " + book + " --from " + dir + " database"
	for _, args := range [][]string{{"moments", book}, {"recover", book, "--to", "latest", "--confirm", "shop"}, {"check", book}} {
		out := r.run(t.Context(), args...)
		if both := strings.Join(strings.Fields(out.out+out.err), " "); !strings.Contains(both, "2 finished segments") || !strings.Contains(both, save) {
			t.Errorf("comeback %s does not tell of what was received:\n%s\n%s", strings.Join(args, " "), out.out, out.err)
		}
	}
	r.run(t.Context(), "wal", "receive", book).has(t, recovery.Failed, "127.0.0.1")
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(place, "a", "wal", name+".zst")); err != nil {
			t.Errorf("the copy lacks it: %v", err)
		}
	}
}

// Where the runbook does not tell where the database lives, no other server's log is received
// in its place: not that of one at the usual address of this host either.
func TestWALReceive_nowhere(t *testing.T) {
	book := filepath.Join(t.TempDir(), "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: %q}\ncomponents:\n  database: {kind: postgres}\n---\n# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: database\n```\n",
		"file://"+t.TempDir())
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	newRig(t).run(t.Context(), "wal", "receive", book, "--slot", "comeback").has(t, recovery.Usage, "the runbook does not tell where the live database is", "next: give the component its `url` in the runbook")
}

// A recovery of a server whose log is received is protected again by that: the segments that
// it closes come into the copies.
func TestRecover_received(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	l.asRoot(t, "alter system set archive_mode = off")
	if err := l.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { halt(t, l) })
	r := newRig(t).live(l)
	path := liveRunbook(t, l, l.before)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), `url: "${DATABASE_URL}"`, `url: "${DATABASE_URL}", receiver: comeback`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	receiver := r.receives(t, path)
	said := make(chan int, 1)
	go func() { said <- receiver.ends() }()
	r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t), "--outage", "1 minute ago").has(t, recovery.CameBack)
	if s := r.lastState(t); len(s.Unprotected()) > 0 || s.Step("database.protect") == nil {
		t.Errorf("not protected: %q", s.Unprotected())
	}
	if err := receiver.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-said; code != int(recovery.CameBack) {
		t.Errorf("the receiver: exit %d", code)
	}
}
