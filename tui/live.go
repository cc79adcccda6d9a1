package tui

import (
	"time"

	"comeback/recovery"
)

// factNetwork is the fact by which the steps that start servers and programs say
// what network these have; onlyLoopback is its value where live is out of reach.
const (
	factNetwork  = "network"
	onlyLoopback = "none but loopback"
)

// isolated reports whether everything that said what network it has said that
// it has none. Where nothing said so it is not known.
func (a *attached) isolated() bool {
	said := false
	for i := range a.state.Steps {
		if network, ok := a.state.Steps[i].Outcome.Facts[factNetwork]; ok {
			if network != onlyLoopback {
				return false
			}
			said = true
		}
	}
	return said
}

// live answers whether a live system is changed: from the plan's targets, and
// from what has started to write to them. A target that the plan does not list
// counts as live.
func (a *attached) live(zone *time.Location) (string, look) {
	scratchOnly := map[recovery.TargetID]bool{}
	for _, t := range a.plan.Targets {
		scratchOnly[t.ID] = t.Scratch
	}
	var since time.Time
	any := false
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		for _, id := range st.Writes {
			if scratchOnly[id] {
				continue
			}
			any = true
			if !st.Started.IsZero() && (since.IsZero() || st.Started.Before(since)) {
				since = st.Started
			}
		}
	}
	switch {
	case !since.IsZero():
		return "LIVE: CHANGED since " + since.In(zone).Format("15:04:05"), bad
	case any:
		return "LIVE: untouched so far", plain
	case a.plan.Mode == recovery.Rehearsal && a.over:
		return "LIVE: untouched, all was written to scratch", plain
	case a.plan.Mode == recovery.Rehearsal && a.isolated():
		return "LIVE: out of reach (no network but loopback)", plain
	case a.plan.Mode == recovery.Rehearsal:
		return "LIVE: untouched, writes go to scratch only", plain
	}
	return "LIVE: untouched", plain
}
