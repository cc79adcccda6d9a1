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
// counts as live; one that lies beside a live one does not.
func (a *attached) live(zone *time.Location) (string, look) {
	harmless := map[recovery.TargetID]bool{}
	for _, t := range a.plan.Targets {
		harmless[t.ID] = !t.Changes()
	}
	var since time.Time
	any := false
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		for _, id := range st.Writes {
			if harmless[id] {
				continue
			}
			any = true
			if st.WaitsFor == recovery.WaitName && st.Attempts <= 1 {
				continue // it has not acted: the name comes first
			}
			if !st.Started.IsZero() && (since.IsZero() || st.Started.Before(since)) {
				since = st.Started
			}
		}
	}
	clock := func(t time.Time) string { return t.In(zone).Format("15:04:05") }
	switch switched := a.switched(); {
	case !switched.IsZero():
		text := "LIVE: switched " + clock(switched)
		if n := len(a.state.Old); n > 0 {
			text += ", old data stay until " + a.state.Old[0].Until.In(zone).Format("_2 Jan")
		}
		return text, bad
	case !since.IsZero() && a.state.Ended.IsZero():
		return "LIVE: CHANGED since " + clock(since), bad
	case !since.IsZero():
		return "LIVE: CHANGED " + clock(since) + "; the report says how", bad
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

// switched is when what was restored took the place of what was live: when the
// first old data were put aside. It is zero before that.
func (a *attached) switched() (at time.Time) {
	for i := range a.state.Steps {
		if st := &a.state.Steps[i]; len(st.Outcome.Old) > 0 && st.State == recovery.Done && (at.IsZero() || st.Ended.Before(at)) {
			at = st.Ended
		}
	}
	return at
}
