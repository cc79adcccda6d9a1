package tui

import "comeback/recovery"

// What an expiry removes was put aside, or lies beside what is live: the words of a run that
// changes live would not be true of it.

// goneWord stands before what is gone by a run.
func goneWord(e recovery.Effects) string {
	if e.Removes {
		return "REMOVED"
	}
	return "GONE FROM LIVE"
}

// doesLive is what a run does to that of which it asks the name.
func doesLive(p *recovery.Plan) string {
	if p.Expires != nil || p.OnlyBlocks() {
		return p.Does()
	}
	return "changes LIVE " + p.Confirm
}

// namedThen is what comes when the name is typed.
func namedThen(p *recovery.Plan) string {
	switch {
	case p.Expires != nil:
		return "of all that goes; then it is removed for good"
	case p.OnlyBlocks():
		return "of the system; then its blocks run, and may change LIVE"
	}
	return "of the target; then LIVE is changed"
}
