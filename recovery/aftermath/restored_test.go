package aftermath_test

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/runner"
)

// What a run restores is kept while it goes on, and for a week after its runner has died; what
// a run has restored that has ended, or that is of another system, is not.
func TestRestored(t *testing.T) {
	t.Parallel()
	const dead = "run 7c31, which has not ended, restores it: comeback resume 7c31, or comeback stop 7c31"
	for name, c := range map[string]struct {
		system string
		alive  bool
		at     time.Time
		result recovery.Result
		says   string
	}{
		"it goes on":                {"shop", true, now.AddDate(0, 0, -30), "", "run 7c31 restores it"},
		"its runner has died":       {"shop", false, now.Add(-time.Hour), "", dead},
		"six days ago":              {"shop", false, now.AddDate(0, 0, -6), "", dead},
		"eight days ago":            {"shop", false, now.AddDate(0, 0, -8), "", ""},
		"it has ended":              {"shop", false, now.Add(-time.Hour), recovery.ResultPassed, ""},
		"it is of another system's": {"blog", true, now, "", ""},
	} {
		r := runner.Past{ID: "7c31", Alive: c.alive, Plan: &recovery.Plan{System: c.system}, State: recovery.State{At: c.at, Result: c.result,
			Moment: recovery.Moment{Points: []recovery.Point{{Component: "database", Backup: recovery.Backup{ID: "base/1"}}}}}}
		of := aftermath.Restored([]runner.Past{{ID: "0000"}, r}, "shop", now)
		if says := of(recovery.Backup{Component: "database", ID: "base/1"}); says != c.says {
			t.Errorf("%s: %q", name, says)
		}
		if says := of(recovery.Backup{Component: "uploads", ID: "base/1"}); says != "" {
			t.Errorf("%s, of another component: %q", name, says)
		}
	}
}
