package pitr

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
)

// besideWALG is a copy with base backups whose log is in a storage of WAL-G at walg/, which
// has a backup of its own there.
func besideWALG(t *testing.T, l *live, bases ...string) *copyOf {
	t.Helper()
	c := l.copy(t, bases...)
	parts := c.path("walg/basebackups_005/base_000000010000000000000004/tar_partitions")
	if err := errors.Join(os.MkdirAll(parts, 0o700), os.Rename(c.path("wal"), c.path("walg/wal_005"))); err != nil {
		t.Fatal(err)
	}
	// The last part of a backup has backup_label in front, as base.tar of pg_basebackup does.
	in, err := os.Open(filepath.Join(l.dir, "base", "early", "base.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(parts + "/part_003.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r, w := tar.NewReader(in), tar.NewWriter(out)
	h, err := r.Next()
	if err != nil || h.Name != "backup_label" {
		t.Fatalf("%+v, %v", h, err)
	}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// What WAL-G keeps is no base backup of this engine's, and an archive that lacks one only
// to whom a setting names it: its log is not found fault with, whether it can be read or
// not, and it does not come between a backup and its own log.
func TestSurvey_besideWALG(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	last := l.mark(t, "order 20").xid
	unreadable := func(t *testing.T, c *copyOf, change func(name string, b []byte) (string, []byte)) {
		t.Helper()
		all, err := filepath.Glob(c.path("walg/wal_005/????????????????????????"))
		if err != nil || len(all) == 0 {
			t.Fatal(all, err)
		}
		for _, path := range all {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, changed := change(path, b)
			if err := errors.Join(os.Remove(path), os.WriteFile(name, changed, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	encrypted := func(path string, b []byte) (string, []byte) { return path + ".lz4", []byte("not lz4") }
	brotli := func(path string, b []byte) (string, []byte) { return path + ".br", b }
	another := func(path string, b []byte) (string, []byte) { b[24]++; return path, b }
	plain := func(path string, b []byte) (string, []byte) { return path, b }
	for name, change := range map[string]func(string, []byte) (string, []byte){"plain": plain, "encrypted": encrypted, "brotli": brotli, "another cluster": another} {
		t.Run(name+", alone", func(t *testing.T) {
			c := besideWALG(t, l)
			unreadable(t, c, change)
			s := survey(t, c.store, database)
			if len(s.Backups)+len(s.Windows) > 0 {
				t.Errorf("backups %+v, windows %+v", s.Backups, s.Windows)
			}
			if len(s.Findings) != 1 || s.Findings[0].Object != "walg/" || s.Findings[0].Do != "" || !strings.Contains(s.Findings[0].Says, "with: wal-g") {
				t.Errorf("findings %+v", s.Findings)
			}
		})
		t.Run(name+", beside a backup and its log", func(t *testing.T) {
			c := besideWALG(t, l, "zstd")
			unreadable(t, c, change)
			c.add(t, l.archive, "wal")
			s := survey(t, c.store, database)
			if len(s.Backups) != 1 || len(s.Windows) != 1 || len(s.Findings) > 0 {
				t.Fatalf("backups %+v, windows %+v, findings %+v", s.Backups, s.Windows, s.Findings)
			}
			if p := mustResolve(t, c.store, s, "latest"); p.Kept.XID != last {
				t.Errorf("latest keeps %d, want %d", p.Kept.XID, last)
			}
		})
	}
	t.Run("brotli, the log of a backup", func(t *testing.T) {
		c := besideWALG(t, l, "zstd")
		unreadable(t, c, brotli)
		s := survey(t, c.store, database)
		if len(s.Backups) != 1 || !slices.ContainsFunc(s.Findings, func(f recovery.Finding) bool {
			return strings.Contains(f.Says, "compressed with brotli, which is not read") && f.Do != ""
		}) {
			t.Errorf("backups %+v, findings %+v", s.Backups, s.Findings)
		}
	})
	t.Run("the log of a backup, beside that of another cluster", func(t *testing.T) {
		c := besideWALG(t, l, "zstd")
		c.add(t, l.archive, "old")
		segments, err := filepath.Glob(c.path("old/????????????????????????"))
		if err != nil || len(segments) == 0 {
			t.Fatal(segments, err)
		}
		for _, path := range segments {
			b, err := os.ReadFile(path)
			if err == nil {
				b[24]++
				err = errors.Join(os.Remove(path), os.WriteFile(path, b, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if p := mustResolve(t, c.store, survey(t, c.store, database), "latest"); p.Kept.XID != last {
			t.Errorf("latest keeps %d, want %d", p.Kept.XID, last)
		}
	})
	// WAL-G may be what archives, where pg_basebackup takes the backups.
	for name, settings := range map[string]recovery.Settings{"found": database.Settings, "named": {"database": {"shop"}, "wal": {"walg/wal_005"}, "backups": {"base"}}} {
		t.Run("the log of a backup, "+name, func(t *testing.T) {
			c, component := besideWALG(t, l, "zstd"), database
			component.Settings = settings
			s := survey(t, c.store, component)
			if len(s.Backups) != 1 || len(s.Findings) > 0 {
				t.Fatalf("backups %+v, findings %+v", s.Backups, s.Findings)
			}
			if p := mustResolve(t, c.store, s, "latest"); p.Kept.XID != last {
				t.Errorf("latest keeps %d, want %d", p.Kept.XID, last)
			}
		})
	}
}
