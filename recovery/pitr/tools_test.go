package pitr

import (
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// A base backup is taken by the programs of the server's major, or else by the nearest newer ones.
func TestBasing_findTools(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pg_basebackup"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server    string
		installed []int // the newest first
		want      int   // 0 is refused
	}{
		"the same":            {"15.18", []int{18, 17, 15}, 15},
		"the nearest newer":   {"15.18", []int{18, 17, 14}, 17},
		"the newest is older": {"18beta1", []int{17, 15}, 0},
		"none":                {"15.18", nil, 0},
	} {
		b := basing{nativeEngine: nativeEngine{new(engine)}}
		b.server.Version = c.server
		b.Tools = func(major int) (postgres.Tools, error) {
			for _, m := range c.installed {
				if major == 0 || m == major {
					return postgres.Tools{Dir: dir, Major: m}, nil
				}
			}
			return postgres.Tools{}, recovery.Errorf("install it", "PostgreSQL %d is not installed here", major)
		}
		if err := b.findTools(); (err == nil) != (c.want > 0) || b.tools.Major != c.want {
			t.Errorf("%s: %d, %v", name, b.tools.Major, err)
		}
	}
}
