package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// stopScreen asks before a run is stopped, and says what that leaves.
type stopScreen struct {
	m   *model
	run *attached
	asker
	asking bool
	// asked says that the run has been told.
	asked bool
}

func newStop(m *model, a *attached) *stopScreen {
	s := &stopScreen{m: m, run: a}
	if a.state.Stop != nil {
		s.asked = true
	} else {
		s.again()
	}
	return s
}

func (s *stopScreen) gone() bool { return s.run.over }

// again asks for the reason. There is no stop without one: an enter that was
// meant for something else must not end a run.
func (s *stopScreen) again() {
	s.prompt = &prompt{label: "REASON > ", does: "stop the run", needs: "stopping a run needs a reason", then: s.send}
}

func (s *stopScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.asking:
		return nil, true
	case s.asked:
		if k.String() == "d" {
			return s.m.detach(), true
		}
		return nil, false
	case s.prompt == nil || k.String() == keyEscape:
		return s.m.back(), true
	}
	return s.answer(k)
}

func (s *stopScreen) send(reason string) tea.Cmd {
	s.asking = true
	return s.run.ask(s.m, s, recovery.Command{Kind: recovery.DoStop, Text: reason}, func(err error) tea.Cmd {
		s.asking = false
		if err == nil {
			s.asked = true
			return s.m.back() // to the run, which shows how it cleans up
		}
		s.again()
		s.err = err
		return nil
	})
}

func (s *stopScreen) page(w, h int) page {
	a := s.run
	p := a.frame(s.m)
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
		p.keys, p.leave = []binding{{"d", "detach"}}, binding{keyEscape, "watch it"}
		return p
	}
	word := "REHEARSAL"
	if a.plan.Mode == recovery.Recovery {
		word = "RECOVERY"
	}
	p.body = []line{as(strong, "STOP THIS "+word+"?"), nil}
	what := "no live system was touched; "
	if a.plan.Mode == recovery.Recovery {
		what = "stopping " + a.state.StoppingSays() + "; "
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
	add("CANNOT", "be continued: a new run starts from the beginning. To leave it running, esc and then d", 2)
	if s.asking {
		p.note = "asking .."
	}
	if s.show(&p, w); s.prompt != nil {
		p.leave = binding{keyEscape, "let it go on"}
	}
	return p
}
