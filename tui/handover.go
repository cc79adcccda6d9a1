package tui

import (
	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// handScreen gives the command of a run to somebody else.
type handScreen struct {
	m   *model
	run *attached
	asker
	menu   menu
	asking bool
}

func newHandOver(m *model, a *attached) *handScreen {
	return &handScreen{m: m, run: a, menu: menu{-1}}
}

// gone is when the command has gone to another, or there is nothing to command.
func (s *handScreen) gone() bool { return s.run.over || !s.run.mine(s.m) }

func (s *handScreen) choices() []choice {
	var list []choice
	for _, w := range s.run.others(s.m) {
		list = append(list, choice{name: w.Operator, leaves: w.Terminal + " since " + w.Since.In(s.m.now().Location()).Format("15:04:05"), do: func() tea.Cmd { return s.send(w.Operator) }})
	}
	return append(list, choice{name: "Another name...", leaves: "somebody who does not look at the run now", do: func() tea.Cmd {
		s.asks(&prompt{label: "HAND OVER TO > ", does: "hand over", needs: "this needs a name", then: s.send})
		return nil
	}})
}

func (s *handScreen) send(to string) tea.Cmd {
	s.asking, s.err = true, nil
	return s.run.ask(s.m, s, recovery.Command{Kind: recovery.DoHandOver, To: to}, func(err error) tea.Cmd {
		s.asking = false
		if s.refused(err); err == nil {
			return s.m.back()
		}
		return nil
	})
}

func (s *handScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.asking:
		return nil, k.String() != "?"
	case s.prompt != nil:
		return s.answer(k)
	}
	c, handled := s.menu.key(k, s.choices())
	if c == nil {
		return nil, handled
	}
	return c.do(), true
}

func (s *handScreen) page(w, h int) page {
	p := s.run.frame(s.m)
	p.keys, p.leave = []binding{{keyEnter, "hand over"}}, binding{keyEscape, "keep the command"}
	p.body = []line{as(strong, "HAND THE COMMAND OVER").say("   run " + s.run.plan.Run), nil}
	s.menu.show(&p, s.choices(), w)
	p.body = append(p.body, nil)
	p.body = append(p.body, paragraph("AFTER", 10, plain, "you watch and can write notes; ticks, decisions and the stop are the other's. The journal says who gave it to whom.", w, 3)...)
	if s.asking {
		p.note = "asking .."
	}
	s.show(s.m, &p, w)
	return p
}

// takeScreen takes the command of a run from somebody who was not asked.
type takeScreen struct {
	m   *model
	run *attached
	asker
	asking bool
}

func newTakeOver(m *model, a *attached) *takeScreen {
	s := &takeScreen{m: m, run: a}
	s.again()
	return s
}

func (s *takeScreen) gone() bool { return s.run.over || s.run.mine(s.m) }

// again asks for the reason.
func (s *takeScreen) again() {
	s.prompt = &prompt{label: "REASON > ", does: "take over", needs: "this needs a reason", then: s.send}
}

func (s *takeScreen) send(reason string) tea.Cmd {
	s.asking = true
	return s.run.ask(s.m, s, recovery.Command{Kind: recovery.DoTakeOver, Text: reason}, func(err error) tea.Cmd {
		if s.asking = false; err == nil {
			return s.m.back()
		}
		s.refused(err)
		return nil
	})
}

func (s *takeScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.asking:
		return nil, true
	case s.prompt == nil || k.String() == keyEscape:
		return s.m.back(), true
	}
	return s.answer(k)
}

func (s *takeScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := a.frame(s.m)
	p.body = []line{as(strong, "TAKE THE COMMAND OVER?").say("   run " + a.plan.Run), nil}
	add := func(name, text string) { p.body = append(p.body, paragraph(name, 10, plain, text, w, 3)...) }
	add("NOW", a.commander()+" commands it since "+since(a.state.LeaseSince, now))
	switch {
	case a.away():
		add("", "does not look at the run at the moment")
	case a.here != nil:
		add("", "looks at the run: a note (n) or a call may be better")
	}
	add("AFTER", "you tick, decide and stop; "+a.commander()+" watches. The journal and the report say that you took over, and why.")
	if s.asking {
		p.note = "asking .."
	}
	s.show(s.m, &p, w)
	p.leave = binding{keyEscape, "go on watching"}
	return p
}
