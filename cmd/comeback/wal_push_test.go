package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comeback/recovery"
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
