package dump

import (
	"maps"
	"testing"
)

// What an index is built with depends on its method, on how much there is to sort and on
// whether processes help each other, and is left alone where somebody has said it.
func TestSettings_building(t *testing.T) {
	alone, helped := settings{buildMemory: "65536", buildHelpers: "0"}, settings{buildMemory: "65536", buildHelpers: "1"}
	now := settings{"row_security": "off"}
	for name, test := range map[string]struct {
		configured      settings
		method          string
		fed             int64
		together        bool
		memory, helpers string
	}{
		"a key":                       {alone, "", 1 << 20, true, "8MB", ""},
		"a B-tree":                    {alone, "btree", 1 << 30, false, "8MB", ""},
		"a large one":                 {alone, "btree", 8 << 30, false, "16MB", ""},
		"a very large one":            {alone, "btree", 64 << 30, false, "", ""},
		"one of nobody knows what":    {alone, "btree", 0, false, "", ""},
		"one that others help with":   {helped, "btree", 1 << 20, false, "", ""},
		"words":                       {alone, "gin", 1 << 20, false, "8MB", ""},
		"words, helped elsewhere":     {helped, "gin", 1 << 20, false, "8MB", ""},
		"words, together":             {alone, "gin", 1 << 20, true, "", "1"},
		"words, together anyway":      {helped, "gin", 1 << 20, true, "", ""},
		"very many words":             {alone, "gin", 8 << 30, false, "", ""},
		"places":                      {alone, "gist", 1 << 20, false, "", ""},
		"somebody said how much":      {settings{buildHelpers: "0"}, "btree", 1 << 20, false, "", ""},
		"somebody said how many help": {settings{buildMemory: "65536"}, "gin", 1 << 20, true, "", ""},
	} {
		before := maps.Clone(now)
		got := now.building(test.configured, test.method, test.fed, test.together)
		if got[buildMemory] != test.memory || got[buildHelpers] != test.helpers || got["row_security"] != "off" {
			t.Errorf("%s: %v", name, got)
		}
		if !maps.Equal(before, now) {
			t.Fatalf("%s: the script's settings are %v now", name, now)
		}
	}
}
