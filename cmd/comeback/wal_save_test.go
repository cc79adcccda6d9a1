package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/pitr/backrest"
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
	// A copy into which another program archives for longer takes nothing of this.
	r.surveyed = func(cat *catalogue.Catalogue) {
		s, ok := cat.NewestLog("database")
		if !ok {
			t.Error("no copy holds a log")
		}
		s.Copy, s.Engine, s.Windows = "elsewhere", backrest.Name, slices.Clone(s.Windows)
		for i := range s.Windows {
			s.Windows[i].To.Time = s.Windows[i].To.Time.Add(time.Hour)
		}
		cat.Surveys = append(cat.Surveys, s)
	}
	saved := r.run(ctx, "wal", "save", book, "--from", wal)
	r.surveyed = nil
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

// Of two databases each has its log saved as the runbook says that it is kept: none is put into a
// copy beside what another program keeps there.
func TestWalSave_ofComponent(t *testing.T) {
	book := filepath.Join(t.TempDir(), "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\", ORDERS_URL: \"from the vault\"}\ncopies:\n  nearby: {url: %q}\ncomponents:\n"+
		"  database: {kind: postgres, url: \"${DATABASE_URL}\", prefix: database}\n  orders: {kind: postgres, with: dump, url: \"${ORDERS_URL}\", prefix: orders}\n---\n# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: [database, orders]\n```\n",
		"file://"+t.TempDir())
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, none := newRig(t), t.TempDir()
	r.environ["DATABASE_URL"], r.environ["ORDERS_URL"] = "postgres://localhost/shop", "postgres://localhost/orders"
	r.run(t.Context(), "wal", "save", book, "orders", "--from", none, "--copy", "nearby").has(t, recovery.Refused, "backups of orders are `with: dump`, to which no log can be saved", "next:")
	r.run(t.Context(), "wal", "save", book, "database", "--from", none, "--copy", "nearby").has(t, recovery.Usage, "holds no segment of a PostgreSQL log")
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
