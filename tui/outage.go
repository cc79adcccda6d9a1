package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// How well the start of an outage is known.
const (
	outageKnown     = "known"
	outageEstimated = "estimated"
	outageUnknown   = "unknown"
)

// outage is what a person has told of a runbook's outage.
func (m *model) outage(runbook string) (o recovery.OutageNoted, told bool) {
	o, told = m.outages[runbook]
	return o, told
}

// outageOver forgets an outage that a recovery has ended: what follows is another one. One
// that did not bring the system back leaves it to the next.
func (m *model) outageOver(a *attached) {
	cameBack := a.state.Result == recovery.ResultPassed || a.state.Result == recovery.ResultExceptions || a.state.Opened()
	if a.plan.Mode != recovery.Recovery || !cameBack {
		return
	}
	delete(m.outages, a.outageOf)
	// A console that came later knows the run by its journal, and may have been told of a
	// new outage since.
	path, ended := a.plan.Runbook.Path, a.state.Outage
	if o, told := m.outage(path); told && o.How == ended.How && o.Since.Equal(ended.Since) {
		delete(m.outages, path)
	}
}

// outagePrompt asks when the outage of a runbook's system began.
func outagePrompt(m *model, runbook string, then func() tea.Cmd) *prompt {
	return &prompt{label: "OUTAGE BEGAN > ", does: "note it and go on", check: func(text string) error {
		_, err := readOutage(text, m.now())
		return err
	}, then: func(text string) tea.Cmd {
		o, err := readOutage(text, m.now())
		if err != nil {
			return nil // check has refused it
		}
		m.outages[runbook] = o
		return then()
	}}
}

// outageHelp says what can be typed.
func outageHelp(m *model, w int) []line {
	example := m.now().Add(-10 * time.Minute).Format("15:04")
	return paragraph("WHEN", 12, plain, fmt.Sprintf("did the outage begin? %s if that is known, ~%s or \"10 minutes ago\" if it is estimated, enter alone if nobody knows. The RTO counts from there; o changes it later.", example, example), w, 4)
}

// readOutage reads when an outage began: nothing, "?" or "unknown" is unknown,
// a "~" or "about" before it or a time that was counted back an estimate.
func readOutage(text string, now time.Time) (recovery.OutageNoted, error) {
	text = strings.TrimSpace(text)
	how := outageKnown
	for _, about := range []string{"~", "about ", "ca. "} {
		if rest, ok := strings.CutPrefix(text, about); ok {
			text, how = strings.TrimSpace(rest), outageEstimated
		}
	}
	if strings.HasSuffix(text, "ago") {
		how = outageEstimated
	}
	if text == "" || text == "?" || text == outageUnknown {
		return recovery.OutageNoted{How: outageUnknown}, nil
	}
	if _, _, err := readWall(text, now); err != nil {
		return recovery.OutageNoted{}, err
	}
	want, err := readMoment(text, now)
	switch {
	case err != nil || want.Kind != recovery.WantTime:
		return recovery.OutageNoted{}, recovery.Errorf("say 02:43, ~02:43, 10 minutes ago, or press enter alone", "%q is not a time", text)
	case want.Time.After(now):
		return recovery.OutageNoted{}, recovery.Errorf("say when it began, in the zone of the clock in line 1", "%s is still to come", exact(want.Time, now.Location()))
	}
	return recovery.OutageNoted{Since: want.Time, How: how}, nil
}

// outageSays is the start of an outage in words, with the offset of its time: by that and by
// nothing else it is known which of two it is where clocks were put back.
func outageSays(o recovery.OutageNoted, now time.Time) string {
	if o.Since.IsZero() {
		return "Outage began: unknown"
	}
	since := o.Since.In(now.Location())
	at := since.Format("15:04:05")
	if !sameDay(since, now) {
		at = stamp(since, now)
	}
	return "Outage began " + strings.TrimSuffix(at, ":00") + offset(since) + ", " + o.How
}

// downFor is how long a system has been down against what it owes, as line 1
// says it, until end.
func downFor(o recovery.OutageNoted, rto time.Duration, end time.Time) string {
	about := ""
	if o.How != outageKnown {
		about = "~"
	}
	return against("down "+about, end.Sub(o.Since), rto)
}

// against is a time that passes against an objective.
func against(word string, spent, rto time.Duration) string {
	spent = max(0, spent).Truncate(time.Second)
	text := word + elapsed(spent)
	switch left := rto - spent; {
	case rto <= 0:
		return text
	case left >= 0:
		return text + " RTO " + took(rto) + " left " + elapsed(left)
	default:
		return text + " RTO " + took(rto) + " OVER " + elapsed(-left)
	}
}
