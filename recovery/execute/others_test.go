package execute

import (
	"slices"
	"testing"
)

// The directories of sockets are found in every form of an address.
func TestSocketDirs(t *testing.T) {
	for address, want := range map[string][]string{
		"postgres:///shop?host=/srv/pg/socket&port=5433":         {"/srv/pg/socket"},
		"postgresql:///shop?host=/srv/a,db1,/srv/b":              {"/srv/a", "/srv/b"},
		"postgres://shop:secret@db1/shop":                        nil,
		"host=/srv/pg dbname=shop":                               {"/srv/pg"},
		"dbname=shop host = '/srv/the shop\\'s' password=/srv/x": {"/srv/the shop's"},
		"hostaddr=/srv/pg":                                       nil,
		"":                                                       nil,
	} {
		if got := socketDirs(address); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
