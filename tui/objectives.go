package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// objectives are what a recovery owed and what it achieved: the time from the
// start of the outage until all that opens the system was decided, and what was
// lost. The report judges by the same.
func (a *attached) objectives(zone *time.Location, w int) []line {
	if a.plan.Mode != recovery.Recovery {
		return nil
	}
	lines := []line{as(strong, pad("", 12)+pad("TARGET", 9)+"ACHIEVED")}
	add := func(name, target, text string, k look) {
		for i, l := range paragraph(pad(name, 12)+target, 21, k, text, w, 3) {
			if i > 0 {
				l = as(plain, pad("", 21)).and(k, l[1].text)
			}
			lines = append(lines, l)
		}
	}
	clock := func(t time.Time) string { return t.In(zone).Format("15:04:05") }
	opened, rto, o := a.state.OpenedAt(), time.Duration(a.plan.RTO), a.state.Outage
	switch spent, unknown := a.plan.TimeToOpen(&a.state); {
	case unknown != "" && opened.IsZero():
		add("RTO", budget(rto, "none"), "unknown: "+unknown, bad)
	case unknown != "":
		add("RTO", budget(rto, "none"), "unknown: "+unknown+"; everything was decided "+clock(opened), warn)
	default:
		text, k := fmt.Sprintf("%s, from %s (%s) to %s, all decided", elapsed(time.Duration(spent)), clock(o.Since), o.How, clock(opened)), good
		if rto > 0 && time.Duration(spent) > rto {
			text, k = "MISSED: "+text, bad
		}
		add("RTO", budget(rto, "none"), text, k)
	}
	text, k := a.achievedRPO(zone)
	add("RPO", budget(time.Duration(a.plan.RPO), "none"), text, k)
	return append(lines, nil)
}

// achievedRPO is the loss of the component that lost most.
func (a *attached) achievedRPO(zone *time.Location) (string, look) {
	lost, replaced := a.plan.TimeLost(&a.state)
	if !replaced {
		return "nothing live was replaced, so nothing was lost", plain
	}
	var worst *recovery.TimeLostOf
	var doubts []string
	for i := range lost.Of {
		of := &lost.Of[i]
		if !of.Known {
			doubts = append(doubts, doubt(of))
		}
		if of.Loss != nil && !of.PutBack && (worst == nil || of.Span >= worst.Span) {
			worst = of
		}
	}
	why := strings.Join(slices.Compact(doubts), "; ")
	text := elapsed(0)
	switch {
	case !lost.Known && (worst == nil || worst.Span == 0):
		return "unknown: " + why, warn
	case worst != nil:
		text = a.lostOf(worst, zone)
	}
	if !lost.Known {
		text += "; AT LEAST, " + why
	}
	target := recovery.Duration(a.plan.RPO)
	switch achieved, known := lost.Judged(target); {
	case target > 0 && achieved > target:
		return "MISSED: " + text, bad
	case !known:
		return text, warn
	}
	return text, good
}

// lostOf is what a component lost, with from when to when.
func (a *attached) lostOf(of *recovery.TimeLostOf, zone *time.Location) string {
	clock := func(t time.Time) string { return t.In(zone).Format("15:04:05") }
	text := elapsed(of.Span)
	if len(a.plan.Live) > 1 && of.Span > 0 {
		text += " of " + of.Component
	}
	if f := of.Loss.Files; f != nil && of.Span > 0 {
		text += fmt.Sprintf(", from %s to %s, %s", clock(f.Since), clock(f.Newest), count(int(f.Changed+f.Added+f.Removed), "file", "files"))
	}
	if !of.Loss.Until.IsZero() {
		text += fmt.Sprintf(", from %s to %s, no log tells how much", clock(of.Loss.Since.To), clock(of.Loss.Until))
	}
	if of.Loss.Commits > 0 {
		text += fmt.Sprintf(", from %s to %s, %s", clock(of.Loss.From.Time), clock(of.Loss.To.Time), count(int(of.Loss.Commits), "commit", "commits"))
	}
	return text
}

// doubt is why it is not known how much time a component lost.
func doubt(of *recovery.TimeLostOf) string {
	switch {
	case of.Loss == nil:
		return "nothing counted what " + of.Component + " lost"
	case of.PutBack:
		return fmt.Sprintf("the clock of %s was put back, so that the last of %s that are lost says an earlier time than the first", of.Component, count(int(of.Loss.Commits), "commit", "commits"))
	case !of.Loss.Final:
		return "it was not final when it was counted"
	}
	return "not of all that " + of.Component + " lost it is known when it was written"
}
