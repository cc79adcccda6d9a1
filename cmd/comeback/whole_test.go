package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// A system whose parts belong together is green, and it goes red when any single
// file, row, setting or commit is off by one.
func TestRehearse_whole(t *testing.T) {
	t.Parallel()
	s := shoptest.Open(t, shop.Options{Scale: 50, Seed: 3})
	r := newRig(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r.environ["DATABASE_URL"], r.environ["CONFIG_IDENTITY"] = s.URL(), identity.String()
	r.environ["APP_DIR"] = s.App()
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Furnish(t.Context()))
	_, err = s.Backup(t.Context(), shop.BackupOptions{})
	must(err)
	first, err := os.ReadFile(filepath.Join(s.Copy(), "code", "deploys"))
	must(err)
	_, err = s.Deploy(t.Context(), "the second version")
	must(err)
	must(s.Write(t.Context(), 20))
	// The application is started where nothing is wrong; what is wrong shows before.
	write := func(name string, noShell bool) string {
		t.Helper()
		text, err := s.Runbook(shop.RunbookOptions{Whole: true, NoShell: noShell})
		must(err)
		path := filepath.Join(t.TempDir(), name)
		must(os.WriteFile(path, text, 0o600))
		return path
	}
	started, book := write("shop.md", false), write("parts.md", true)

	// change applies a change to a file and gives what takes it back.
	change := func(path string, to func([]byte) []byte) func() {
		t.Helper()
		old, err := os.ReadFile(path)
		must(err)
		must(os.WriteFile(path, to(bytes.Clone(old)), 0o600))
		return func() { must(os.WriteFile(path, old, 0o600)) }
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	var upload string
	must(filepath.WalkDir(s.Uploads(), func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && upload == "" {
			upload = p
		}
		return err
	}))
	var key string
	must(conn.QueryRow(t.Context(), "select path from uploads order by path desc limit 1").Scan(&key))
	checks := []string{"every upload has its file", "the configuration belongs to it", "the code belongs to it"}
	for _, c := range []struct {
		name string
		// harm happens before the backup, and is undone; sql is the last commit
		// before the moment.
		harm func() (undo func())
		sql  string
		red  string
	}{
		{name: "as it was"},
		{name: "a bit of a file", harm: func() func() { return change(upload, flip) }, red: "every upload has its file"},
		{name: "a file less", harm: func() func() {
			undo := change(upload, flip)
			must(os.Remove(upload))
			return undo
		}, red: "every upload has its file"},
		{name: "a row less", sql: "delete from uploads where path = '" + key + "'", red: "every upload has its file"},
		{name: "a character of a setting", harm: func() func() { return change(filepath.Join(s.Settings(), "shop.conf"), flip) }, sql: "select 1", red: "the configuration belongs to it"},
		{name: "a commit before", harm: func() func() {
			deploys := filepath.Join(s.Copy(), "code", "deploys")
			return change(deploys, func([]byte) []byte { return first })
		}, red: "the code belongs to it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			undo := func() {}
			if c.harm != nil {
				undo = c.harm()
			}
			_, _, err := s.BackupFiles(t.Context(), identity.Recipient().String())
			must(err)
			tx, err := conn.Begin(t.Context())
			must(err)
			var xid uint64
			must(tx.QueryRow(t.Context(), "select pg_current_xact_id()::text::bigint").Scan(&xid))
			if c.sql != "" {
				_, err = tx.Exec(t.Context(), c.sql)
				must(err)
			}
			must(tx.Commit(t.Context()))
			if strings.HasPrefix(c.sql, "delete") {
				// As it was again, after the moment.
				b, err := os.ReadFile(filepath.Join(s.Uploads(), key))
				must(err)
				_, err = conn.Exec(t.Context(), "insert into uploads (path, sha256, bytes, customer_id) values ($1, encode(sha256($2), 'hex'), $3, 1)", key, b, len(b))
				must(err)
			}
			must(s.Archived(t.Context()))
			with := book
			if c.red == "" {
				with = started
			}
			got := r.run(t.Context(), "rehearse", with, "--plain", "--to", fmt.Sprintf("after-xid:%d", xid))
			undo()
			want := recovery.CameBack
			if c.red != "" {
				want = recovery.Failed
			}
			if got.code != want {
				t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
			}
			if c.red == "" && (!strings.Contains(got.out, "the shop was stopped, and nothing of it is left") || !strings.Contains(got.out, "the shop is open: expected ")) {
				t.Errorf("the application was not started, asked and stopped:\n%s", got.out)
			}
			for _, check := range checks {
				held := strings.Contains(got.out, check+": expected ")
				if held != (check != c.red) {
					t.Errorf("%q held: %t\n%s", check, held, got.out)
				}
			}
		})
	}
	runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*", "artifacts", "*.differences.txt"))
	if err != nil || len(runs) != 5 {
		t.Errorf("lists of differences: %v, %v", runs, err)
	}
	// No secret of the configuration is in anything that was recorded.
	secret, err := os.ReadFile(filepath.Join(s.Settings(), "secrets", "session"))
	must(err)
	for _, hidden := range []string{strings.TrimSpace(string(secret)), identity.String()} {
		must(filepath.WalkDir(r.state, func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(p)
			if bytes.Contains(b, []byte(hidden)) {
				t.Errorf("%s holds a secret", p)
			}
			return err
		}))
	}
}
