package recovery

import (
	"slices"
	"testing"
)

// A key is that component's which claims the most of its beginning; what nobody claims is
// everybody's.
func TestApart(t *testing.T) {
	t.Parallel()
	files := func(name, prefix string) Component {
		c := Component{Name: name, Kind: Files, Settings: Settings{}}
		if prefix != "" {
			c.Settings["prefix"] = []string{prefix}
		}
		return c
	}
	database := func(name string, settings Settings) Component {
		return Component{Name: name, Kind: Postgres, Settings: settings}
	}
	keys := []string{"uploads/snapshots/a", "uploads/old/b", "invoices/c", "backup/d", "uploads-old/e", "base/f", "wal/g"}
	for name, test := range map[string]struct {
		all  []Component
		want []string // what the first does not see
	}{
		"alone":                     {[]Component{files("uploads", "")}, nil},
		"two without a prefix":      {[]Component{files("uploads", ""), files("invoices", "")}, []string{"invoices/c"}},
		"another kind":              {[]Component{files("uploads", ""), {Name: "invoices", Kind: Code}}, nil},
		"below it":                  {[]Component{files("uploads", ""), files("old", "uploads/old/")}, []string{"uploads/old/b"}},
		"above it":                  {[]Component{files("old", "uploads/old/"), files("uploads", "")}, []string{"uploads/snapshots/a"}},
		"the same":                  {[]Component{files("uploads", "uploads"), files("old", "uploads/")}, nil},
		"one of two has one":        {[]Component{files("uploads", ""), files("invoices", "backup")}, []string{"backup/d"}},
		"a name that begins alike":  {[]Component{files("invoices", ""), files("uploads", "")}, []string{"uploads/snapshots/a", "uploads/old/b"}},
		"databases share a log":     {[]Component{database("uploads", nil), database("invoices", nil)}, []string{"invoices/c"}},
		"a database with its place": {[]Component{database("invoices", Settings{"prefix": {"backup/"}}), database("uploads", nil)}, []string{"uploads/snapshots/a", "uploads/old/b", "base/f", "wal/g"}},
		"a log of one's own":        {[]Component{database("invoices", nil), database("main", Settings{"wal": {"/backup"}})}, []string{"backup/d"}},
	} {
		t.Run(name, func(t *testing.T) {
			first := Apart("shop", test.all)[0]
			var hidden []string
			for _, key := range keys {
				if first.Claims.Foreign(key) {
					hidden = append(hidden, key)
				}
			}
			if !slices.Equal(hidden, test.want) {
				t.Errorf("it does not see %q, want %q", hidden, test.want)
			}
		})
	}
}

// Of two components that keep their backups in one place it is told, unless something
// tells these apart.
func TestAlike(t *testing.T) {
	t.Parallel()
	of := func(kind ComponentKind, with string, settings ...string) Component {
		c := Component{Name: "one", Kind: kind, With: with, Settings: Settings{}}
		for i := 0; i < len(settings); i += 2 {
			c.Settings[settings[i]] = []string{settings[i+1]}
		}
		return c
	}
	for name, test := range map[string]struct {
		a, b  Component
		alike bool
	}{
		"without a prefix":              {of(Files, ""), of(Files, ""), false},
		"one prefix":                    {of(Files, "", "prefix", "backup/"), of(Files, "", "prefix", "backup"), true},
		"two prefixes":                  {of(Files, "", "prefix", "a/"), of(Files, "", "prefix", "b/"), false},
		"two kinds":                     {of(Files, "", "prefix", "a/"), of(Config, "", "prefix", "a/"), false},
		"two engines":                   {of(Postgres, "pitr", "prefix", "a/"), of(Postgres, "dump", "prefix", "a/"), false},
		"restic":                        {of(Files, "restic", "prefix", "a/"), of(Files, "restic", "prefix", "a/"), false},
		"databases by their names":      {of(Postgres, "", "prefix", "a/", "database", "shop"), of(Postgres, "", "prefix", "a/", "database", "stock"), false},
		"databases of which one has no": {of(Postgres, "", "prefix", "a/", "database", "shop"), of(Postgres, "", "prefix", "a/"), true},
		"stanzas":                       {of(Postgres, "pgbackrest", "prefix", "a/", "stanza", "a"), of(Postgres, "pgbackrest", "prefix", "a/", "stanza", "b"), false},
		"two servers in one log":        {of(Postgres, "", "url", "${A}"), of(Postgres, "", "url", "${B}"), true},
		"two servers, dumped":           {of(Postgres, "", "url", "${A}", "backup", "dump"), of(Postgres, "", "url", "${B}"), false},
		"two logs":                      {of(Postgres, "", "url", "${A}", "wal", "a/", "backups", "b/"), of(Postgres, "", "url", "${B}"), false},
		"one server":                    {of(Postgres, "", "url", "${A}"), of(Postgres, "", "url", "${A}"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if what, do := Alike(test.a, test.b); (what != "") != test.alike || (do != "") != test.alike {
				t.Errorf("it says %q, %q", what, do)
			}
		})
	}
}
