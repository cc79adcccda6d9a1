package switchover

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// Every database of the server goes back with it, and is named: also postgres, but where it
// holds nothing.
func TestClusterEffects_goesBack(t *testing.T) {
	for name, c := range map[string]struct {
		postgres live.Neighbour
		want     []string
	}{
		"as initdb made it": {live.Neighbour{Name: "postgres", Size: 7e6, Bare: true}, []string{"shop: database ledger of the same server, 4.00 GB"}},
		"with something":    {live.Neighbour{Name: "postgres", Size: 2e9}, []string{"shop: database ledger of the same server, 4.00 GB", "shop: database postgres of the same server, 2.00 GB"}},
		"which is not known": {live.Neighbour{Name: "postgres", Size: -1},
			[]string{"shop: database ledger of the same server, 4.00 GB", "shop: database postgres of the same server, of a size that this role may not know"}},
	} {
		e := clusterEffects(recovery.Component{Name: "shop"}, live.Server{Others: []live.Neighbour{{Name: "ledger", Size: 4e9}, c.postgres}})
		if !slices.Equal(e.GoesBack, c.want) {
			t.Errorf("%s: %q, want %q", name, e.GoesBack, c.want)
		}
	}
}
