package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// leaveScreen asks how to leave a run that has not ended. It goes on without the
// console: leaving is not stopping.
type leaveScreen struct {
	m    *model
	run  *attached
	menu menu
	err  error
}

func newLeave(m *model, a *attached) *leaveScreen { return &leaveScreen{m: m, run: a} }

func (s *leaveScreen) field() *field { return nil }

func (s *leaveScreen) gone() bool { return s.run.over }

func (s *leaveScreen) choices() []choice {
	list := []choice{{name: "Detach", leaves: "the run goes on; " + s.m.pasted("comeback attach "+s.run.plan.Run) + " comes back", anybody: true, do: s.m.detach}}
	if s.run.state.Stop == nil {
		list = append(list, choice{name: "STOP the run...", leaves: "asks a reason first", do: func() tea.Cmd {
			s.m.pop()
			if _, ok := s.m.top().screen.(*stopScreen); ok {
				return nil
			}
			return s.m.push(newStop(s.m, s.run))
		}})
	}
	return append(list, choice{name: "Stay", leaves: "back to where you were", anybody: true, do: s.m.back})
}

func (s *leaveScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if k.String() == "d" {
		return s.m.detach(), true
	}
	c, handled := s.menu.key(k, s.choices())
	if c == nil {
		return nil, handled
	}
	if s.err = s.run.refusal(s.m); s.err != nil && !c.anybody {
		return nil, true
	}
	return c.do(), true
}

func (s *leaveScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := page{
		system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1, note: a.crew(s.m),
		keys: []binding{{keyEnter, "choose"}, {"d", "detach"}}, leave: binding{keyEscape, "stay"},
	}
	p.live, p.liveLook = a.live(now.Location())
	p.body = []line{as(strong, "LEAVE THIS CONSOLE?").say("   run " + a.plan.Run + " goes on without it"), nil}
	s.menu.show(&p, s.choices(), w)
	p.body = append(p.body, nil)
	add := func(name, text string) { p.body = append(p.body, paragraph(name, 10, plain, text, w, 3)...) }
	if n := len(a.waits()); n > 0 {
		add("WAITS", fmt.Sprintf("%s until somebody answers; nobody is asked by an empty screen", count(n, "step stands still", "steps stand still")))
	}
	switch others := a.others(s.m); {
	case !a.mine(s.m):
		add("COMMAND", a.commander()+" keeps it")
	case len(others) > 0:
		add("COMMAND", "stays with you; h on the run's screen hands it over, "+others[0].Operator+" is here")
	default:
		add("COMMAND", "stays with you; a colleague can take it over, with a reason")
	}
	add("LATER", s.m.pasted("comeback runs")+" lists what runs, what waits and for whom; "+s.m.pasted("comeback status "+a.plan.Run)+" says it in a text to paste")
	if s.err != nil {
		p.body = append(append(p.body, nil), s.m.trouble("REFUSED", s.err, w)...)
	}
	return p
}
