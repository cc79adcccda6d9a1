package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// notice is something about a run that its screen must not hide in the log.
type notice struct {
	at         time.Time
	name, text string
	look       look
}

// notices are the newest of them, in at most most lines of w cells; the log
// has them all.
func (a *attached) notices(m *model, w, most int) []line {
	const indent = 12
	list := a.noted(m.now().Location())
	each := max(1, min(2, most/max(1, len(list))))
	var lines []line
	for i := len(list) - 1; i >= 0; i-- {
		about := paragraph(list[i].name, indent, list[i].look, list[i].text, w, each)
		if len(lines)+len(about) > most {
			break
		}
		lines = append(about, lines...)
	}
	return lines
}

// noted lists what happened to the run from outside its plan, the oldest first.
func (a *attached) noted(zone *time.Location) []notice {
	var list []notice
	add := func(at time.Time, name string, k look, text string) {
		i := len(list)
		for i > 0 && list[i-1].at.After(at) {
			i--
		}
		list = append(list[:i:i], append([]notice{{at, name, text, k}}, list[i:]...)...)
	}
	clock := func(t time.Time) string { return t.In(zone).Format("15:04:05") }
	if a.state.Unattended {
		add(a.state.Started, "UNATTENDED", plain, "nobody is asked")
	}
	for _, i := range a.state.Interruptions {
		add(i.To, "INTERRUPTED", warn, interruption(i, clock))
	}
	for _, am := range a.state.Amendments {
		text := fmt.Sprintf("%s by %s: %s; digest now %s", clock(am.At), am.By, am.Says, recovery.ShortDigest(am.PlanSHA256))
		if am.Why != "" {
			text += ", because " + am.Why
		}
		add(am.At, "AMENDED", plain, text)
	}
	for i := range a.state.Steps {
		if st := &a.state.Steps[i]; st.Gone != "" {
			add(a.state.At, "AGAIN", warn, st.Says+", because "+st.Gone)
		}
	}
	return list
}

// interruption is a time in which nobody ran the run, in one sentence.
func interruption(i recovery.Interruption, clock func(time.Time) string) string {
	reason := strings.TrimRight(i.Reason, ". ")
	if reason == "" {
		reason = "runner died"
	}
	text := fmt.Sprintf("%s after %s, up again %s", reason, clock(i.From), clock(i.To))
	if i.By != "" {
		text += " by " + i.By
	}
	if i.Rebooted {
		text += "; the host was started again"
	}
	if n := len(i.Steps); n > 0 {
		text += "; " + count(n, "step", "steps") + " again"
	}
	return text
}

// newsMost is how many notes stand on a screen that waits.
const newsMost = 2

// news are the newest notes, and who commands the run if it is not who began
// it: what a person who waits must not miss.
func (a *attached) news(zone *time.Location, w int) []line {
	var lines []line
	notes := a.state.Notes
	for _, n := range notes[max(0, len(notes)-newsMost):] {
		lines = append(lines, paragraph("NOTE", 10, plain, fmt.Sprintf("%s %s: %s", n.At.In(zone).Format("15:04:05"), n.By, n.Text), w, 2)...)
	}
	if a.state.Lease != "" && a.state.Lease != a.state.Operator {
		lines = append(lines, paragraph("COMMAND", 10, plain, fmt.Sprintf("%s since %s; %s began the run", a.state.Lease, a.state.LeaseSince.In(zone).Format("15:04:05"), a.state.Operator), w, 2)...)
	}
	if len(lines) > 0 {
		lines = append([]line{nil}, lines...)
	}
	return lines
}
