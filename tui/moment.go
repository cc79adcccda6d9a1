package tui

import (
	"context"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// momentScreen is where the moment to go back to is chosen: a backup, or any
// moment of a window. Nothing is chosen beforehand.
type momentScreen struct {
	m    *model
	from *runbookScreen
	// at names the offer that the cursor stands on; at first it is none. The
	// list grows while copies are read, and the cursor must not slip.
	at string
	// typed is the moment while it is typed, into the window offer.
	typed *field
	into  offer
	// tried is the choice that is being planned, or was refused with err.
	tried    *Choice
	planning bool
	err      error
	cancel   context.CancelFunc
}

func newMoment(m *model, from *runbookScreen) *momentScreen {
	return &momentScreen{m: m, from: from, cancel: func() {}}
}

func (s *momentScreen) field() *field { return s.typed }

func (s *momentScreen) close() { s.cancel() }

// cursor is where the chosen offer stands in a list, -1 if it is not there.
func (s *momentScreen) cursor(list []offer) int {
	return slices.IndexFunc(list, func(o offer) bool { return o.name() == s.at })
}

func (s *momentScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.planning {
		if k.String() == keyEscape {
			s.cancel()
			s.planning, s.tried = false, nil
			return nil, true
		}
		return nil, k.String() != "?"
	}
	if s.typed != nil {
		switch k.String() {
		case keyEscape:
			s.typed, s.err = nil, nil
			return nil, true
		case keyEnter:
			return s.use(), true
		}
		s.err = nil
		return nil, false
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
		return nil, true
	case "g":
		return s.from.survey(), true
	}
	return nil, false
}

// choose takes a backup as it is, and asks for the moment in a window.
func (s *momentScreen) choose(o offer) tea.Cmd {
	s.err = nil
	if o.window != nil {
		s.typed, s.into = &field{}, o
		return nil
	}
	choice := Choice{Want: o.backup.ID, Component: o.backup.Component, Copy: o.backup.Copy, Engine: o.backup.Engine, Backup: o.backup.ID}
	if o.backup.Problem != "" {
		s.tried = &choice
		s.err = recovery.Errorf("choose another backup", "%s cannot be restored: %s", o.backup.ID, o.backup.Problem)
		return nil
	}
	return s.plan(choice)
}

// use plans the moment that was typed.
func (s *momentScreen) use() tea.Cmd {
	want, err := s.want()
	if err != nil {
		s.err = err
		return nil
	}
	w := s.into.window
	return s.plan(Choice{Want: want.Text, Component: w.Component, Copy: w.Copy, Engine: w.Engine, Backup: w.Backup})
}

// want reads what was typed. A backup's id is not a moment of a window.
func (s *momentScreen) want() (recovery.Want, error) {
	want, err := recovery.ParseWant(s.typed.text(), s.m.now())
	if err != nil {
		return want, err
	}
	if want.Kind == recovery.WantBackup {
		return want, recovery.Errorf("say latest, a time with its offset, 10 minutes ago, lsn:3/7A21F0C8 or before-xid:81214",
			"%q is not a moment", want.Text)
	}
	return want, nil
}

// plan asks for the plan to a choice and shows it; a refusal stays here.
func (s *momentScreen) plan(c Choice) tea.Cmd {
	ctx, cancel := context.WithCancel(s.from.ctx)
	s.cancel()
	s.tried, s.planning, s.err, s.cancel = &c, true, nil, cancel
	return ask(ctx, s, func(ctx context.Context) (*Prepared, error) {
		return s.m.desk.Plan(ctx, s.from.path, recovery.Rehearsal, c)
	}, func(p *Prepared, err error) tea.Cmd {
		if ctx.Err() != nil {
			return nil // given up, or overtaken by another choice
		}
		s.planning, s.err = false, err
		if err != nil {
			return nil
		}
		s.typed, s.tried = nil, nil
		return s.m.push(&planScreen{m: s.m, from: s, prepared: p})
	})
}

func (s *momentScreen) page(w, h int) page {
	p := page{
		system: s.from.opened.Name, aside: owes(s.from.opened.System), mode: rehearsing, focus: -1,
		live: "LIVE: untouched", note: "nothing runs before you have seen the plan",
		keys: []binding{{keyEnter, "use"}, {"g", "again"}}, leave: escBack,
	}
	below := s.below(w)
	list := s.offers()
	title := spread(as(strong, "GO BACK TO WHICH MOMENT?"), as(faint, "nothing is chosen for you"), w)
	t := s.table(w, list)
	p.body = append(p.body, title, t.titles())
	if len(list) == 0 {
		text := "  no copy holds a backup"
		if s.from.surveying {
			text = "  looking into the copies .."
		}
		p.body = append(p.body, as(faint, text))
	}
	var rows []line
	cursor := s.cursor(list)
	for i, o := range list {
		rows = append(rows, s.row(t, o, i == cursor))
	}
	unread := s.unread(w)
	room := max(3, h-len(below)-len(unread)-3)
	p.body = append(p.body, window(rows, cursor, room)...)
	p.body = append(p.body, unread...)
	p.body = append(append(p.body, nil), below...)
	for i, l := range p.body {
		if slices.ContainsFunc(l, func(s span) bool { return s.look == caretMark }) {
			p.focus = i
		}
	}
	switch {
	case s.planning:
		p.keys, p.leave = nil, binding{keyEscape, "give up"}
	case s.typed != nil:
		p.keys, p.leave = []binding{{keyEnter, "use"}}, binding{keyEscape, "back to the list"}
	}
	return p
}

// unread says which copies are missing from the list.
func (s *momentScreen) unread(w int) []line {
	var lines []line
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

// below is what stands under the list: the field, a refusal, or more about the
// row that the cursor is on.
func (s *momentScreen) below(w int) []line {
	var lines []line
	if s.typed != nil {
		lines = append(lines, s.typed.line("MOMENT  > ", w))
		if s.err == nil && !s.planning {
			lines = append(lines, s.meaning(w)...)
		}
	}
	list := s.offers()
	cursor := s.cursor(list)
	switch {
	case s.planning:
		lines = append(lines, say("        resolving "+s.tried.Want+" and making the plan .."))
	case s.err != nil:
		if s.tried != nil && s.typed == nil {
			lines = append(lines, as(strong, pad("MOMENT", 10)).say(s.tried.Want))
		}
		lines = append(lines, trouble("REFUSED", s.err, w)...)
	case s.typed == nil && cursor >= 0:
		lines = append(lines, s.about(list[cursor], w)...)
	case s.typed == nil && len(list) > 0:
		lines = append(lines, as(faint, "up and down go through the list, enter takes what the cursor stands on"))
	}
	return lines
}

// meaning says how what was typed so far is read.
func (s *momentScreen) meaning(w int) []line {
	const indent = 10
	examples := "latest, 10 minutes ago, " + s.m.now().Format("2006-01-02T15:04:05Z07:00") + ", lsn:3/7A21F0C8, before-xid:81214"
	if s.typed.text() == "" {
		return paragraph("", indent, faint, "say "+examples, w, 2)
	}
	want, err := s.want()
	if err != nil {
		return paragraph("", indent, faint, "not a moment yet; say "+examples, w, 2)
	}
	text := map[recovery.WantKind]string{
		recovery.WantLatest:    "the last commit that the copy holds",
		recovery.WantTime:      "the last commit at or before " + exact(want.Time, s.m.now().Location()),
		recovery.WantLSN:       "nothing at or after " + want.LSN.String(),
		recovery.WantBeforeXID: fmt.Sprintf("everything before the commit of transaction %d", want.XID),
		recovery.WantAfterXID:  fmt.Sprintf("everything up to the commit of transaction %d, with it", want.XID),
	}[want.Kind]
	return paragraph("", indent, plain, text, w, 2)
}
