package switchover

import (
	"encoding/json"
	"strings"
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
	ofOne := recovery.Backup{Details: map[string]string{"database": "shop"}}
	for name, c := range map[string]struct {
		point recovery.Point
		want  int64
	}{
		"a dump that is larger":  {recovery.Point{Bytes: 500 << 30, Backup: ofOne}, 500 << 30},
		"a dump that is smaller": {recovery.Point{Bytes: 1 << 30, Backup: ofOne}, 5 << 30},
		"a dump of all":          {recovery.Point{Bytes: 500 << 30}, 5 << 30},
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

// What was put aside takes its place again whichever of the two it is: the databases are
// called after the run that has switched first, also where a switch back is switched back.
// Any other name is refused while planning, before anybody types one.
func TestSwitcher_Back_again(t *testing.T) {
	seen := live.Server{}
	seen.Database, seen.OID = "shop", 24001
	facts, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]args{
		"shop_old_7c31": {Was: 16385, New: 24001, Back: true},
		"shop_cb_7c31":  {Was: 24001, New: 16385},
		"shop_old_9a02": {},
		"shop_old":      {},
	} {
		s, err := switcher{}.Back(recovery.SwitchContext{Component: recovery.Component{Name: "database", Kind: recovery.Postgres}, Run: "9a02",
			Live: recovery.Live{Component: "database", Facts: facts, Target: recovery.Target{ID: "live/database", Name: "db1/shop"}}},
			recovery.Old{Component: "database", Place: place, Identity: recovery.Identity{"database oid": "16385", "run": "7c31"}})
		if want.Was == 0 {
			if recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) == "" || !strings.Contains(err.Error(), place) {
				t.Errorf("%s: %v", place, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []recovery.Step{s.Fence[0], s.Exchange[0], s.Open[0]} {
			var a args
			if err := step.Decode(&a); err != nil || a.Run != "7c31" || a.Was != want.Was || a.New != want.New || a.Back != want.Back {
				t.Errorf("%s: %s is told %+v, %v", place, step.ID, a, err)
			}
		}
	}
}
