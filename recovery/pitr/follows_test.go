package pitr

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// The latest moment says whether the copy shows that there was more: log that cannot be
// used, or a backup without its log.
func TestResolve_Follows(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	for name, test := range map[string]struct {
		change  func(t *testing.T, c *copyOf, segments []string)
		follows bool
	}{
		"the end of the archive": {func(*testing.T, *copyOf, []string) {}, false},
		"a gap": {func(t *testing.T, c *copyOf, segments []string) {
			c.remove(t, "wal/"+segments[len(segments)-2])
		}, true},
		"damage": {func(t *testing.T, c *copyOf, segments []string) {
			c.replace(t, "wal/"+segments[len(segments)-1], func(b []byte) []byte { b[60]++; return b })
		}, true},
		"an unfinished segment": {func(t *testing.T, c *copyOf, segments []string) {
			last := c.path("wal/" + segments[len(segments)-1])
			if err := os.Rename(last, last+".partial"); err != nil {
				t.Fatal(err)
			}
		}, false},
		"an unfinished segment behind a gap": {func(t *testing.T, c *copyOf, segments []string) {
			last := c.path("wal/" + segments[len(segments)-1])
			if err := os.Rename(last, last+".partial"); err != nil {
				t.Fatal(err)
			}
			c.remove(t, "wal/"+segments[len(segments)-2])
		}, true},
		"a backup without its log": {func(t *testing.T, c *copyOf, segments []string) {
			c.add(t, filepath.Join(l.dir, "base", "zstd"), "base/zstd")
			s := survey(t, c.store, database)
			i := slices.IndexFunc(s.Windows, func(w recovery.Window) bool { return w.Backup == "base/zstd" })
			first := walfile.SegmentName(1, walfile.Number(s.Windows[i].From.LSN, 1<<20), 1<<20)
			for _, name := range segments {
				if name >= prior(first) {
					c.remove(t, "wal/"+name)
				}
			}
			entries, err := os.ReadDir(c.path("base/zstd"))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), "pg_wal.tar") {
					c.remove(t, "base/zstd/"+e.Name())
				}
			}
		}, true},
		"a timeline that nobody knows": {func(t *testing.T, c *copyOf, segments []string) {
			last := segments[len(segments)-1]
			if err := os.Link(c.path("wal/"+last), c.path("wal/00000002"+last[8:])); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, "gzip")
			test.change(t, c, c.segments(t))
			p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
			if p.Follows != test.follows || p.Backup.ID != "base/gzip" {
				t.Errorf("from %s to %s: follows %v, want %v", p.Backup.ID, p.Says, p.Follows, test.follows)
			}
		})
	}
}
