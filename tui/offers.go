package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// offer is one row: a backup, or a window when window is set.
type offer struct {
	survey *recovery.Survey
	backup *recovery.Backup
	window *recovery.Window
}

// offers lists windows and backups of every engine and copy, newest first.
func (s *momentScreen) offers() []offer {
	var list []offer
	out := s.from.leftOut()
	for _, survey := range s.from.surveys() {
		if slices.Contains(out, survey.Copy) {
			continue
		}
		for i := range survey.Windows {
			list = append(list, offer{&survey, backupOf(&survey, survey.Windows[i].Backup), &survey.Windows[i]})
		}
		for i := range survey.Backups {
			list = append(list, offer{&survey, &survey.Backups[i], nil})
		}
	}
	slices.SortStableFunc(list, func(a, b offer) int { return b.until().Compare(a.until()) })
	return list
}

// backupOf is a backup of a survey by its id, nil if it is not there.
func backupOf(s *recovery.Survey, id string) *recovery.Backup {
	for i := range s.Backups {
		if s.Backups[i].ID == id {
			return &s.Backups[i]
		}
	}
	return nil
}

// name tells offers apart.
func (o offer) name() string {
	id, kind := "", "backup"
	if o.window != nil {
		kind = "window " + o.window.From.LSN.String()
		id = o.window.Backup
	} else {
		id = o.backup.ID
	}
	return strings.Join([]string{o.survey.Copy, o.survey.Component, o.survey.Engine, kind, id}, "\x00")
}

// sameLog reports whether two offers are of one log: its windows, and the base
// backups that these start from.
func sameLog(a, b offer) bool {
	same := a.survey.Copy == b.survey.Copy && a.survey.Component == b.survey.Component && a.survey.Engine == b.survey.Engine
	return same && len(a.survey.Windows) > 0
}

// until is the newest moment that the offer reaches.
func (o offer) until() time.Time {
	switch {
	case o.window == nil:
		return latest(o.backup.Taken.From, o.backup.Taken.To)
	case o.window.To.Time.IsZero():
		return o.survey.At // not read to its end
	}
	return o.window.To.Time
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// components counts the components that are offered.
func components(list []offer) int {
	seen := map[string]bool{}
	for _, o := range list {
		seen[o.survey.Component] = true
	}
	return len(seen)
}

func (s *momentScreen) table(w int, list []offer) table {
	t := table{w: w, columns: []column{
		{title: "MOMENT", width: 34, keep: 9}, {title: "COPY", width: 9, keep: 5}, {title: "WHAT"},
		{title: "SIZE", width: 7, right: true, keep: 3}, {title: "EXACT", width: 6, keep: 4},
	}}
	if components(list) > 1 {
		t.columns = slices.Insert(t.columns, 1, column{title: "OF", width: 9, keep: 6})
	}
	return t
}

// row is one offer.
func (s *momentScreen) row(t table, o offer, chosen bool) line {
	now := s.m.now()
	k := plain
	if chosen {
		k = strong
	}
	var row []span
	if o.window != nil {
		w := o.window
		what, size := "window, no gap", ""
		if n := len(w.Gaps); n > 0 {
			what = "window, " + count(n, "GAP", "GAPS")
		}
		if o.backup != nil {
			size = recovery.FormatBytes(o.backup.Amount())
		}
		exactTo := "commit"
		if w.From.LSN == 0 {
			exactTo = "second"
		}
		row = []span{{between(w.From.Time, w.To.Time, now), k}, {w.Copy, plain}, {what, plain}, {size, plain}, {exactTo, plain}}
	} else {
		b := o.backup
		what := span{b.Form, plain}
		if _, less := s.from.shrank(b); b.Problem != "" {
			what = span{"BROKEN: " + b.Problem, bad}
		} else if less {
			what = span{recovery.Shrunk + b.Form, bad}
		}
		row = []span{{taken(b.Taken, now), k}, {b.Copy, plain}, what, {recovery.FormatBytes(b.Amount()), plain}, {"backup", plain}}
	}
	if len(t.columns) > len(row) {
		row = slices.Insert(row, 1, span{o.survey.Component, plain})
	}
	return t.row(mark(chosen), row...)
}

// between writes the span of a window in at most 34 cells.
func between(from, to, now time.Time) string {
	switch {
	case to.IsZero():
		return stamp(from, now) + " .. its end"
	case sameDay(from.In(now.Location()), to.In(now.Location())):
		return strings.TrimSuffix(stamp(from, now), " today") + " .. " + stampClock(to, now)
	}
	return stamp(from, now) + " .. " + stamp(to, now)
}

// stampClock is the time of day of a moment whose date has been said, or today's.
func stampClock(t, now time.Time) string {
	text := t.In(now.Location()).Format("15:04:05")
	if sameDay(t.In(now.Location()), now) {
		text += " today"
	}
	return text
}

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}

