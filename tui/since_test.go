package tui

import (
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// handed is a recovery that has put the old database aside and handed the uploads over.
func handed(f *fakeDesk) {
	forReal(f)
	restored(f)
	f.session.add(9*time.Minute, recovery.StepStarted{Step: "database/exchange", Attempt: 1}, recovery.StepFinished{Step: "database/exchange", Outcome: recovery.Outcome{Says: "exchanged",
		Old:        []recovery.Old{{Component: "database", Place: "shop_old_7c31", Until: ten.AddDate(0, 0, 7), Says: "a database of the same server"}},
		HandedOver: []recovery.HandedOver{{Component: "uploads", Tree: "/srv/uploads.7c31/tree", Place: "/srv/uploads.7c31"}}}})
	f.session.add(10*time.Minute, recovery.StepStarted{Step: "database/open", Attempt: 1}, recovery.StepFinished{Step: "database/open"},
		recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "1 exception"})
	f.session.end()
}

// What is gone since is told as gone, on the result and in the status, which is the command's.
func TestResult_since(t *testing.T) {
	for name, c := range map[string]struct {
		since    recovery.Since
		err      error
		says     []string
		never    []string
		switches bool
	}{
		"all is there": {says: []string{"shop_old_7c31 until", "uploads lies in /srv/uploads.7c31/tree"}, never: []string{"GONE"}, switches: true},
		"removed": {since: recovery.Since{Gone: map[string]string{"shop_old_7c31": "removed by run 8d02", "/srv/uploads.7c31": "removed by run 8d01"}},
			says: []string{"shop_old_7c31: GONE, removed by run 8d02", "uploads of /srv/uploads.7c31: GONE, removed by run 8d01"}, never: []string{"lies in"}},
		"switched back": {since: recovery.Since{Undone: &recovery.State{Run: "9a02"}},
			says: []string{"LIVE: switched back by run 9a02, as it was before", "shop_old_7c31: live again, by run 9a02", "uploads lies in"}},
		"nobody can tell": {err: errors.New("permission denied"), says: []string{"shop_old_7c31 until", "whether that is still there is not known: permission denied"}, switches: true},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := onRun(t, func(f *fakeDesk) {
				handed(f)
				f.since, f.sinceErr = Since{Since: c.since, Status: "WHAT    as comeback status says it\nGONE    or not\n"}, c.err
			}, func(d *driver, _ *fakeDesk) {
				d.size(100, 60)
				for _, says := range c.says {
					d.sees(says)
				}
			})
			for _, never := range c.never {
				if strings.Contains(d.screen(), never) {
					t.Errorf("it says %q:\n%s", never, d.screen())
				}
			}
			if switches := strings.Contains(d.screen(), "b switch back..."); switches != c.switches {
				t.Errorf("a switch back is offered: %v\n%s", switches, d.screen())
			}
			d.press("s")
			if c.err != nil {
				d.sees("permission denied")
				return
			}
			d.sees("WHAT    as comeback status says it")
			d.sees("GONE    or not")
		})
	}
}
