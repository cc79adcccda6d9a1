package switchover

import (
	"context"
	"encoding/json"
	"slices"
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
		if g := s.Prepare[len(s.Prepare)-1].Guards; len(g) != 1 || g[0].Dir != "/srv/pg/shop" || g[0].Bytes != c.want {
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

// planned is what is planned for a data directory that was seen, and a base backup.
func planned(t *testing.T, target clusterTarget, seen live.Server, point recovery.Point, settings recovery.Settings) (recovery.Switch, error) {
	t.Helper()
	facts, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	target.Into = intoCluster
	of, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	point.Timeline = 1
	return switcher{}.Plan(recovery.SwitchContext{Component: recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: settings}, Point: point, Run: "7c31",
		Live: recovery.Live{Component: "database", Facts: facts, Fresh: target.Fresh,
			Target: recovery.Target{ID: "live/database", Name: "db2:" + target.Data, Facts: of, Identity: recovery.Identity{"inode": "1:2:3"}}}})
}

// On a fresh host the server is started with the configuration that the backup brings along.
// Where it brings none, there must be commands that know of one: without them it is refused
// when the plan is made, and where only the restore can tell the plan warns.
func TestSwitcher_Plan_configuration(t *testing.T) {
	own := recovery.Settings{"start": {"systemctl", "start", "postgresql@15-main"}, "stop": {"systemctl", "stop", "postgresql@15-main"}}
	for name, c := range map[string]struct {
		where    recovery.Configuration
		data     string
		fresh    bool
		settings recovery.Settings
		// warns is in the plan's warning, refused in the hint of its refusal.
		warns, refused string
	}{
		"in the backup":                        {where: recovery.ConfigurationWithin, data: "/srv/pg", fresh: true},
		"elsewhere":                            {where: recovery.ConfigurationOutside, data: "/srv/pg", fresh: true, refused: "write a postgresql.conf and a pg_hba.conf for it on this host"},
		"elsewhere, as Debian has it":          {where: recovery.ConfigurationOutside, data: "/var/lib/postgresql/15/main", fresh: true, refused: "pg_createcluster 15 main writes it"},
		"elsewhere, with commands":             {where: recovery.ConfigurationOutside, data: "/srv/pg", fresh: true, settings: own, warns: "what this host has for it"},
		"elsewhere, where a server was":        {where: recovery.ConfigurationOutside, data: "/srv/pg"},
		"known of no backup":                   {data: "/var/lib/postgresql/15/main", fresh: true, warns: "start: [systemctl, start, postgresql@15-main]"},
		"known of no backup, with commands":    {data: "/srv/pg", fresh: true, settings: own},
		"known of no backup, of a dead server": {data: "/srv/pg"},
	} {
		s, err := planned(t, clusterTarget{Data: c.data, Down: true, Fresh: c.fresh}, live.Server{}, recovery.Point{Configuration: c.where}, c.settings)
		if c.refused != "" {
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(recovery.HintOf(err), c.refused) || !strings.Contains(err.Error(), "brings no postgresql.conf along") {
				t.Errorf("%s: %v, next %q", name, err, recovery.HintOf(err))
			}
			continue
		}
		if says := strings.Join(s.Warnings, "\n"); err != nil || (says == "") != (c.warns == "") || !strings.Contains(says, c.warns) {
			t.Errorf("%s: warns %q, %v", name, says, err)
		}
	}
}

// What lies in the place is exchanged for a backup of the same cluster only. One that was
// made with a new host is told as that when the plan is made, before anything is restored.
func TestSwitcher_Plan_sameCluster(t *testing.T) {
	of := func(system string) recovery.Point {
		return recovery.Point{Backup: recovery.Backup{Details: map[string]string{recovery.SystemIdentifier: system}}}
	}
	const data = "/var/lib/postgresql/15/main"
	for name, c := range map[string]struct {
		live, backup string
		target       clusterTarget
		refused      string
	}{
		"the same":                    {live: "7301448812", backup: "7301448812", target: clusterTarget{Down: true}},
		"a backup that does not tell": {live: "7301448812", target: clusterTarget{Down: true}},
		"nothing is there yet":        {backup: "7301448812", target: clusterTarget{Down: true, Fresh: true}},
		"another, which is down":      {live: "7399999999", backup: "7301448812", target: clusterTarget{Down: true}, refused: "installed, move it away (mv " + data},
		"another, whose server runs":  {live: "7399999999", backup: "7301448812", refused: "installed, stop its server and move it away"},
	} {
		seen := live.Server{}
		seen.SystemIdentifier = c.live
		c.target.Data = data
		_, err := planned(t, c.target, seen, of(c.backup), nil)
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.refused == "":
		case recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), c.live) || !strings.Contains(err.Error(), c.backup) || !strings.Contains(recovery.HintOf(err), c.refused):
			t.Errorf("%s: %v, next %q", name, err, recovery.HintOf(err))
		}
	}
}

// counting is an engine that reads a log.
type counting struct{ recovery.Engine }

func (counting) Schema() recovery.Schema {
	return recovery.Schema{Engine: "pitr", Kind: recovery.Postgres}
}

func (counting) Loss(context.Context, recovery.ScanOptions, recovery.Point) (recovery.Loss, error) {
	return recovery.Loss{}, nil
}

// The log of a server is pushed before what is lost is counted where the backup is of that
// server; that of another, into which a database comes back because its own is gone, says
// nothing of it, and the count is not final.
func TestSwitcher_Plan_anotherServer(t *testing.T) {
	for backup, pushes := range map[string]bool{"": true, "7301448812": true, "7399999999": false} {
		seen := live.Server{}
		seen.SystemIdentifier, seen.Database, seen.OID = "7301448812", "shop", 16385
		facts, err := json.Marshal(seen)
		if err != nil {
			t.Fatal(err)
		}
		s, err := switcher{Options{Engines: func() []recovery.Engine { return []recovery.Engine{counting{}} }}}.Plan(recovery.SwitchContext{
			Component: recovery.Component{Name: "database", Kind: recovery.Postgres}, Run: "7c31",
			Point: recovery.Point{Engine: "pitr", Timeline: 1, Backup: recovery.Backup{Details: map[string]string{recovery.SystemIdentifier: backup}}},
			Live:  recovery.Live{Component: "database", Facts: facts, Target: recovery.Target{ID: "live/database", Name: "db1/shop"}}})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, step := range s.Settle {
			kinds = append(kinds, step.Kind)
		}
		var a countArgs
		last := s.Settle[len(s.Settle)-1]
		if err := last.Decode(&a); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(kinds, pushName) != pushes || last.Kind != countName || (a.Tail != "") != pushes || (len(last.After) > 0) != pushes {
			t.Errorf("a backup of %q: the steps are %q, %+v", backup, kinds, a)
		}
	}
}
