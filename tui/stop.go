package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// stopScreen asks before a run is stopped, and says what that leaves.
type stopScreen struct {
	m      *model
	run    *attached
	reason *field
	asking bool
	// asked says that the run has been told; leaving then leaves its clean-up
	// without a screen.
	asked bool
	err   error
}

func newStop(m *model, a *attached) *stopScreen {
	s := &stopScreen{m: m, run: a}
	if a.state.Stop != nil {
		s.asked = true
	} else {
		s.reason = &field{}
	}
	return s
}

func (s *stopScreen) field() *field { return s.reason }

// again is ctrl+c while the question is shown. It answers nothing unless the
// run has been told to stop already: then it leaves the console.
func (s *stopScreen) again() tea.Cmd {
	if s.asked {
		return tea.Quit
	}
	return nil
}

func (s *stopScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.asking:
		return nil, true
	case s.asked:
		if k.String() == "q" {
			return tea.Quit, true
		}
		return nil, false
	}
	switch k.String() {
	case keyEscape:
		return s.m.back(), true
	case keyEnter:
		return s.send(), true
	}
	return nil, false
}

func (s *stopScreen) send() tea.Cmd {
	reason := s.reason.text()
	if reason == "" {
		reason = "no reason given"
	}
	s.asking, s.err = true, nil
	return s.run.ask(s.m, s, recovery.Command{Kind: recovery.DoStop, Text: reason}, func(err error) tea.Cmd {
		s.asking, s.err = false, err
		if err == nil {
			s.asked, s.reason = true, nil
			return s.m.back() // to the run, which shows how it cleans up
		}
		return nil
	})
}

func (s *stopScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := page{
		system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1,
		keys: []binding{{keyEnter, "stop the run"}}, leave: binding{keyEscape, "let it go on"},
	}
	p.live, p.liveLook = a.live(now.Location())
	const indent = 10
	add := func(name, text string, most int) {
		p.body = append(p.body, paragraph(name, indent, plain, text, w, most)...)
	}
	held := a.state.Held()
	if s.asked {
		p.body = []line{as(strong, "THE RUN IS STOPPING"), nil}
		add("LEFT", fmt.Sprintf("%s to give back", count(len(held), "claim", "claims")), 1)
		for i, c := range held {
			if i == 6 {
				add("", fmt.Sprintf("and %d more", len(held)-i), 1)
				break
			}
			add("", fmt.Sprintf("%s %s", c.Kind, c.ID), 1)
		}
		add("LEAVING", "The clean-up goes on without this screen; its end is in the journal.", 2)
		p.keys, p.leave = []binding{{"q", "leave the console now"}}, binding{keyEscape, "watch it"}
		return p
	}
	word := "REHEARSAL"
	if a.plan.Mode == recovery.Recovery {
		word = "RECOVERY"
	}
	p.body = []line{as(strong, "STOP THIS "+word+"?"), nil}
	what := "no live system was touched; "
	if a.plan.Mode == recovery.Recovery {
		what = "live stays as line 23 says; "
	}
	add("LEAVES", what+"everything that the run made is removed and proven gone:", 3)
	for i, c := range held {
		if i == 4 {
			add("", fmt.Sprintf("and %d more", len(held)-i), 1)
			break
		}
		add("", fmt.Sprintf("%s %s", c.Kind, c.ID), 1)
	}
	if len(held) == 0 {
		add("", "nothing yet", 1)
	}
	add("KEEPS", "the journal, and a report that says INTERRUPTED, in "+a.session.Dir(), 2)
	add("CANNOT", "be continued: a new rehearsal starts from the beginning", 2)
	p.body = append(p.body, nil, s.reason.line("REASON > ", w))
	p.focus = len(p.body) - 1
	if s.asking {
		p.note = "asking .."
	}
	if s.err != nil {
		p.body = append(append(p.body, nil), trouble("REFUSED", s.err, w)...)
	}
	return p
}
