package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// momentScreen is where it is chosen what to go back to: a backup as it is, or
// the log of a copy, in which the moment is looked for. Nothing is chosen
// beforehand.
type momentScreen struct {
	chooser
	// at names the offer that the cursor stands on; at first it is none. The
	// list grows while copies are read, and the cursor must not slip.
	at string
	// passed says that this screen was passed over: there was only one log to
	// look into.
	passed bool
}

func newMoment(m *model, from *runbookScreen) *momentScreen {
	return &momentScreen{chooser: chooser{m: m, from: from}}
}

func (s *momentScreen) field() *field { return nil }

// open goes on to the log where there is nothing else to choose.
func (s *momentScreen) open() tea.Cmd {
	list := s.offers()
	only := slices.IndexFunc(list, func(o offer) bool { return o.window != nil })
	if s.passed || s.from.surveying || only < 0 || s.planning {
		return nil
	}
	for _, o := range list {
		if !sameLog(o, list[only]) {
			return nil
		}
	}
	s.passed, s.at = true, list[only].name()
	return s.m.push(newCommits(s, list[only]))
}

// cursor is where the chosen offer stands in a list, -1 if it is not there. It
// begins on the only log where one is looked for: that opens it, and chooses no
// moment.
func (s *momentScreen) cursor(list []offer) int {
	if s.at == "" && s.from.route().log && !s.from.surveying {
		isLog := func(o offer) bool { return o.window != nil }
		if first := slices.IndexFunc(list, isLog); first >= 0 && !slices.ContainsFunc(list[first+1:], isLog) {
			return first
		}
	}
	return slices.IndexFunc(list, func(o offer) bool { return o.name() == s.at })
}

func (s *momentScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.planning {
		if k.String() == keyEscape {
			s.giveUp()
			return nil, true
		}
		return nil, k.String() != "?"
	}
	list := s.offers()
	cursor := s.cursor(list)
	if to, ok := move(k.String(), cursor, len(list), 8); ok {
		s.at, s.err = list[to].name(), nil
		return nil, true
	}
	switch k.String() {
	case keyEnter:
		if cursor >= 0 {
			return s.choose(list[cursor]), true
		}
		s.err = recovery.Errorf("go to one with up and down, then enter", "no moment is chosen yet")
		if len(list) == 0 {
			s.err = recovery.Errorf(s.elsewhere(), "there is no moment to choose")
		}
		return nil, true
	case "g":
		return s.from.survey(), true
	}
	return nil, false
}

// choose takes a backup as it is, and looks into a log for the moment.
func (s *momentScreen) choose(o offer) tea.Cmd {
	s.err = nil
	if o.window != nil {
		return s.m.push(newCommits(s, o))
	}
	choice := Choice{Want: o.backup.ID, Component: o.backup.Component, Copy: o.backup.Copy, Engine: o.backup.Engine, Backup: o.backup.ID}
	if o.backup.Problem != "" {
		s.tried = &choice
		s.err = recovery.Errorf("choose another backup", "%s cannot be restored: %s", o.backup.ID, o.backup.Problem)
		return nil
	}
	return s.plan(choice)
}

// elsewhere says what to do where nothing is offered.
func (s *momentScreen) elsewhere() string {
	if s.from.route().apart {
		return "esc, then 1 offers every copy; whoever broke in may have changed what you restore from there"
	}
	return "esc, and read under CAN WE? what is missing; g looks into the copies again"
}

// plan asks for the plan to a choice and shows it.
func (s *momentScreen) plan(c Choice) tea.Cmd { return s.chooser.plan(s, s, c) }

func (s *momentScreen) page(w, h int) page {
	p := page{
		system: s.from.opened.Name, aside: s.from.aside(), mode: s.from.frameMode(), focus: -1,
		live: "LIVE: untouched", note: "nothing runs before you have seen the plan",
		keys: []binding{{keyEnter, "use"}, {"g", "again"}}, leave: escBack,
	}
	below := s.below(w)
	list := s.offers()
	title := spread(as(strong, "GO BACK TO WHICH MOMENT?"), as(faint, "nothing is chosen for you"), w)
	t := s.table(w, list)
	switch r, on := s.from.route(), s.cursor(list); {
	case r.looks:
		title = spread(as(strong, "LOOK INTO WHICH LOG?"), as(faint, "nothing is chosen for you"), w)
		fallthrough
	case on >= 0 && list[on].window != nil:
		p.keys[0].does = "read its log"
	}
	p.body = append(p.body, title, t.titles())
	if len(list) == 0 {
		text := "  no copy that is offered here holds a backup"
		if s.from.surveying {
			text = "  looking into the copies .."
		}
		p.body = append(p.body, as(faint, text))
		p.keys = []binding{{"g", "again"}}
		if !s.from.surveying {
			p.body = append(p.body, paragraph("", 2, plain, "Next: "+s.elsewhere()+".", w, 3)...)
		}
	}
	var rows []line
	cursor := s.cursor(list)
	for i, o := range list {
		rows = append(rows, s.row(t, o, i == cursor))
	}
	unread := s.unread(w)
	room := max(3, h-len(below)-len(unread)-3)
	p.pickRows(len(p.body), len(rows), cursor, room, func(i int) { s.at, s.err = list[i].name(), nil })
	p.body = append(p.body, window(rows, cursor, room)...)
	p.body = append(p.body, unread...)
	p.body = append(append(p.body, nil), below...)
	if s.planning {
		p.keys, p.leave = nil, binding{keyEscape, "give up"}
	}
	return p
}

// unread says which copies are missing from the list.
func (s *momentScreen) unread(w int) []line {
	var lines []line
	if out := s.from.leftOut(); len(out) > 0 {
		lines = append(lines, as(warn, "  LEFT OUT").say(": "+strings.Join(out, ", ")+", which whoever broke in may have changed").fit(w))
	}
	for _, a := range s.from.rows {
		switch a.State {
		case Looking:
			lines = append(lines, as(faint, "  still looking for "+a.Component+" in "+a.Copy+" .."))
		case Refused:
			lines = append(lines, as(bad, "  REFUSED").say(": what "+a.Copy+" holds of "+a.Component+" is not known, see the runbook's screen").fit(w))
		}
	}
	return lines
}

// below is what stands under the list: a refusal, or more about the row that the
// cursor is on.
func (s *momentScreen) below(w int) []line {
	list := s.offers()
	cursor := s.cursor(list)
	switch {
	case s.planning || s.err != nil:
		return s.refusal(w)
	case cursor >= 0:
		return s.about(list[cursor], w)
	case len(list) > 0 && s.m.byLines:
		return []line{as(faint, "a number takes the one with it")}
	case len(list) > 0:
		return []line{as(faint, "up and down go through the list, enter takes what the cursor stands on")}
	}
	return nil
}
