package tui

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// commander is who commands the run; before its first event nobody does.
func (a *attached) commander() string { return a.state.Lease }

// mine reports whether this console's operator commands the run.
func (a *attached) mine(m *model) bool {
	return a.commander() == "" || a.commander() == m.operator
}

// refusal is why a key that commands is refused, nil where it is not.
func (a *attached) refusal(m *model) error {
	if a.mine(m) {
		return nil
	}
	return recovery.Errorf("T takes over, with a reason; n writes a note that all can read", "%s commands this run since %s, you watch",
		a.commander(), a.state.LeaseSince.In(m.now().Location()).Format("15:04:05"))
}

// others are the people besides the commander and this operator who look at the
// run, each once, those who came first before the others.
func (a *attached) others(m *model) []recovery.Watcher {
	var list []recovery.Watcher
	for _, w := range a.here {
		known := slices.ContainsFunc(list, func(x recovery.Watcher) bool { return x.Operator == w.Operator })
		if w.Operator != a.commander() && w.Operator != m.operator && !known {
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(x, y recovery.Watcher) int { return x.Since.Compare(y.Since) })
	return list
}

// away reports whether it is known that the commander does not look at the run.
func (a *attached) away() bool {
	return a.here != nil && a.commander() != "" &&
		!slices.ContainsFunc(a.here, func(w recovery.Watcher) bool { return w.Operator == a.commander() })
}

// crew says who commands the run, and who watches.
func (a *attached) crew(m *model) string {
	who := a.commander()
	if who == "" {
		who = m.operator
	}
	text := who + " runs"
	if a.away() {
		text = who + " is away"
	}
	others := len(a.others(m))
	switch mine := a.mine(m); {
	case mine && others > 0:
		return fmt.Sprintf("%s, %d watch", text, others)
	case mine:
		return text
	case others > 0:
		return fmt.Sprintf("%s, you and %d watch", text, others)
	}
	return text + ", you watch"
}

// waitsFor is whom a waiting step waits for, as its screens say it.
func (a *attached) waitsFor(m *model, st *recovery.StepState) string {
	switch {
	case st.WaitsFor == recovery.WaitApproval:
		if args, err := approvalOf(st); err == nil && args.Role != "" {
			return args.Role
		}
		return "an approver"
	case a.mine(m):
		return "you"
	}
	return a.commander()
}

// since is a time and how long ago that was.
func since(t, now time.Time) string {
	return t.In(now.Location()).Format("15:04:05") + ", " + elapsed(now.Sub(t))
}
