package files_test

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// A copy as they are: archives of trees among those of databases.
func TestSurvey(t *testing.T) {
	tree := tarOf(t, member{tar.Header{Name: "uploads/", Typeflag: tar.TypeDir}, ""}, member{tar.Header{Name: "uploads/a"}, strings.Repeat("a", 5000)})
	store := directory(t, map[string][]byte{
		"uploads-2026-11-20.tar":       tree,
		"uploads-2026-11-21.tar.gz":    packed(t, tree, "gzip", "-c"),
		"uploads-2026-11-22.tar.gz":    {},
		"uploads-2026-11-23.tar":       tree[:2048],
		"uploads.tar.zst":              packed(t, tree, "zstd", "-c"),
		"uploads.tar.xz":               []byte("\xfd7zXZ\x00 and so on"),
		"notes.tar":                    []byte("no archive"),
		"db/shop.tar":                  tarOf(t, member{tar.Header{Name: "toc.dat"}, "PGDMP"}),
		"base/20261122/base.tar.gz":    packed(t, tarOf(t, member{tar.Header{Name: "backup_label"}, ""}), "gzip", "-c"),
		"wal/000000010000000000000001": make([]byte, 512),
		"uploads/1.jpg":                []byte("\xff\xd8"),
	})
	s := survey(t, engine(), component, store)
	got := map[string]string{}
	for _, b := range s.Backups {
		got[b.ID] = b.Form + "; " + b.Details["tree"] + "; " + b.Problem
	}
	for _, f := range s.Findings {
		got[f.Object] = "finding: " + f.Says
	}
	want := map[string]string{
		"uploads-2026-11-20.tar":    "tar archive; uploads; ",
		"uploads-2026-11-21.tar.gz": "tar archive, gzip; uploads; ",
		"uploads-2026-11-22.tar.gz": "tar archive; ; it is empty: the program that archives failed and nobody noticed",
		"uploads-2026-11-23.tar":    "tar archive; uploads; it is cut off: the empty blocks at the end of a tar archive are missing",
		"uploads.tar.zst":           "tar archive, zstd; uploads; ",
		"uploads.tar.xz":            "finding: cannot be restored: it is compressed with xz, which this version does not read",
		"notes.tar":                 "finding: is not a tar archive that can be read: what it holds is not tar",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The older ones of a pattern are judged by the newer, and opened when they are
// chosen.
func TestSurvey_byName(t *testing.T) {
	objects := map[string][]byte{}
	tree := packed(t, tarOf(t, member{tar.Header{Name: "a"}, "1"}), "gzip", "-c")
	for day := range 20 {
		objects[fmt.Sprintf("uploads-2026-10-%02d.tar.gz", day+1)] = tree
	}
	objects["uploads-2026-10-02.tar.gz"] = []byte("rubbish")
	store := directory(t, objects)
	dir := strings.TrimPrefix(store.URL(), "file://")
	for key := range objects {
		at, err := time.Parse("uploads-2006-01-02.tar.gz", key)
		if err == nil {
			at = at.Add(3 * time.Hour)
			err = os.Chtimes(filepath.Join(dir, key), at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := survey(t, engine(), component, store)
	if len(s.Backups) != 20 || s.Backups[1].Details["judged"] == "" {
		t.Fatalf("%d backups: %+v", len(s.Backups), s.Backups)
	}
	for want, test := range map[string]struct{ id, refusal string }{
		"2026-10-05T00:00:00Z": {"uploads-2026-10-04.tar.gz", ""},
		"2026-10-02T12:00:00Z": {"uploads-2026-10-01.tar.gz", ""}, // the second is rubbish
		"2026-10-01T00:00:00Z": {"", "surely from before"},
	} {
		at, err := time.Parse(time.RFC3339, want)
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: at, Text: want}, store)
		switch {
		case test.refusal != "":
			if err == nil || !strings.Contains(err.Error(), test.refusal) || recovery.HintOf(err) == "" {
				t.Errorf("%s: %v", want, err)
			}
		case err != nil || p.Backup.ID != test.id:
			t.Errorf("%s: %s, %v", want, p.Backup.ID, err)
		}
	}
	for name, says := range map[string]string{"uploads-2026-10-02.tar.gz": "is not an archive", "nothing": "there is no backup"} {
		_, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantBackup, Backup: name, Text: name}, store)
		if err == nil || !strings.Contains(err.Error(), says) || recovery.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLSN, Text: "lsn:0/1"}, store)
	if err == nil || recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("a position: %v", err)
	}
}