// taken writes the moment of a backup's content. One that lies somewhere in a
// span begins with a question mark, so that it does not read like a window.
func taken(s recovery.Span, now time.Time) string {
	switch {
	case s.Known():
		return stamp(s.From, now)
	case s.From.IsZero() && s.To.IsZero():
		return "unknown"
	case s.From.IsZero():
		return "before " + stamp(s.To, now)
	case s.To.IsZero():
		return stamp(s.From, now) + " or later"
	}
	if s.To.Sub(s.From) < time.Minute {
		return "? " + s.From.In(now.Location()).Format("_2 Jan 15:04:05") + " .. " + s.To.In(now.Location()).Format("15:04:05")
	}
	const short = "_2 Jan 15:04"
	return "? " + s.From.In(now.Location()).Format(short) + " .. " + s.To.In(now.Location()).Format(short)
}

// about says more of the row that the cursor stands on.
func (s *momentScreen) about(o offer, w int) []line {
	const indent = 10
	zone := s.m.now().Location()
	var lines []line
	add := func(name, text string) {
		lines = append(lines, paragraph(name, indent, plain, text, w, 2)...)
	}
	if o.window != nil {
		win := o.window
		end := exact(win.To.Time, zone)
		if win.To.Time.IsZero() {
			end = "the end of its log, which is read when a moment is chosen"
		}
		add("WINDOW", fmt.Sprintf("after %s, to %s; timeline %d", exact(win.From.Time, zone), end, win.Timeline))
		add("FROM", "backup "+win.Backup)
		for i, gap := range win.Gaps {
			if i == 3 {
				add("", fmt.Sprintf("and %d more", len(win.Gaps)-i))
				break
			}
			add("GAP", fmt.Sprintf("from %s: %s is %s", gap.From, gap.Object, gap.Why))
		}
		return append(lines, as(faint, "enter reads what its log tells, and asks for the moment; none is chosen for you"))
	}
	b := o.backup
	lines = append(lines, as(strong, pad("BACKUP", indent)).say(cutLeft(clean(b.ID), w-indent)))
	if b.Problem != "" {
		lines = append(lines, paragraph("BROKEN", indent, bad, b.Problem, w, 3)...)
	}
	if less, ok := s.from.shrank(b); ok {
		lines = append(lines, paragraph("SHRANK", indent, bad, less.Says()+"; the last before: "+less.Last().ID, w, 3)...)
	}
	if proof := s.from.accessOf(b).Proof; proof != nil {
		add("PROOF", proof(*b).Tells(zone))
	}
	if t := b.Taken; !t.Known() && !t.From.IsZero() && !t.To.IsZero() {
		add("TAKEN", fmt.Sprintf("at a moment that is not known, between %s and %s", exact(t.From, zone), exact(t.To, zone)))
	}
	text := fmt.Sprintf("%s, %s in %s, engine %s", b.Form, recovery.FormatBytes(b.Amount()), count(len(b.Objects), "object", "objects"), b.Engine)
	add("WHAT", text)
	names := make([]string, 0, len(b.Details))
	for name := range b.Details {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = name + " " + b.Details[name]
	}
	if len(names) > 0 {
		add("DETAILS", strings.Join(names, ", "))
	}
	return lines
}
