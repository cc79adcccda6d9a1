package check_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
)

// A table that has lost most of its rows is told while it lacks them, unless it does so by
// habit, or somebody has proven a backup without them.
func TestJudge_rows(t *testing.T) {
	e := healthy()
	edit(e, "nearby", "database", func(s *recovery.Survey) {
		for _, b := range s.Backups {
			e.Copies[0].Manifests = append(e.Copies[0].Manifests, recovery.Manifest{ID: b.ID, Component: "database", Engine: "pitr", Begun: b.Taken.From, Moment: b.Taken, Stop: 1})
		}
	})
	manifests := e.Copies[0].Manifests
	orders := recovery.LostRows{Table: "orders", Had: 48211, Has: 12, Since: "database/20261122", At: manifests[4].Begun}
	manifests[4].Lost = []recovery.LostRows{orders}
	orders.Has = 14
	manifests[5].Lost = []recovery.LostRows{orders, {Table: "parts", Had: 2000, Has: 900, Since: "database/20261123", At: manifests[5].Begun}}
	got := found(e, "rows/")
	if len(got) != 1 || got[0].ID != "rows/database/nearby/pitr" || got[0].Mark != recovery.NotMet || got[0].Fatal ||
		got[0].Says != "nearby: far fewer rows are in the newest backup of database than before: orders has 14 of 48211 since database/20261122 and parts has 900 of 2000 since database/20261123" {
		t.Errorf("found %+v", got)
	}
	proof := e.Proofs[0]
	proof.Chosen, proof.Points = "database", []recovery.Point{{Component: "database", Copy: "offsite", Backup: recovery.Backup{ID: "database/20261122", Component: "database"}}}
	e.Proofs = append([]check.Proof{proof}, e.Proofs...)
	if got := found(e, "rows/"); len(got) != 1 || strings.Contains(got[0].Says, "orders") || !strings.Contains(got[0].Says, "parts has 900") {
		t.Errorf("with a proof without the orders, found %+v", got)
	}
	manifests[1].Lost = []recovery.LostRows{{Table: "parts", Had: 1900, Has: 3, Since: "database/20261119"}}
	if got := found(e, "rows/"); len(got) > 0 {
		t.Errorf("of what is emptied by habit, found %+v", got)
	}
	manifests[1].Begun = e.At.AddDate(0, -3, 0)
	if got := found(e, "rows/"); len(got) != 1 {
		t.Errorf("of what was emptied once, months ago, found %+v", got)
	}
	manifests[1].Begun, manifests[1].Lost[0].At = e.At.AddDate(0, 0, -5), manifests[5].Begun.AddDate(0, 0, -1)
	lost := &manifests[5].Lost[1]
	for hadAt, findings := range map[time.Time]int{manifests[5].Begun.AddDate(0, 0, -2): 1, manifests[5].Begun.Add(-time.Hour): 0} {
		if lost.HadAt = hadAt; len(found(e, "rows/")) != findings {
			t.Errorf("of what a backup from %v had, found %+v", hadAt, found(e, "rows/"))
		}
	}
}
