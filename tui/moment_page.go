package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

func (s *commitsScreen) page(w, h int) page {
	p := page{
		system: s.from.opened.Name, aside: s.from.aside(), mode: s.from.frameMode(), focus: -1,
		live: "LIVE: untouched", note: "nothing runs before you have seen the plan",
		keys: []binding{{keyEnter, "use"}, {"h", "harm"}, {"+/-", "zoom"}, {"t", "time"}, {"s", "status"}, {"/", "find"}, {"H", "later harm"}, {"w", "push out..."},
			{"left/right", "pan"}, {"g", "again"}, {"n", "find the next"}, {"c", "people"}},
		leave: escBack,
	}
	if s.reading != nil {
		p.keys[len(p.keys)-1].does = "stop reading"
	}
	if s.mayRescue() {
		p.keys = slices.Insert(p.keys, 4, binding{"x", "rescue"})
	}
	if r := s.from.route(); r.rescues {
		p.keys[0].does = "plan the rescue"
		p.keys = slices.Insert(p.keys, 2, binding{"m", "mark"})
	} else if r.looks { // enter has nothing to use
		p.keys, p.note = p.keys[1:], "this way only looks"
		p.leave = binding{keyEscape, "choose what happened"}
	}
	if s.live.pushing || !s.live.pushed.IsZero() {
		p.live, p.note = "LIVE: told to switch to a new segment of its log", "no data is changed"
	}
	switch {
	case s.says != "":
		p.note = s.says
	case s.seeking:
		p.note = "looking for harm, further back; c stops"
	case s.reading != nil:
		p.note = "reading the log; c stops"
	}
	switch {
	case s.planning:
		p.keys, p.leave = nil, binding{keyEscape, "give up"}
	case s.ask != nil:
		p.keys, p.leave = []binding{{keyEnter, s.ask.does}}, binding{keyEscape, "drop"}
	}
	p.body = s.top(w)
	if w >= wide {
		lw := (w - 2) * 62 / 100
		room := h - len(p.body)
		left := s.graph(lw, 6)
		list, focus := s.rowsIn(lw, max(3, room-len(left)-1))
		left = append(append(left, s.head(lw)), list...)
		right := append(s.middle(w-lw-2), s.told(w-lw-2, 6)...)
		p.focus = len(p.body) + len(left) - len(list) + focus
		p.body = append(p.body, beside(left, right, lw, w)...)
	} else {
		below := append(s.middle(w), s.told(w, s.m.most(narrowMost))...)
		high := min(2, h-len(p.body)-len(below)-5)
		if h >= 24 {
			high = min(4, h-len(p.body)-len(below)-8)
		}
		if high > 0 {
			p.body = append(p.body, s.graph(w, high)...)
		}
		p.body = append(p.body, s.head(w))
		list, focus := s.rowsIn(w, max(3, h-len(p.body)-len(below)))
		p.focus = len(p.body) + focus
		p.body = append(append(p.body, list...), below...)
	}
	for i, l := range p.body {
		for _, part := range l {
			if part.look == caretMark {
				p.focus = i
			}
		}
	}
	return p
}

// top is what can be restored, and how far the live server is.
func (s *commitsScreen) top(w int) []line {
	now := s.m.now()
	log := s.window()
	to := "its end"
	switch end := log.To.Time; {
	case end.IsZero():
	case end.Equal(s.log.window.To.Time): // it has grown since the copy was looked into
		to = near(latest(end, s.newest), now)
	default:
		to = near(end, now)
	}
	gap := ", no gap"
	if n := len(log.Gaps); n > 0 {
		gap = ", " + count(n, "GAP", "GAPS")
	}
	text := fmt.Sprintf("%s, base %s .. %s%s", clean(log.Copy), near(log.From.Time, now), to, gap)
	lines := []line{spread(as(strong, "WINDOW  ").say(text), s.readBack(), w)}
	for i, g := range log.Gaps {
		if i == 1 {
			lines = append(lines, say(fmt.Sprintf("        and %d more gaps", len(log.Gaps)-i)))
			break
		}
		lines = append(lines, paragraph("GAP", 8, warn, s.gap(g), w, s.m.most(2))...)
	}
	lines = append(lines, s.archived(w)...)
	if s.readErr != nil {
		lines = append(lines, paragraph("UNREAD", 8, bad, s.m.pasted(s.readErr.Error()), w, s.m.most(2))...)
		if hint := recovery.HintOf(s.readErr); hint != "" {
			lines = append(lines, paragraph("", 8, plain, s.m.pasted(hint)+"; what was read stays", w, 1)...)
		}
	}
	return lines
}

