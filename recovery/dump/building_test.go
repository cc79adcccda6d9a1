package dump

import (
	"maps"
	"testing"
)

// What an index is built with depends on its method and on how much there is to sort, and
// not where the script says it.
func TestSettings_building(t *testing.T) {
	none, own := settings{"row_security": "off"}, settings{"maintenance_work_mem": "1048576"}
	for name, test := range map[string]struct {
		now      settings
		method   string
		size     int64
		together int
		memory   string
		helpers  string
	}{
		"a key":             {none, "", 1 << 20, 1, "8MB", ""},
		"a B-tree":          {none, "btree", 1 << 30, 1, "8MB", ""},
		"a large one":       {none, "btree", 8 << 30, 1, "16MB", ""},
		"a very large one":  {none, "btree", 64 << 30, 1, "", ""},
		"words":             {none, "gin", 1 << 20, 0, "8MB", ""},
		"words, together":   {none, "gin", 1 << 20, 3, "", "3"},
		"very many words":   {none, "gin", 8 << 30, 0, "", ""},
		"places":            {none, "gist", 1 << 20, 1, "", ""},
		"the script's own":  {own, "btree", 1 << 20, 1, "1048576", ""},
		"… for words, too":  {own, "gin", 1 << 20, 1, "1048576", ""},
		"nothing was asked": {settings{}, "btree", 1, 1, "8MB", ""},
	} {
		before := maps.Clone(test.now)
		got := test.now.building(test.method, test.size, test.together)
		if got["maintenance_work_mem"] != test.memory || got["max_parallel_maintenance_workers"] != test.helpers || got["row_security"] != test.now["row_security"] {
			t.Errorf("%s: %v", name, got)
		}
		if !maps.Equal(before, test.now) {
			t.Errorf("%s: the script's settings are %v now", name, test.now)
		}
	}
}
