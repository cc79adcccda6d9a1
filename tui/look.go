package tui

import (
	"context"
	"net/url"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// lookScreen asks the restored copy of a run what people want to know before they decide. Its
// queries only read.
type lookScreen struct {
	m         *model
	run       *attached
	component string
	asker
	// asked is the query whose answer is shown, or awaited: empty for the list of tables.
	asked  string
	asking bool
	text   []string
	why    error // it could not be asked
}

func newLook(m *model, a *attached, component string) *lookScreen {
	return &lookScreen{m: m, run: a, component: component}
}

// open lists the tables, the first time.
func (s *lookScreen) open() tea.Cmd {
	if s.text != nil || s.why != nil {
		return nil
	}
	return s.ask("")
}

// ask asks the copy, and shows what it answers.
func (s *lookScreen) ask(query string) tea.Cmd {
	if s.asking {
		return nil
	}
	s.asking, s.asked, s.why, s.text = true, query, nil, nil
	return ask(s.m.ctx, s, func(ctx context.Context) (string, error) {
		return s.m.desk.Look(ctx, s.run.plan.Run, s.component, query)
	}, func(text string, err error) tea.Cmd {
		s.asking, s.why = false, err
		if err == nil {
			s.text = strings.Split(strings.TrimRight(text, "\n"), "\n")
		}
		return nil
	})
}

func (s *lookScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.prompt != nil {
		return s.answer(k)
	}
	switch k.String() {
	case keyEnter:
		s.asks(&prompt{label: "SQL > ", does: "ask the copy", needs: "no query was typed", then: s.ask})
	case "t":
		return s.ask(""), true
	default:
		return nil, false
	}
	return nil, true
}

func (s *lookScreen) page(w, h int) page {
	p := s.run.frame(s.m)
	p.keys = []binding{{keyEnter, "type a query"}, {"t", "tables"}, {"s", "status"}}
	p.note = "it is only read"
	p.body = []line{as(strong, "LOOK").say("  at " + s.component + " as run " + s.run.plan.Run + " has restored it; queries only read").fit(w)}
	if s.asked != "" {
		p.body = append(p.body, paragraph("QUERY", 10, plain, s.asked, w, s.m.most(3))...)
	}
	p.body = append(p.body, nil)
	switch {
	case s.asking:
		p.body = append(p.body, as(faint, "asking it .."))
	case s.why != nil:
		p.body = append(p.body, s.m.trouble("REFUSED", s.why, w)...)
	}
	for _, text := range s.text {
		p.body = append(p.body, say(clean(text)).fit(w))
	}
	s.show(s.m, &p, w)
	if s.prompt != nil {
		p.focus = -1 // the answer is read from its beginning
	}
	return p
}

// lookAt is the component at whose restored copy somebody looks before they decide about a
// step, its own or else the one that decides the moment, and how that is reached.
func (a *attached) lookAt(st *recovery.StepState) (component string, at *url.URL) {
	for _, component := range []string{st.Component, a.plan.Moment.Anchor} {
		b, ok := a.state.Binding(component)
		u, err := url.Parse(b.URL)
		if ok && b.Scratch && err == nil && (u.Scheme == "postgres" || u.Scheme == "file") {
			return component, u
		}
	}
	return "", nil
}

// lookFirst is the choice to look at a restored database, where there is one. Whoever
// watches may look, too.
func (s *waitingScreen) lookFirst(st *recovery.StepState) []choice {
	component, at := s.run.lookAt(st)
	if at == nil || at.Scheme != "postgres" {
		return nil
	}
	return []choice{{name: "Look", leaves: "tables and queries of what was restored; nothing changes", anybody: true, do: func() tea.Cmd {
		return s.m.push(newLook(s.m, s.run, component))
	}}}
}
