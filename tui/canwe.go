package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// canWeIndent is where the words of a row of the panel begin.
const canWeIndent = 22

// access is whether a run could begin now: the copies, the room, the key.
func (s *runbookScreen) access(w int) []line { return s.canWe(w, s.copyRow) }

// accessBriefly is access in a line or two for each copy, where there are few lines.
func (s *runbookScreen) accessBriefly(w int) []line {
	lines := s.canWe(w, s.briefRow)
	if !s.surveying && !s.surveyed.IsZero() {
		lines[0] = lines[0].say("; s tells all of it").fit(w)
	}
	return lines
}

// canWe is whether a run could begin now, with the rows of each copy.
func (s *runbookScreen) canWe(w int, row func(name string, w int) []line) []line {
	head := as(strong, "CAN WE?")
	switch {
	case len(s.opened.Problems) > 0:
		return []line{head.say("   not looked: the problems come first")}
	case s.surveying:
		head = head.say("   looking into the copies ..")
	case !s.surveyed.IsZero():
		head = head.say("   checked " + s.surveyed.Format("15:04:05") + ", by reading")
	}
	lines := []line{head}
	if s.surveyErr != nil {
		return append(lines, s.m.trouble("REFUSED", s.surveyErr, w)...)
	}
	var names []string
	for _, row := range s.rows {
		if !slices.Contains(names, row.Copy) {
			names = append(names, row.Copy)
		}
	}
	for _, name := range names {
		lines = append(lines, row(name, w)...)
	}
	lines = append(lines, s.roomRows(w)...)
	return append(lines, s.signingRow(w)...)
}

// canWe is one row of the panel, wrapped.
func canWe(name, state string, k look, text string, w, most int) []line {
	lines := paragraph("", canWeIndent, plain, text, w, most)
	lines[0] = append(say("  "+pad(clean(name), 9)+" ").and(k, pad(state, 9)+" "), lines[0][1:]...)
	return lines
}

// copyRow is a copy: what it holds of all components, or why that is not known,
// who asks, and what is wrong.
func (s *runbookScreen) copyRow(name string, w int) []line {
	rows, state := s.rowsOf(name)
	if state == Refused {
		return s.refusedRow(name, rows, w)
	}
	text := holdings(rows, func(a Access) string { return found(a, s.m.now()) })
	if who := s.identity(name); who != "" && state != Looking {
		text += "; " + who
	}
	lines := canWe(name, string(state), state.look(), text, w, s.m.most(4))
	if warning := s.expiry(name); warning != "" {
		lines = append(lines, paragraph("", canWeIndent, warn, warning, w, s.m.most(2))...)
	}
	return append(lines, complaints(rows, w)...)
}

// rowsOf are the rows of a copy, and the state of it that a person must see first.
func (s *runbookScreen) rowsOf(name string) (rows []Access, state AccessState) {
	state = NotLookedAt
	for _, a := range s.rows {
		if a.Copy != name {
			continue
		}
		rows = append(rows, a)
		if stateRank(a.State) > stateRank(state) {
			state = a.State
		}
	}
	return rows, state
}

// look is the colour beside the word.
func (a AccessState) look() look {
	return map[AccessState]look{Looking: faint, Readable: good, Nothing: warn, Refused: bad, NotLookedAt: warn}[a]
}

// holdings says what a copy holds of each component, by words for one that was read.
func holdings(rows []Access, found func(Access) string) string {
	var parts []string
	if readable := !slices.ContainsFunc(rows, func(a Access) bool { return a.State != Readable }); readable && len(rows) > 1 {
		parts = append(parts, "all "+count(len(rows), "component", "components"))
	}
	for _, a := range rows {
		text := a.Says
		if text == "" {
			text = found(a)
		}
		switch {
		case a.State == Nothing:
			text = strings.TrimSuffix("NOTHING of it here, "+text, ", ")
		case a.State == NotLookedAt && text == "":
			text = "not read by this version"
		}
		if text != "" {
			parts = append(parts, a.Component+": "+text)
		}
	}
	return strings.Join(parts, "; ")
}

// briefRow is a copy in one line, or where it refuses in three: why, and what helps. What
// else is wrong with it is counted.
func (s *runbookScreen) briefRow(name string, w int) []line {
	rows, state := s.rowsOf(name)
	if state == Refused {
		causes, hint := refusals(rows)
		lines := canWe(name, string(Refused), bad, strings.Join(causes, "; "), w, 2)
		if help := s.help(hint); help != "" {
			lines = append(lines, paragraph("    do", 10, plain, help, w, 1)...)
		}
		return lines
	}
	text := holdings(rows, func(a Access) string { return foundBriefly(a, s.m.now()) })
	if n := wrongs(rows); n > 0 {
		text = count(n, "finding", "findings") + "; " + text
	}
	lines := canWe(name, string(state), state.look(), text, w, 1)
	if warning := s.expiry(name); warning != "" {
		lines = append(lines, paragraph("", canWeIndent, warn, warning, w, 1)...)
	}
	return lines
}

