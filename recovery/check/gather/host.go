package gather

import (
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/plan"
	"comeback/recovery/push"
	"comeback/recovery/room"
)

// roomIn is what the newest backups take, and what is free in a place; nil where that is not
// seen.
func roomIn(place string, cat catalogue.Catalogue) *check.Room {
	if place == "" {
		return nil
	}
	r := &check.Room{Place: place}
	var err error
	if r.Free, _, err = room.Free(place); err != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range cat.Entries("") { // the newest first
		if b := e.Backup; b.Problem == "" && !seen[b.Component] {
			seen[b.Component] = true
			r.Needs += b.Amount()
		}
	}
	return r
}

// waiting adds what the spools of this host still hold for the copies, and what was
// received and not pushed.
func (o Options) waiting(e *check.Evidence) {
	for _, c := range plan.RestoredDatabases(o.Runbook) {
		spools := Spools(o.Home.Dir, o.Runbook.System, c.Name)
		e.Received = append(e.Received, Received(c.Name, spools)...)
		for _, dir := range spools {
			o.spool(e, c.Name, dir)
		}
	}
}

// spool adds what one spool holds of the log of a component: to the copies that lack it, and
// by itself what no copy of the runbook gets.
func (o Options) spool(e *check.Evidence, component, dir string) {
	backlogs, err := push.Backlogs(dir)
	if err != nil {
		e.Spools = append(e.Spools, check.Spool{Component: component, Dir: dir, Err: err})
	}
	free, _, errRoom := room.Free(dir)
	for _, l := range backlogs {
		lacking := check.Lacking{Files: l.Files, Bytes: l.Bytes, Since: l.Since}
		if _, named := o.Runbook.Copy(l.Copy); !named {
			e.Spools = append(e.Spools, check.Spool{Component: component, Dir: dir, Copy: l.Copy, Lacking: lacking})
		}
		if errRoom == nil {
			lacking.Free = &free
		}
		for i := range e.Copies {
			if e.Copies[i].Name == l.Copy && l.Files > 0 {
				e.Copies[i].Lacking = e.Copies[i].Lacking.With(lacking)
			}
		}
	}
}
