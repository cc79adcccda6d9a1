package recovery_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// What other runs have made of a run is told in its status: what is gone is not told as there.
func TestStatusSince(t *testing.T) {
	tree := recovery.HandedOver{Component: "uploads", Tree: "/srv/uploads.7c31/tree", Place: "/srv/uploads.7c31"}
	old := recovery.Old{Component: "db", Place: "shop_old_7c31", Until: now.AddDate(0, 0, 7)}
	p := switching()
	s := fold(recovery.NewState(p), journalOf(t, recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Recovery, Operator: "ops1"},
		recovery.StepStarted{Step: "exchange", Attempt: 1}, recovery.StepFinished{Step: "exchange", Outcome: recovery.Outcome{Old: []recovery.Old{old}, HandedOver: []recovery.HandedOver{tree}}},
		recovery.RunEnded{Result: recovery.ResultPassed, Says: "came back, nothing was checked; uploads lies in /srv/uploads.7c31/tree"}))
	back := recovery.State{Run: "9a02", Old: []recovery.Old{{Component: "db", Place: "shop_restored_7c31", Until: now.AddDate(0, 0, 7)}}}
	const kept, aside = "KEPT    uploads lies in /srv/uploads.7c31/tree", "OLD     shop_old_7c31, until "
	for name, c := range map[string]struct {
		since recovery.Since
		says  []string
		never []string
	}{
		"all is there": {says: []string{kept, aside, "nothing was checked; uploads lies"}, never: []string{"GONE "}},
		"both are removed": {recovery.Since{Gone: map[string]string{tree.Place: "removed by run 8d01", old.Place: "removed by run 8d02"}},
			[]string{"GONE    uploads of /srv/uploads.7c31: removed by run 8d01", "GONE    db of shop_old_7c31: removed by run 8d02", "RESULT  passed: came back, nothing was checked\n"}, []string{"KEPT ", "OLD "}},
		"switched back": {recovery.Since{Undone: &back}, []string{"switched back by run 9a02", "OLD     shop_restored_7c31, until ", kept}, []string{aside}},
		"switched back, and what had come back is removed": {recovery.Since{Undone: &back, Gone: map[string]string{"shop_restored_7c31": "removed by run 8d03"}},
			[]string{"GONE    db of shop_restored_7c31: removed by run 8d03", kept}, []string{"OLD "}},
	} {
		t.Run(name, func(t *testing.T) {
			text := recovery.StatusSince(p, &s, c.since, false, now.Add(time.Hour))
			for _, says := range c.says {
				if !strings.Contains(text, says) {
					t.Errorf("it does not say %q:\n%s", says, text)
				}
			}
			for _, never := range c.never {
				if strings.Contains(text, never) {
					t.Errorf("it says %q:\n%s", never, text)
				}
			}
			if len(s.HandedOver) != 1 || !strings.Contains(s.Says, tree.Tree) {
				t.Errorf("the state was changed: %+v", s)
			}
		})
	}
}
