package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/storage"
	"comeback/storagetest"
)

// A copy as they are: dumps of every form among everything else.
func TestSurvey_FindsByContentAndName(t *testing.T) {
	plain := plainDump("15.4 (Debian 15.4-1)", rows)
	custom := dumpOf(t, "shop", "--format=custom")
	globals := program(t, "pg_dumpall", "--globals-only", "--dbname", source.URL("postgres"))
	large := largeDump()
	store := directory(t, map[string][]byte{
		"db/2026-11-20.sql":                            plain,
		"db/2026-11-21.sql.gz":                         gz(t, plain),
		"db/2026-11-22.sql.gz":                         {},
		"db/2026-11-23.sql.gz":                         half(gz(t, plain)),
		"db/2026-11-24.sql":                            half(large),
		"db/globals.sql":                               globals,
		"db/mysql.sql.gz":                              gz(t, []byte("-- MySQL dump 10.13\n--\n")),
		"db/notes.sql":                                 []byte("select 1; -- by hand\n"),
		"db/after-globals.sql":                         slices.Concat(globals, plain),
		"db/after-globals.sql.gz":                      gz(t, slices.Concat(globals, plain)),
		"db/after-globals-large.sql":                   slices.Concat(globals, large),
		"db/after-globals-half.sql":                    slices.Concat(globals, half(large)),
		"db/after-globals-creates.sql":                 slices.Concat(globals, dumpOf(t, "shop", "--create")),
		"db/before-globals.sql":                        slices.Concat(plain, globals),
		"db/before-globals.sql.gz":                     gz(t, slices.Concat(plain, globals)),
		"db/before-globals-half.sql":                   slices.Concat(plain, half(globals)),
		"db/all-but-its-end.sql":                       bytes.Replace(program(t, "pg_dumpall", "--dbname", source.URL("postgres")), []byte("-- PostgreSQL database cluster dump complete"), nil, 1),
		"db/secret.sql.gz.age":                         []byte("age-encryption.org/v1\n-> X25519 abc\n"),
		"db/shop.dump":                                 custom,
		"db/shop.globals.sql":                          globals,
		"db/shop-20261122":                             zst(t, plain),
		"db/all.sql.zst":                               zst(t, program(t, "pg_dumpall", "--dbname", source.URL("postgres"))),
		"db/shop.tar":                                  dumpOf(t, "shop", "--format=tar"),
		"db/half.tar":                                  half(dumpOf(t, "shop", "--format=tar")),
		"db/dir/toc.dat":                               custom,
		"db/dir/3456.dat.gz":                           gz(t, []byte("\\.\n")),
		"db/torn/3456.dat.gz":                          gz(t, []byte("\\.\n")),
		"db/torn/3457.dat.gz":                          gz(t, []byte("\\.\n")),
		"uploads/a/1.jpg":                              []byte("\xff\xd8"),
		"uploads/a/dump":                               []byte("-- not one of PostgreSQL"),
		"uploads/b/photos.tar":                         make([]byte, 2048),
		"wal/000000010000000000000004.gz":              gz(t, plain),
		"wal/000000010000000000000004.00000028.backup": plain,
		"base/20261122/backup_label":                   []byte("START WAL LOCATION"),
		"base/20261122/base/5/1259":                    plain,
		"base/20261122/shop.sql":                       plain,
		"base/20261123/base.tar.gz":                    gz(t, plain),
		"base/20261123/16401.tar.gz":                   gz(t, plain),
		"db/empty/toc.dat":                             custom,
		"db/empty/3457.dat.gz":                         nil,
	})
	s := survey(t, component, store)
	got := map[string]string{}
	for _, b := range s.Backups {
		got[b.ID] = strings.TrimSuffix(b.Form+": "+b.Problem, ": ")
		if b.Component != "database" || b.Copy != "nearby" || b.Engine != "dump" || len(b.Objects) == 0 || b.Taken.To.IsZero() {
			t.Errorf("backup %+v", b)
		}
	}
	cut := ": it is cut off: the program that dumps was stopped in the middle"
	want := map[string]string{
		"db/2026-11-20.sql":    "plain SQL",
		"db/2026-11-21.sql.gz": "plain SQL, gzip",
		"db/2026-11-22.sql.gz": "not known: it is empty: the program that dumps failed and nobody noticed",
		"db/2026-11-23.sql.gz": "plain SQL, gzip" + cut,
		"db/2026-11-24.sql":    "plain SQL" + cut,
		"db/after-globals.sql": "plain SQL", "db/after-globals.sql.gz": "plain SQL, gzip", "db/after-globals-large.sql": "plain SQL", "db/after-globals-half.sql": "plain SQL" + cut,
		"db/after-globals-creates.sql": "plain SQL of a whole cluster", "db/before-globals.sql": "plain SQL", "db/before-globals.sql.gz": "plain SQL, gzip",
		"db/before-globals-half.sql": "plain SQL" + cut, "db/all-but-its-end.sql": "plain SQL of a whole cluster" + cut,
		"db/shop.dump":     "custom archive",
		"db/shop-20261122": "plain SQL, zstd",
		"db/all.sql.zst":   "plain SQL of a whole cluster, zstd",
		"db/shop.tar":      "tar archive",
		"db/half.tar":      "tar archive: it is cut off: the empty blocks at the end of a tar archive are missing",
		"db/dir":           "directory archive",
		"db/empty":         "directory archive: 3457.dat.gz is empty, which no table's file is: the dump was not written or not stored to its end",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	findings := map[string]string{}
	for _, f := range s.Findings {
		findings[f.Object] = f.Says
	}
	wantFindings := map[string]string{
		"db/globals.sql":       "holds only roles and tablespaces (pg_dumpall --globals-only)",
		"db/mysql.sql.gz":      "cannot be restored: it is a dump of MySQL",
		"db/notes.sql":         "is not a dump of PostgreSQL",
		"db/secret.sql.gz.age": "cannot be restored: it is encrypted with age",
		"db/torn":              "looks like a directory archive of pg_dump without its toc.dat: the dump did not end",
	}
	if diff := cmp.Diff(wantFindings, findings); diff != "" {
		t.Error(diff)
	}
	for _, b := range s.Backups {
		switch b.ID {
		case "db/2026-11-20.sql":
			if b.Details["server version"] != "15.4 (Debian 15.4-1)" || b.Details["pg_dump version"] == "" {
				t.Errorf("details %v", b.Details)
			}
		case "db/shop.dump", "db/shop.tar":
			if want := map[bool]string{true: "db/shop.globals.sql"}[b.ID == "db/shop.dump"]; b.Details["roles"] != want {
				t.Errorf("the roles of %s lie in %q", b.ID, b.Details["roles"])
			}
			if b.Details["database"] != "shop" || b.Taken.From.IsZero() {
				t.Errorf("details %v, taken %v", b.Details, b.Taken)
			}
		case "db/dir":
			if len(b.Objects) != 2 {
				t.Errorf("objects %v", b.Objects)
			}
		}
	}
}

func TestSurvey_PrefixAndDatabase(t *testing.T) {
	custom := dumpOf(t, "shop", "--format=custom")
	store := directory(t, map[string][]byte{"shop/a.dump": custom, "billing/b.dump": custom, "shop/c.sql": plainDump("15.1", rows)})
	for name, test := range map[string]struct {
		settings recovery.Settings
		want     string
	}{
		"all":              {nil, "billing/b.dump shop/a.dump shop/c.sql"},
		"prefix":           {recovery.Settings{"prefix": {"shop/"}}, "shop/a.dump shop/c.sql"},
		"another database": {recovery.Settings{"database": {"billing"}}, "shop/c.sql"},
		"its database":     {recovery.Settings{"database": {"shop"}}, "billing/b.dump shop/a.dump shop/c.sql"},
	} {
		t.Run(name, func(t *testing.T) {
			c := component
			c.Settings = test.settings
			found := map[string]bool{}
			for _, b := range survey(t, c, store).Backups {
				found[b.ID] = true
			}
			want := map[string]bool{}
			for _, id := range strings.Fields(test.want) {
				want[id] = true
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Years of nightly dumps among a hundred thousand uploads: the newest are
// opened, the others judged by them, and looked at when they are chosen.
func TestSurvey_IsProportionate(t *testing.T) {
	dir := t.TempDir()
	write := func(key string, content []byte, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	zipped := gz(t, plainDump("15.1", rows))
	first := time.Date(2024, 1, 1, 2, 0, 0, 0, time.UTC)
	for n := range 400 {
		night := first.AddDate(0, 0, n)
		content := zipped
		if n == 7 {
			content = []byte("something else")
		}
		write("db/"+night.Format(time.DateOnly)+".sql.gz", content, night)
	}
	for n := range 3000 {
		write(fmt.Sprintf("uploads/%d/%d", n%50, n), []byte("x"), first)
	}
	plain, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := storagetest.NewFaulty(plain)
	s := survey(t, component, store)
	if n := store.Calls(storagetest.OnOpen); n > 60 {
		t.Errorf("%d objects were opened", n)
	}
	if len(s.Backups) != 400 {
		t.Fatalf("%d dumps of 400", len(s.Backups))
	}
	if oldest, newest := s.Backups[0], s.Backups[399]; oldest.Details["judged"] == "" || newest.Details["judged"] != "" || newest.Details["server version"] != "15.1" {
		t.Errorf("oldest %v, newest %v", oldest.Details, newest.Details)
	}
	e := dump.New(dump.Options{})
	for name, want := range map[string]string{"db/2024-01-05.sql.gz": "", "db/2024-01-08.sql.gz": "not a dump of PostgreSQL"} {
		p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantBackup, Backup: name, Text: name}, store)
		if want == "" && (err != nil || p.Backup.Details["server version"] != "15.1" || p.Backup.Details["judged"] != "") {
			t.Errorf("%s: %v, %v", name, p.Backup.Details, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The time that lands on the wrong one takes the night before.
	at := first.AddDate(0, 0, 7).Add(time.Hour)
	p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: at, Text: at.Format(time.RFC3339)}, store)
	if err != nil || p.Backup.ID != "db/2024-01-07.sql.gz" || !strings.Contains(strings.Join(p.Warnings, " "), "passed over 1 newer dump") {
		t.Errorf("%s, %v, %v", p.Backup.ID, p.Warnings, err)
	}
}

// A copy that cannot be judged is an error, and keeps its kind.
func TestSurvey_CopyThatRefuses(t *testing.T) {
	objects := map[string][]byte{"a.sql": plainDump("15.1", rows), "b.sql": plainDump("15.1", rows)}
	for name, test := range map[string]struct {
		fault storagetest.Fault
		want  error
	}{
		"list denied":  {storagetest.Fault{Op: storagetest.OnList, Err: storagetest.Denied}, storage.ErrDenied},
		"read denied":  {storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Denied}, storage.ErrDenied},
		"read expired": {storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Expired}, storage.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dump.New(dump.Options{}).Survey(t.Context(), component, recovery.Copy{Name: "nearby"}, storagetest.NewFaulty(directory(t, objects), test.fault))
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	t.Run("one object changes", func(t *testing.T) {
		store := storagetest.NewFaulty(directory(t, objects), storagetest.Fault{Op: storagetest.OnOpen, Key: "a.sql", Err: storagetest.Changed})
		s := survey(t, component, store)
		if len(s.Backups) != 2 || s.Backups[0].Problem == "" && s.Backups[1].Problem == "" {
			t.Errorf("backups %+v", s.Backups)
		}
	})
	t.Run("one object lies in an archive", func(t *testing.T) {
		s := survey(t, component, storagetest.Archive(directory(t, objects), func(key string) bool { return key == "a.sql" }))
		if a, _ := s.Named("a.sql"); len(s.Backups) != 2 || !strings.Contains(a.Problem, "in an archive") || a.InArchive().Objects != 1 {
			t.Errorf("backups %+v", s.Backups)
		}
	})
	t.Run("a directory is removed", func(t *testing.T) {
		store := storagetest.NewFaulty(directory(t, map[string][]byte{"a.sql": objects["a.sql"], "dir/toc.dat": []byte("PGDMP"), "dir/1.dat": []byte(rows)}),
			storagetest.Fault{Op: storagetest.OnOpen, Key: "dir/toc.dat", Err: storagetest.Changed})
		s := survey(t, component, store)
		if len(s.Backups) != 2 || !strings.Contains(s.Backups[0].Problem+s.Backups[1].Problem, "while the copy was surveyed") {
			t.Errorf("backups %+v", s.Backups)
		}
	})
	t.Run("context ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := dump.New(dump.Options{}).Survey(ctx, component, recovery.Copy{Name: "nearby"}, directory(t, objects)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