// stateRank orders states by what a person must see first.
func stateRank(s AccessState) int {
	return slices.Index([]AccessState{NotLookedAt, Readable, Nothing, Looking, Refused}, s)
}

// refusedRow is a copy that refuses: who you are there, what is missing, the
// command that helps, and whom to call.
func (s *runbookScreen) refusedRow(name string, rows []Access, w int) []line {
	var text []string
	if who := s.identity(name); who != "" {
		text = append(text, who)
	}
	causes, hint := refusals(rows)
	lines := canWe(name, string(Refused), bad, strings.Join(append(text, causes...), "; "), w, s.m.most(4))
	if help := s.help(hint); help != "" {
		lines = append(lines, paragraph("    do", 10, plain, help, w, s.m.most(3))...)
	}
	return append(lines, complaints(rows, w)...)
}

// refusals are why a copy refuses, each once, and what to do about the last of them.
func refusals(rows []Access) (causes []string, hint string) {
	for _, a := range rows {
		if a.State == Refused && !slices.Contains(causes, a.Cause) {
			causes, hint = append(causes, a.Cause), a.Hint
		}
	}
	return causes, hint
}

// help is what to do about a copy that refuses, and whom else to call.
func (s *runbookScreen) help(hint string) string {
	help := hint
	if help != "" {
		help += ", then g; "
	}
	if call := s.call(); call != "" {
		help += "else call " + call
	}
	return strings.TrimSuffix(help, "; ")
}

// complaints are what the surveys found wrong.
func complaints(rows []Access, w int) []line {
	var lines []line
	for _, a := range rows {
		for _, survey := range a.Surveys {
			for _, f := range survey.Findings {
				text := f.Says
				if f.Object != "" {
					text = f.Object + ": " + text
				}
				if f.Do != "" {
					text += "; " + f.Do
				}
				lines = append(lines, paragraph("    !", 6, warn, text, w, 2)...)
			}
		}
	}
	return lines
}

// wrongs counts what the surveys found wrong.
func wrongs(rows []Access) (n int) {
	for _, a := range rows {
		for _, survey := range a.Surveys {
			n += len(survey.Findings)
		}
	}
	return n
}

// askerOf is who this console is to a copy.
func (s *runbookScreen) askerOf(name string) (Asker, bool) {
	i := slices.IndexFunc(s.needs.Copies, func(a Asker) bool { return a.Copy == name })
	if i < 0 {
		return Asker{}, false
	}
	return s.needs.Copies[i], true
}

// identity says who you are to a copy.
func (s *runbookScreen) identity(name string) string {
	a, ok := s.askerOf(name)
	switch {
	case !ok:
		return ""
	case a.Problem != "" && a.Who == "":
		return "who you are there is unknown"
	case a.Who == "":
		return ""
	case a.Account != "":
		return "you are " + a.Who + " of " + a.Account
	}
	return "you are " + a.Who
}

// expiry warns of credentials that end before a run that begins now should.
func (s *runbookScreen) expiry(name string) string {
	a, ok := s.askerOf(name)
	if !ok || a.Expires.IsZero() {
		return ""
	}
	now := s.m.now()
	if !a.Expires.After(now) {
		return "the credentials ENDED " + stamp(a.Expires, now) + ": renew them, then g"
	}
	if end := now.Add(s.takes()); end.After(a.Expires) {
		return fmt.Sprintf("the credentials end %s, a run of now about %s: renew them first", stamp(a.Expires, now), end.Format("15:04:05"))
	}
	return ""
}

// takes is how long a run should take: what each stage took last, or else its
// budget.
func (s *runbookScreen) takes() time.Duration {
	var d time.Duration
	for _, stage := range s.opened.Stages {
		if stage.Last > 0 {
			d += stage.Last
		} else {
			d += stage.Budget
		}
	}
	return d
}

// backAbout is when a recovery that begins now should be through, and by what: "" where a
// stage has neither a budget nor a time that it took.
func (s *runbookScreen) backAbout() string {
	how := ""
	for _, stage := range s.opened.Stages {
		switch {
		case stage.Last > 0:
		case stage.Budget > 0:
			how = " (by budgets)"
		default:
			return ""
		}
	}
	takes := s.takes()
	if takes == 0 {
		return ""
	}
	return backAt(s.m.now(), takes) + how
}

