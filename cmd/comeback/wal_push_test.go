package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/schedule"
)

// With `quorum: 2` of three copies a segment is archived while one is away, and not while
// two are; the one that was away gets it when it is back.
func TestWALPush_quorum(t *testing.T) {
	t.Parallel()
	ctx, r, place := t.Context(), newRig(t), t.TempDir()
	const segment = "000000010000000000000001"
	path, book := filepath.Join(place, "pg_wal", segment), filepath.Join(place, "shop.md")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(place, from), filepath.Join(place, to)); err != nil {
			t.Fatal(err)
		}
	}
	copies := ""
	for _, name := range []string{"pg_wal", "a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(place, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if name != "pg_wal" {
			copies += fmt.Sprintf("  %s: {url: \"file://%s\"}\n", name, filepath.Join(place, name))
		}
	}
	text := "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n" + copies +
		"components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", quorum: 2}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n"
	for file, b := range map[string][]byte{book: []byte(text), path: bytes.Repeat([]byte("log"), 5000)} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(place, name, "wal", segment+".zst")); err != nil {
				t.Errorf("%s has not got it: %v", name, err)
			}
		}
	}
	move("b", "b.away")
	move("c", "c.away")
	r.run(ctx, "wal", "push", book, path).has(t, recovery.Failed)
	move("b.away", "b")
	r.ahead = 2 * time.Minute // one that did not answer is left alone for a while
	r.run(ctx, "wal", "push", book, path).has(t, recovery.CameBack)
	has("a", "b")
	r.run(ctx, "wal", "push", book, "--catch-up").has(t, recovery.Failed)
	move("c.away", "c")
	r.run(ctx, "wal", "push", book, "--catch-up").has(t, recovery.CameBack, "brought 1 file")
	has("a", "b", "c")
}

// The jobs of a host with two databases are commands that hold for both: none is refused
// for what is written in it, and what waits for a copy comes to it, of either database.
func TestSchedule_twoDatabases(t *testing.T) {
	ctx, r, place := t.Context(), newRig(t), t.TempDir()
	r.environ["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/shop"
	const segment = "000000010000000000000001"
	book := filepath.Join(place, "shop.md")
	text := "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nrehearse: 90d\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n"
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(place, name), 0o700); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s: {url: \"file://%s\"}\n", name, filepath.Join(place, name))
	}
	text += "components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", retain: [7 daily]}\n  ledger: {kind: postgres, url: \"${DATABASE_URL}\", prefix: ledger/}\n" +
		"  old: {kind: postgres, url: \"${DATABASE_URL}\", prefix: old/}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: [database, ledger, old]\n```\n"
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// One copy is away while both archive; `old` archives nothing here.
	away := filepath.Join(place, "b.away")
	if err := os.Rename(filepath.Join(place, "b"), away); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"database", "ledger"} {
		path := filepath.Join(place, name, "pg_wal", segment)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, bytes.Repeat([]byte(name), 5000), 0o600)); err != nil {
			t.Fatal(err)
		}
		r.run(ctx, "wal", "push", book, path).has(t, recovery.Usage, "--component")
		r.run(ctx, "wal", "push", book, path, "--component", name).has(t, recovery.CameBack)
	}
	b, _, err := r.app(io.Discard, io.Discard).open(ctx, book)
	if err != nil {
		t.Fatal(err)
	}
	options, err := r.app(io.Discard, io.Discard).scheduleOptions(b, scheduleAsked{runbook: book})
	if err != nil {
		t.Fatal(err)
	}
	catchUp := 0
	for _, back := range []bool{false, true} {
		if back {
			if err := os.Rename(away, filepath.Join(place, "b")); err != nil {
				t.Fatal(err)
			}
		}
		for _, j := range schedule.Jobs(options) {
			got := r.run(ctx, j.Args...)
			if got.code == recovery.Usage && j.Name != "check" { // whose 2 is an answer
				t.Errorf("%s: exit %d: %s%s", j.Name, got.code, got.out, got.err)
			}
			if j.Name != "catch-up" {
				continue
			}
			if catchUp++; back {
				got.has(t, recovery.CameBack, "brought 2 files")
			} else {
				got.has(t, recovery.Failed, "database: ", "ledger: ")
			}
		}
	}
	if catchUp != 2 {
		t.Errorf("caught up %d times", catchUp)
	}
	for _, prefix := range []string{"wal", "ledger"} {
		if _, err := os.Stat(filepath.Join(place, "b", prefix, segment+".zst")); err != nil {
			t.Errorf("b has not got it: %v", err)
		}
	}
}
