package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// The nightly pipe of small teams, into a file or a bucket, is judged for exactly what
// it is: something that can be restored, to the moment at which it began, that nobody
// ever restored, in one place that does not lock; and nothing at all once pg_dump has
// died before its gzip.
func TestCheck_pipe(t *testing.T) {
	l, ctx := theShop(t), t.Context()
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("dumps")
	bucket, err := s3.Open(ctx, server.Options("dumps", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "dumps")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := func(between string) string {
		t.Helper()
		name := filepath.Join(dir, "shop.sql.gz")
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", fmt.Sprintf("'%s' '%s' %s| gzip > '%s'", l.Tools.Program("pg_dump"), l.URL(), between, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return name
	}
	always := []string{"3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked", "kinds", "schedule"}
	for _, test := range []struct {
		name, copy, between string
		ago                 time.Duration
		code                recovery.Exit
		found               []string
		says                string
	}{
		{"> file", "{url: \"file://" + dir + "\"}", "", 0, recovery.CheckWarning,
			append([]string{"3-2-1-1-0/2 kinds", "3-2-1-1-0/3 copies", "proof", "rto"}, always...), "nothing was ever restored"},
		{"> file, and people order since", "{url: \"file://" + dir + "\"}", "", 20 * time.Hour, recovery.CheckWarning,
			append([]string{"3-2-1-1-0/2 kinds", "3-2-1-1-0/3 copies", "proof", "rto", "rpo/database"}, always...), "newest moment is 20h"},
		{"| aws s3 cp", fmt.Sprintf("{url: \"s3://dumps/shop\", region: %s, endpoint: %q, path_style: true}", storagetest.Region, server.Endpoint()), "", 0, recovery.CheckWarning,
			append([]string{"3-2-1-1-0/3 copies", "versioning/night", "proof", "rto"}, always...), "deleted our canary"},
		{"pg_dump dies", "{url: \"file://" + dir + "\"}", "| head -c 20000 ", 0, recovery.CheckCritical,
			append([]string{"none/database", "broken/database/night/dump", "3-2-1-1-0/2 kinds", "3-2-1-1-0/3 copies", "proof", "rto"}, always...), "no copy holds a backup that can be restored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.environ["DATABASE_URL"] = l.URL()
			name := pipe(test.between)
			if err := os.Chtimes(name, time.Time{}, time.Now().Add(-test.ago)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(test.copy, "s3://") {
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := bucket.Put(ctx, "shop.sql.gz", f, storage.PutOptions{Size: -1}); err != nil { // what comes through a pipe has no length
					t.Fatal(err)
				}
			}
			book := filepath.Join(t.TempDir(), "shop.md")
			text := "---\ncomeback: 1\nsystem: shop\nrpo: 1h\nrto: 2h\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n  night: " + test.copy +
				"\ncomponents:\n  database: {kind: postgres, url: \"${DATABASE_URL}\"}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n"
			if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := r.run(ctx, "check", book, "--json")
			var a recovery.Assessment
			if err := json.Unmarshal([]byte(got.out), &a); err != nil || got.code != test.code {
				t.Fatalf("exit %d, want %d: %v\n%s%s", got.code, test.code, err, got.out, got.err)
			}
			var found []string
			said := false
			for _, f := range a.Findings {
				found = append(found, f.ID)
				said = said || strings.Contains(f.Says, test.says)
			}
			want := slices.Sorted(slices.Values(test.found))
			if slices.Sort(found); !slices.Equal(found, want) || !said {
				t.Errorf("found %q, want %q; %q is said: %v\n%s", found, want, test.says, said, strings.Join(a.Lines(checkWidth, time.UTC), "\n"))
			}
		})
	}
}
