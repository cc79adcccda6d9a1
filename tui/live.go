package tui

import (
	"strings"
	"time"

	"comeback/recovery"
)

// isolated reports whether no step has a network by the plan, and everything that
// said what network it has said that it has none. Where nothing said so it is not known.
func (a *attached) isolated() bool {
	said := false
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		network, ok := st.Outcome.Facts[recovery.FactNetwork]
		if st.Network != "" || ok && network != recovery.NoNetwork {
			return false
		}
		said = said || ok
	}
	return said
}

// live answers whether a live system is changed: from the phases of the switch,
// and from what else has started to write to the plan's targets. A target that
// the plan does not list counts as live; one that lies beside a live one does
// not.
func (a *attached) live(zone *time.Location) (string, look) {
	switch since := a.written(); {
	case !since.IsZero():
		return "LIVE: CHANGED since " + since.In(zone).Format("15:04:05"), bad
	case a.plan.Mode == recovery.Recovery:
		says, k := a.state.LiveSays(zone), plain
		if a.state.HeldBackBy != "" && !a.over {
			return "LIVE: " + says + ", held back by " + a.state.HeldBackBy, warn
		}
		if strings.HasPrefix(says, "data untouched, ") { // by the run; what blocks do nobody can tell
			return "LIVE: " + says, warn
		}
		if !strings.HasPrefix(says, "untouched") && !strings.HasPrefix(says, "given back") && !strings.HasPrefix(says, "as run ") {
			k = bad
		}
		return "LIVE: " + says, k
	case a.over:
		return "LIVE: untouched, all was written to scratch", plain
	case a.isolated():
		return "LIVE: out of reach (no network but loopback)", plain
	}
	return "LIVE: untouched, writes go to scratch only", plain
}

// written is when the first step that belongs to no switch began to write to
// what is live; zero if none has.
func (a *attached) written() (since time.Time) {
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		changes := a.plan.ChangesLive(st.Step)
		acted := !st.Started.IsZero() && (st.WaitsFor != recovery.WaitName || st.Attempts > 1) // the name comes first
		if changes && acted && st.Phase == "" && (since.IsZero() || st.Started.Before(since)) {
			since = st.Started
		}
	}
	return since
}
