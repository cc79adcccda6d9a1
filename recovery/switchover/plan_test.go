package switchover

import (
	"encoding/json"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// Room is planned for what is live or for what comes back, whichever is more: of what is
// live the largest part may be missing. What a log's base backup holds is not only of one
// database.
func TestSwitcher_Plan_room(t *testing.T) {
	seen := live.Server{Target: live.Properties{Size: 5 << 30}}
	seen.Host, seen.Data, seen.Database, seen.OID = "db1", "/srv/pg/shop", "shop", 16385
	facts, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		point recovery.Point
		want  int64
	}{
		"a dump that is larger":  {recovery.Point{Bytes: 500 << 30}, 500 << 30},
		"a dump that is smaller": {recovery.Point{Bytes: 1 << 30}, 5 << 30},
		"log":                    {recovery.Point{Timeline: 1, Bytes: 500 << 30}, 5 << 30},
	} {
		s, err := switcher{}.Plan(recovery.SwitchContext{Component: recovery.Component{Name: "database", Kind: recovery.Postgres}, Point: c.point, Run: "7c31",
			Live: recovery.Live{Component: "database", Facts: facts, Target: recovery.Target{ID: "live/database", Name: "db1/shop"}}})
		if err != nil {
			t.Fatal(err)
		}
		if g := s.Prepare[0].Guards; len(g) != 1 || g[0].Dir != "/srv/pg/shop" || g[0].Bytes != c.want {
			t.Errorf("%s: %+v, want %d", name, g, c.want)
		}
	}
}
