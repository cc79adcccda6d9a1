package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// killShop ends the shop's server at once, as a power failure does.
func killShop(t *testing.T, s *shop.Shop) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Cluster(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A server is killed whose last segment was never archived: its log is saved into
// the copy, the window goes on to its last commit, and a rehearsal reaches it.
func TestWalSave(t *testing.T) {
	s, r := shoptest.Open(t, shop.Options{Scale: 100, Seed: 4}), newRig(t)
	ctx := t.Context()
	if _, err := s.Backup(ctx, shop.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	// On a slow machine the server would archive by itself what is not to be there.
	conn, err := pgx.Connect(ctx, s.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"alter system set archive_timeout = 0", "select pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(ctx)
	for _, step := range []func() error{func() error { return s.Write(ctx, 20) }, func() error { return s.Archived(ctx) }, func() error { return s.Write(ctx, 10) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want, err := digests(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	commits := s.Commits()
	last := commits[len(commits)-1]
	killShop(t, s)
	wal := filepath.Join(s.Cluster(), "pg_wal")
	r.environ["DATABASE_URL"] = s.URL()
	book := runbook(t, fmt.Sprintf("{url: %q}", s.CopyURL()), want, "")
	until := func() string {
		got := r.run(ctx, "moments", book, "--utc")
		got.has(t, recovery.CameBack, "how far the live server is, is not known")
		m := regexp.MustCompile(`archived until (\S+ \S+);`).FindStringSubmatch(got.out)
		if m == nil {
			t.Fatalf("until when is not said:\n%s", got.out)
		}
		return m[1]
	}
	before := until()
	saved := r.run(ctx, "wal", "save", book, "--from", wal)
	saved.has(t, recovery.CameBack, "saved  wal/", ".partial")
	// The server's own transactions come on top of the shop's.
	m := regexp.MustCompile(`last commit xid (\d+) of`).FindStringSubmatch(saved.out)
	if m == nil {
		t.Fatalf("the last commit is not said:\n%s", saved.out)
	}
	if xid, err := strconv.ParseUint(m[1], 10, 32); err != nil || recovery.XID(xid) < last.XID {
		t.Errorf("the last commit is %s, want %d", m[1], last.XID)
	}
	if after := until(); after < before { // both within one second, where the shop died at once
		t.Errorf("archived until %s before, and until %s after", before, after)
	}
	r.run(ctx, "wal", "save", book, "database", "--from", wal, "--copy", "nearby").has(t, recovery.CameBack, "the copy has all of the log already")
	r.run(ctx, "rehearse", book, "--to", "latest", "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD")
}

// What was asked for wrongly is said, with what to write.
func TestWalSave_refused(t *testing.T) {
	l, r, book := momentsRig(t)
	for _, test := range []struct {
		args []string
		exit recovery.Exit
		says string
	}{
		{nil, recovery.Usage, "needs RUNBOOK"},
		{[]string{book}, recovery.Usage, "needs --from"},
		{[]string{book, "a", "b", "--from", "/x"}, recovery.Usage, "not 3 words"},
		{[]string{book, "files", "--from", "/x"}, recovery.Usage, "no database \"files\""},
		{[]string{book, "--from", t.TempDir(), "--copy", "other"}, recovery.Usage, "no copy \"other\""},
		{[]string{book, "--from", filepath.Join(t.TempDir(), "pg_wal")}, recovery.Usage, "no such file"},
		{[]string{book, "--from", l.Uploads()}, recovery.Usage, "holds no segment of a PostgreSQL log"},
	} {
		r.run(t.Context(), append([]string{"wal", "save"}, test.args...)...).has(t, test.exit, test.says, "next:")
	}
	r.run(t.Context(), "wal", "fetch", "--wrong").has(t, fetchFailed, "wal fetch")
	r.run(t.Context(), "wal", "--help").has(t, recovery.CameBack, "save", "Save the log that a dead server had not archived")
}
