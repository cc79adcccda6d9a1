package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// meansIndent is where the text begins behind KEPT, LOST and so on.
const meansIndent = 7

// middle is what is typed, planned or refused.
func (s *commitsScreen) middle(w int) []line {
	var lines []line
	if q := s.ask; q != nil {
		lines = append(lines, q.edit.line(q.label, w))
		if q.note != "" {
			lines = append(lines, paragraph("", meansIndent, warn, q.note, w, 2)...)
		}
	}
	return append(lines, s.refusal(w)...)
}

// narrowMost is how many lines what the moment keeps and what it loses have below the list.
const narrowMost = 2

// told says what the moment keeps and loses; most is how many lines of each.
func (s *commitsScreen) told(w, most int) []line {
	if s.ask != nil && s.ask.moment {
		return s.typing(w)
	}
	if s.typed != nil {
		return s.unplaced(w)
	}
	if s.cut == 0 {
		return s.nothing(w)
	}
	m := s.means()
	if s.from.route().rescues {
		return s.brings(m, w)
	}
	var lines []line
	add := func(name string, k look, text string, most int) {
		lines = append(lines, paragraph(name, meansIndent, k, text, w, most)...)
	}
	kept, k := s.keeps(m)
	add("KEPT", k, kept, most)
	lost, k := s.loses(m, most)
	add("LOST", k, lost, most)
	rpo, k := s.rpo(m)
	room := w - meansIndent - cells(rpo)
	if most != narrowMost { // it may take more than a line
		room += w
	}
	add("RPO", k, rpo+s.orRescue(m, room), most-1)
	add("TIME", plain, s.takes(m), most-1)
	add("OTHERS", plain, s.others(m), most-1)
	return lines
}

// brings says what a rescue brings back: what the transaction after the place did,
// and nothing that came later.
func (s *commitsScreen) brings(m meaning, w int) []line {
	var lines []line
	add := func(name string, k look, text string) {
		lines = append(lines, paragraph(name, meansIndent+1, k, text, w, s.m.most(3))...)
	}
	if m.lost == nil {
		add("RESCUE", warn, "nothing stands after this place: h goes to the newest harm, / finds a table")
		return lines
	}
	add("RESCUE", plain, fmt.Sprintf("the rows that xid %d of %s removed or changed come back: %s", m.lost.XID, millis(m.lost.Time, s.m.now()), m.lost.words()))
	if n := len(m.undone); n > 1 {
		add("", warn, fmt.Sprintf("it is one of %d that did harm: m marks each, and enter plans one rescue of all that are marked", n))
	}
	add("KEPT", plain, "everything else as it lives now: nobody loses what was written since")
	add("FIRST", plain, "two copies are restored into scratch and compared; then you see what would change, and type the name of the database")
	return lines
}

// nothing says how to choose.
func (s *commitsScreen) nothing(w int) []line {
	text := "h goes to just before the newest harm, / finds a table, t types a time, up and down go through the list. It reads further back as you go."
	if s.seeking {
		text = "looking for harm, further and further back .."
		if i := s.harmBehind(); i >= 0 {
			text = "found harm at " + near(s.commits.list[i].Time, s.m.now()) + ", looking where it began .."
		}
	}
	return append([]line{as(strong, "NOTHING IS CHOSEN YET")}, paragraph("", 0, plain, text, w, 4)...)
}

// typing says how what is typed is read.
func (s *commitsScreen) typing(w int) []line {
	if s.err != nil {
		return nil
	}
	now := s.m.now()
	if want, err := readMoment(s.ask.edit.text(), now); err == nil {
		return paragraph("", meansIndent, plain, readAs(want, now.Location()), w, 2)
	}
	return paragraph("", meansIndent, faint, "say "+now.Format("15:04:05")+", "+now.Format("2006-01-02 15:04")+", 10 minutes ago, latest, a transaction's number, lsn:3/7A21F0C8 or after-xid:81213", w, 3)
}

// unplaced says what is known of a typed moment that what was read does not
// show.
func (s *commitsScreen) unplaced(w int) []line {
	lines := paragraph("KEPT", meansIndent, plain, readAs(*s.typed, s.m.now().Location()), w, 2)
	text := "not known: the log was not read that far; the plan says it"
	switch {
	case s.reading != nil:
		text = "not known yet, reading .."
	case s.typed.Kind == recovery.WantLatest:
		text = "what no copy has when the plan is made"
	}
	return append(lines, paragraph("LOST", meansIndent, plain, text, w, 2)...)
}

// nearHarm is how far before the moment a harm that is kept weighs more than all else.
const nearHarm = 10 * recovery.OneHarm

func (s *commitsScreen) keeps(m meaning) (string, look) {
	now := s.m.now()
	text := "what was committed before, which was not read."
	switch {
	case m.unlisted:
		text = "what was committed before, which is not listed any more."
	case m.kept != nil:
		text = fmt.Sprintf("to %s, xid %d.", millis(m.kept.Time, now), m.kept.XID)
	case s.whole && s.readErr == nil:
		text = "the base backup as it ended; no commit of the log."
	}
	k, keeps := plain, ""
	if m.left != nil {
		k, keeps = warn, fmt.Sprintf(" KEEPS HARM of %s, xid %d: h goes before it.", millis(m.left.Time, now), m.left.XID)
	}
	switch {
	case m.left != nil && m.kept.Time.Sub(m.left.Time) <= nearHarm:
	case m.early != nil:
		text += fmt.Sprintf(" Xid %d drops files before it commits: what commits until then is lost too. The log does not say who.", m.early.XID)
	case len(m.undone) > 1:
		last := m.undone[len(m.undone)-1]
		text += fmt.Sprintf(" The harm has no single commit: %d did it, to %s, all after this. The log does not say who.", len(m.undone), millis(last.Time, now))
	case len(m.undone) == 1:
		text += fmt.Sprintf(" The log does not say who did %d.", m.undone[0].XID)
	case m.left == nil:
		text += " The log does not say who did what."
	}
	return text + keeps, k
}