// gap says what is missing, and what that costs.
func (s *commitsScreen) gap(g recovery.Gap) string {
	text := fmt.Sprintf("%s is %s, LSN %s: ", clean(g.Object), g.Why, g.From)
	var next *recovery.Backup
	for i := range s.log.survey.Backups {
		b := &s.log.survey.Backups[i]
		if g.To != 0 && b.Problem == "" && b.Stop >= g.To && (next == nil || b.Stop < next.Stop) {
			next = b
		}
	}
	if next == nil {
		return text + "no moment after it can be restored"
	}
	return text + "no moment between it and base backup " + clean(next.ID) + " can be restored"
}

// graph is what was written when.
func (s *commitsScreen) graph(w, h int) []line {
	from, to := s.viewed()
	g := histogram{from: from, to: to, at: s.moment(), ascii: s.m.theme.ascii}
	zone := s.m.now().Location()
	g.from, g.to = from.In(zone), to.In(zone)
	if g.read = s.oldestRead(); g.read.IsZero() {
		g.read = to.Add(time.Second)
	}
	for i := range s.commits.list {
		if t := s.commits.list[i].Time; isHarm(&s.commits.list[i]) && !t.Before(from) && !t.After(to) {
			g.harms = append(g.harms, t)
		}
	}
	g.perSecond = s.activity.columns(from, to, max(0, w-histogramLabel))
	return g.lines(h)
}

// head is the line over the list.
func (s *commitsScreen) head(w int) line {
	text := as(strong, "  "+pad("TIME", s.whenWidth())+" XID        WHAT IT DID")
	var right line
	if n := s.harmful; n > 0 {
		right = as(bad, fmt.Sprintf("%d HARM", n))
		if s.judging > 0 {
			right = right.and(busy, fmt.Sprintf(" (usual? %d %%)", int(s.judged*100)))
		}
		right = right.say(", ")
	}
	if n := len(s.marked); n > 0 {
		right = right.and(strong, fmt.Sprintf("%d MARKED, ", n))
	}
	if s.usual > 0 {
		right = right.say(fmt.Sprintf("%d usual, ", s.usual))
	}
	if s.cut != 0 && !s.from.route().rescues {
		right = right.say(recovery.FormatGrouped(s.means().commits) + " lost of ")
	}
	right = right.say(recovery.FormatGrouped(s.n) + " commits")
	if find := right.say(", / find"); text.cells()+1+find.cells() <= w {
		right = find
	}
	return spread(text, right, w)
}

// rowsIn is the list in h lines, around the place, and the line of the place.
func (s *commitsScreen) rowsIn(w, h int) ([]line, int) {
	s.rows = h
	n := len(s.commits.list)
	at := s.at()
	chosen := s.cut != 0
	var lines []line
	focus := 0
	if s.typed != nil {
		h--
	}
	// Older lines stand above. Half of the lines are of what is kept.
	older := (h - 1) / 2
	if !chosen {
		older = h
	}
	newer := h - 1 - older
	if at < newer {
		older, newer = older+newer-at, at
	}
	if n-at < older {
		older, newer = n-at, min(at, newer+older-(n-at))
	}
	for i := at + older - 1; i >= at; i-- {
		lines = append(lines, s.row(i, w))
	}
	if chosen {
		focus = len(lines)
		lines = append(lines, s.cursor(at, w))
	}
	for i := at - 1; i >= at-newer && i >= 0; i-- {
		lines = append(lines, s.row(i, w))
	}
	switch {
	case n == 0 && s.reading != nil:
		lines = append(lines, as(faint, "  reading the newest part of the log .."))
	case n == 0 && s.readErr != nil:
		lines = append(lines, as(warn, "  nothing was read; t types a moment, g tries again"))
	case n == 0:
		lines = append(lines, as(faint, "  the log holds no transaction; t types a moment"))
	}
	if s.typed != nil {
		lines = append(lines, as(strong, "  -- moment: "+s.typed.Text+" "+strings.Repeat("-", max(0, w-14-cells(clean(s.typed.Text))))).fit(w))
		focus = len(lines) - 1
	}
	for len(lines) < h {
		lines = append(lines, nil)
	}
	return lines, focus
}

