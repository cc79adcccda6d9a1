package aftermath

import (
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// deadKept is how long what a run of this host restores is kept after its runner has
// died, and nobody has resumed or stopped it.
const deadKept = 7 * 24 * time.Hour

// Restored tells of backups which run of a system on this host restores them, or may go on
// with, in words; "" for those that none does.
func Restored(runs []runner.Past, system string, now time.Time) func(recovery.Backup) string {
	of := map[string]string{}
	for _, p := range runs {
		if p.Plan == nil || p.Plan.System != system || p.State.Result != "" {
			continue
		}
		last := p.Plan.Created
		if p.State.At.After(last) {
			last = p.State.At
		}
		if !p.Alive && now.Sub(last) > deadKept {
			continue
		}
		for _, pt := range p.State.Moment.Points {
			of[pt.Component+" "+pt.Backup.ID] = fmt.Sprintf("run %s restores it", p.ID)
			if !p.Alive {
				of[pt.Component+" "+pt.Backup.ID] = fmt.Sprintf("run %s, which has not ended, restores it: comeback resume %s, or comeback stop %s", p.ID, p.ID, p.ID)
			}
		}
	}
	return func(b recovery.Backup) string { return of[b.Component+" "+b.ID] }
}
