package tui

import (
	"fmt"
	"slices"
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
	if !a.plan.Replaces() || a.plan.LostNothing(&a.state) {
		return "nothing live was replaced, so nothing was lost", plain
	}
	var worst recovery.LossState
	final := true
	for _, l := range a.plan.Live {
		if a.plan.LostNothingOf(&a.state, l.Component) {
			continue
		}
		i := slices.IndexFunc(a.state.Losses, func(s recovery.LossState) bool { return s.Component == l.Component })
		if i < 0 {
			return "unknown: nothing counted what " + l.Component + " lost", warn
		}
		loss := a.state.Losses[i]
		_, known := loss.Span()
		final = final && loss.Final && known
		if lostSpan(loss) >= lostSpan(worst) {
			worst = loss
		}
	}
	d := lostSpan(worst)
	text := elapsed(d)
	if len(a.plan.Live) > 1 && d > 0 {
		text += " of " + worst.Component
	}
	if f := worst.Files; f != nil && d > 0 {
		text += fmt.Sprintf(", from %s to %s, %s", f.Since.In(zone).Format("15:04:05"), f.Newest.In(zone).Format("15:04:05"), count(int(f.Changed+f.Added+f.Removed), "file", "files"))
	}
	if !worst.Until.IsZero() {
		text += fmt.Sprintf(", from %s to %s, no log tells how much", worst.Since.To.In(zone).Format("15:04:05"), worst.Until.In(zone).Format("15:04:05"))
	}
	if worst.Commits > 0 {
		text += fmt.Sprintf(", from %s to %s, %s", worst.From.Time.In(zone).Format("15:04:05"), worst.To.Time.In(zone).Format("15:04:05"), count(int(worst.Commits), "commit", "commits"))
	}
	if !final {
		text += "; AT LEAST, it was not final when it was counted"
	}
	rpo := time.Duration(a.plan.RPO)
	switch {
	case rpo > 0 && d > rpo:
		return "MISSED: " + text, bad
	case !final:
		return text, warn
	}
	return text, good
}

// lostSpan is from the first that is lost to the last.
func lostSpan(l recovery.LossState) time.Duration {
	d, _ := l.Span()
	return d
}