// row is one line of the list.
func (s *commitsScreen) row(i, w int) line {
	h := &s.commits.list[i]
	when, xid := "", "-"
	if !h.Time.IsZero() {
		when = s.when(h.Time)
	}
	if h.XID != 0 {
		xid = fmt.Sprint(h.XID)
	}
	k, m := plain, "  "
	switch {
	case isHarm(h):
		k, m = bad, "! "
	case h.How == recovery.Aborted || h.How == recovery.AbortedPrepared:
		k = faint
	case h.How == recovery.NamedPoint || h.How == recovery.Prepared:
		k = strong
	}
	if slices.Contains(s.marked, h.XID) {
		m = m[:1] + "*"
	}
	words := clean(h.words())
	if skipped := s.skipped(i); skipped > 0 {
		words = fmt.Sprintf("(%s after it not listed: g here) ", recovery.FormatGrouped(skipped)) + words
	}
	return as(bad, m).say(pad(when, s.whenWidth())+" "+pad(xid, 10)+" ").and(k, words).fit(w)
}

// when is the time of a line, with its offset where that is not the one of now.
func (s *commitsScreen) when(t time.Time) string {
	now := s.m.now()
	t = t.In(now.Location())
	text := t.Format("15:04:05.000")
	if !sameDay(t, now) {
		text = t.Format("_2 Jan 15:04")
	}
	if offset(t) != offset(now) {
		text += offset(t)
	}
	return text
}

// changed is when the clocks were changed, if that is within what was read; zero if it is not.
func (s *commitsScreen) changed() time.Time {
	at, _ := s.m.now().ZoneBounds()
	if oldest := s.oldestRead(); oldest.IsZero() || !oldest.Before(at) {
		return time.Time{}
	}
	return at
}

// whenWidth is how wide the times of the list are.
func (s *commitsScreen) whenWidth() int {
	const width = 13
	if at := s.changed(); !at.IsZero() {
		return width + len(offset(at.Add(-1)))
	}
	return width
}

// offsets are what times of the list are in.
func (s *commitsScreen) offsets() string {
	now := s.m.now()
	if at := s.changed(); !at.IsZero() {
		return offset(at.Add(-1)) + ", from " + at.Format("2 Jan 15:04") + " on " + offset(now)
	}
	return offset(now)
}

// cursor is the line between two commits.
func (s *commitsScreen) cursor(at, w int) line {
	timeline := s.log.window.Timeline
	if at > 0 && s.commits.list[at-1].Timeline != 0 {
		timeline = s.commits.list[at-1].Timeline
	} else if at < len(s.commits.list) && s.commits.list[at].Timeline != 0 {
		timeline = s.commits.list[at].Timeline
	}
	end := fmt.Sprintf(" LSN %s, timeline %d ---", s.means().at, timeline)
	begin := "  -- moment: go back to here "
	if s.from.route().rescues {
		begin = "  -- rescue: what the next one did "
	}
	if b := s.live.beside(s.moment()); b != "" && cells(begin)+cells(b)+cells(end)+2 <= w {
		end = " " + b + "," + end
	}
	return as(strong, begin+strings.Repeat("-", max(0, w-cells(begin)-cells(end)))+end).fit(w)
}