func (s *commitsScreen) loses(m meaning, most int) (string, look) {
	now := s.m.now()
	more, k := "", plain
	if s.live.writes() {
		if more, k = ", MORE EACH SECOND", warn; most <= 0 || most > 2 {
			more += " until the writes stop"
		}
	}
	switch {
	case m.lost == nil && m.commits > 0:
		return recovery.FormatGrouped(m.commits) + " " + plural(m.commits, "commit", "commits") + more, k
	case m.lost == nil:
		return "nothing that the copy has" + more, k
	}
	from := "from"
	if m.about {
		from = "from before"
	}
	text := fmt.Sprintf("%s %s: %s %s", from, millis(m.lost.Time, now), recovery.FormatGrouped(m.commits), plural(m.commits, "commit", "commits"))
	if m.rows > 0 {
		text += ", " + recovery.FormatGrouped(m.rows) + plural(m.rows, " row", " rows") + " written"
	}
	var tables []string
	for _, t := range m.written[:min(3, len(m.written))] {
		tables = append(tables, fmt.Sprintf("%s %s", t.table, recovery.FormatGrouped(t.rows)))
	}
	if len(tables) > 0 {
		if m.partly || len(m.written) > len(tables) {
			tables = append(tables, "and more")
		}
		text += " (new: " + strings.Join(tables, ", ") + ")"
	}
	text += ", up to " + near(s.newest, now) + more
	return text, k
}

func (s *commitsScreen) rpo(m meaning) (string, look) {
	if m.kept == nil {
		return "not known: the last commit that is kept was not read", faint
	}
	upTo, so := s.newest, ""
	if s.live.writes() {
		upTo, so = latest(upTo, s.m.now()), " so far"
	}
	gone := max(0, upTo.Sub(m.kept.Time))
	if m.lost == nil && so == "" {
		gone = 0
	}
	owes := s.from.opened.RPO
	switch {
	case owes == 0:
		return "none is set; " + elapsed(gone) + " are lost" + so, plain
	case gone > owes:
		return took(owes) + ": MISSED, " + elapsed(gone) + so, bad
	}
	return took(owes) + ": met, " + elapsed(gone) + so, good
}

// takes says what must be copied and replayed.
func (s *commitsScreen) takes(m meaning) string {
	w := s.window()
	text := "copy of unknown size"
	if b := backupOf(s.log.survey, w.Backup); b != nil {
		text = "copy " + recovery.FormatBytes(b.Size())
	}
	at := s.cut
	if m.kept != nil {
		at = m.kept.End
	}
	if at > w.From.LSN && w.From.LSN != 0 {
		text += ", replay " + recovery.FormatBytes(int64(at-w.From.LSN)) + " of log"
	}
	from := " from base backup of " + near(w.From.Time, s.m.now())
	if back := s.from.backAbout(); back != "" && s.from.mode() == recovery.Recovery {
		return text + ": " + back + ";" + from
	}
	text += from
	for _, stage := range s.from.opened.Stages {
		if stage.Last > 0 && strings.Contains(strings.ToLower(stage.Name), strings.ToLower(w.Component)) {
			return text + "; last time " + took(stage.Last)
		}
	}
	return text + "; the plan says how long"
}

// others says how far the nearest backups of the other components are.
func (s *commitsScreen) others(m meaning) string {
	at := s.moment()
	if m.kept != nil {
		at = m.kept.Time
	}
	now := s.m.now()
	var parts []string
	seen := map[string]bool{s.log.window.Component: true}
	for _, a := range s.from.rows {
		if seen[a.Component] {
			continue
		}
		var best time.Time
		says := a.Says
		for _, other := range s.from.rows {
			for _, survey := range other.Surveys {
				if other.Component != a.Component {
					continue
				}
				for _, b := range survey.Backups {
					if b.Problem == "" && !b.Taken.To.IsZero() && !b.Taken.To.After(at) && b.Taken.To.After(best) {
						best = b.Taken.To
					}
				}
			}
		}
		seen[a.Component] = true
		switch {
		case !best.IsZero():
			parts = append(parts, fmt.Sprintf("%s of %s, %s older", clean(a.Component), near(best, now), elapsed(at.Sub(best))))
		case says != "":
			parts = append(parts, clean(a.Component)+": "+clean(says))
		default:
			parts = append(parts, clean(a.Component)+": no backup from before it is known")
		}
	}
	for _, c := range s.from.opened.Components {
		if !seen[c.Name] {
			parts = append(parts, clean(c.Name)+": not looked at")
		}
	}
	if len(parts) == 0 {
		return "no other component"
	}
	return strings.Join(parts, "; ")
}

// millis is a time of day with milliseconds, with its date unless it is today's.
func millis(t, now time.Time) string {
	t = t.In(now.Location())
	if sameDay(t, now) {
		return t.Format("15:04:05.000")
	}
	return t.Format("2 Jan 15:04:05.000")
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
