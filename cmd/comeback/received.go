package main

import (
	"fmt"

	"comeback/recovery/check/gather"
	"comeback/recovery/plan"
)

// receivedSays is what to say of the log that lies on this host alone to somebody who
// wants to restore; servers that are well will bring theirs by themselves.
func (a *app) receivedSays(b *book, well func(component string) bool) []string {
	home, err := a.home()
	if err != nil {
		return nil // without a state nothing is received
	}
	var says []string
	for _, c := range plan.RestoredDatabases(b.Runbook) {
		for _, r := range gather.Received(c.Name, gather.Spools(home.Dir, b.System, c.Name)) {
			if r.Err == nil && (r.Files > 0 || !well(c.Name)) {
				says = append(says, fmt.Sprintf("this host has received log of %s that is in no copy: %s; save it first: %s", c.Name, r.Says(a.now().Location()), r.Save(b.path)))
			}
		}
	}
	return says
}