// backAt is when something should be back that takes so long from now.
func backAt(now time.Time, takes time.Duration) string {
	return "back about " + now.Add(takes).Format("15:04")
}

// call is whom the runbook says to call.
func (s *runbookScreen) call() string {
	var names []string
	for _, p := range s.opened.People {
		if p.Reach != "" && len(names) < 2 {
			names = append(names, p.Role+", "+p.Reach)
		}
	}
	return strings.Join(names, ", or ")
}

// roomRows are the places that a run writes to.
func (s *runbookScreen) roomRows(w int) []line {
	switch {
	case s.needsErr != nil:
		return canWe("room", "unknown", warn, s.needsErr.Error(), w, 2)
	case !s.haveNeeds:
		return nil
	}
	var lines []line
	for _, r := range s.needs.Room {
		free := recovery.FormatBytes(r.Free) + " free"
		switch {
		case r.Problem != "":
			lines = append(lines, canWe("room", "unknown", warn, r.Problem, w, 2)...)
		case r.Needs == 0:
			lines = append(lines, canWe("room", "unknown", warn, r.Place+": "+free+"; what a run needs is not known", w, 2)...)
		case r.Free < r.Needs:
			lines = append(lines, canWe("room", "TOO LOW", bad, fmt.Sprintf("%s: needs at least %s, %s; make room, or choose another place with --scratch", r.Place, recovery.FormatBytes(r.Needs), free), w, 3)...)
		default:
			lines = append(lines, canWe("room", "ok", good, fmt.Sprintf("%s: needs at least %s, %s", r.Place, recovery.FormatBytes(r.Needs), free), w, 2)...)
		}
	}
	return lines
}

// signingRow is what can sign the report.
func (s *runbookScreen) signingRow(w int) []line {
	switch {
	case !s.haveKeys || s.surveyed.IsZero():
		return nil
	case len(s.keys) == 0 && s.keysErr != nil:
		return canWe("signing", "unknown", warn, s.keysErr.Error(), w, 2)
	case len(s.keys) == 0:
		return canWe("signing", "NO KEY", warn, "the report can be signed later: comeback report sign RUN", w, 2)
	}
	k := s.keys[0]
	text := fmt.Sprintf("%s, %s, %s", k.Name, k.From, k.Fingerprint)
	if n := len(s.keys); n > 1 {
		text += fmt.Sprintf("; %d more", n-1)
	}
	return canWe("signing", "ok", good, text, w, 2)
}

// holding is what the surveys of a row hold.
type holding struct {
	backups, broken, windows, gaps int
	// newest is the end of the newest backup that is whole, end that of the windows.
	newest, end time.Time
}

func holdingOf(a Access) (h holding) {
	for _, survey := range a.Surveys {
		for _, b := range survey.Backups {
			h.backups++
			if b.Problem != "" {
				h.broken++
			} else if b.Taken.To.After(h.newest) {
				h.newest = b.Taken.To
			}
		}
		for _, w := range survey.Windows {
			h.windows++
			h.gaps += len(w.Gaps)
			if w.To.Time.After(h.end) {
				h.end = w.To.Time
			}
		}
	}
	return h
}

// found says in words what the surveys of a row hold.
func found(a Access, now time.Time) string {
	h := holdingOf(a)
	if a.State == Looking || h.backups+h.windows == 0 {
		return ""
	}
	text := count(h.backups, "backup", "backups")
	if !h.newest.IsZero() {
		text += ", newest " + stamp(h.newest, now)
	}
	if h.broken > 0 {
		text += fmt.Sprintf(", %d BROKEN", h.broken)
	}
	if h.windows > 0 {
		text += "; " + count(h.windows, "window", "windows")
		if !h.end.IsZero() {
			text += " to " + stamp(h.end, now)
		}
		if h.gaps > 0 {
			text += ", " + count(h.gaps, "GAP", "GAPS")
		}
	}
	return text
}

// foundBriefly is found in a few words: how far it can be restored, and what is in the way.
func foundBriefly(a Access, now time.Time) string {
	h := holdingOf(a)
	text := ""
	switch {
	case a.State == Looking || h.backups+h.windows == 0:
		return ""
	case h.windows > 0 && !h.end.IsZero():
		text = "to " + near(h.end, now) + ", no gap"
		if h.gaps > 0 {
			text = "to " + near(h.end, now) + ", " + count(h.gaps, "GAP", "GAPS")
		}
	case h.newest.IsZero():
		text = count(h.backups, "backup", "backups")
	default:
		text = "newest " + near(h.newest, now)
	}
	if h.broken > 0 {
		text += fmt.Sprintf(", %d BROKEN", h.broken)
	}
	return text
}
