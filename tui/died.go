package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// diedScreen offers to take up a run whose runner died.
type diedScreen struct {
	m   *model
	run KnownRun
	asker
	menu menu
	// missing is what must be typed in before; have says that it is known, and
	// values holds what was typed.
	missing []Need
	have    bool
	values  map[string]string
	busy    string
}

func newDied(m *model, run KnownRun) *diedScreen {
	return &diedScreen{m: m, run: run, menu: menu{-1}, values: map[string]string{}}
}

func (s *diedScreen) open() tea.Cmd {
	return ask(s.m.ctx, s, func(ctx context.Context) ([]Need, error) {
		return s.m.desk.Missing(ctx, s.run)
	}, func(missing []Need, err error) tea.Cmd {
		s.missing, s.have, s.err = missing, err == nil, err
		return nil
	})
}

// close forgets what was typed.
func (s *diedScreen) close() {
	s.drop()
	clear(s.values)
}

func (s *diedScreen) choices() []choice {
	leaves := "goes on by its plan; what is done and still there stays done"
	if n := len(s.missing); n > 0 {
		leaves = "asks for " + count(n, "secret", "secrets") + " first; goes on by its plan"
	}
	return []choice{
		{name: "Resume", leaves: leaves, do: s.resume},
		{name: "Look", leaves: "at what it did until then; nothing changes", do: func() tea.Cmd {
			s.busy = "opening the run .."
			return s.enter(s.m.desk.Attach)
		}},
	}
}

// resume asks for what is still missing, one by one, and then takes the run up.
func (s *diedScreen) resume() tea.Cmd {
	if !s.have {
		return s.open()
	}
	for _, need := range s.missing {
		if _, given := s.values[need.Name]; given {
			continue
		}
		s.asks(&prompt{label: clean(need.Name) + " > ", does: "go on", needs: "the run needs " + need.Name, edit: field{secret: true}, then: func(text string) tea.Cmd {
			s.values[need.Name] = text
			return s.resume()
		}})
		return nil
	}
	s.busy = "starting a runner .."
	values := s.values
	s.values = map[string]string{}
	return s.enter(func(ctx context.Context, run KnownRun) (recovery.Session, error) {
		return s.m.desk.Resume(ctx, run, values)
	})
}

// enter shows the run in the place of this screen. After a refusal everything
// is asked for again: one of the secrets may be wrong.
func (s *diedScreen) enter(call func(context.Context, KnownRun) (recovery.Session, error)) tea.Cmd {
	s.err = nil
	return ask(s.m.ctx, s, func(ctx context.Context) (recovery.Session, error) { return call(ctx, s.run) },
		func(session recovery.Session, err error) tea.Cmd {
			s.busy, s.err = "", err
			if err != nil {
				return nil
			}
			s.m.pop()
			return s.m.begin(session)
		})
}

func (s *diedScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.busy != "":
		return nil, true
	case s.prompt != nil:
		if k.String() == keyEscape {
			clear(s.values)
		}
		return s.answer(k)
	}
	c, handled := s.menu.key(k, s.choices())
	if c == nil {
		return nil, handled
	}
	return c.do(), true
}

func (s *diedScreen) page(w, h int) page {
	p := page{
		system: s.run.System, aside: "run " + s.run.ID + " died", mode: modeOf(s.run.Mode), focus: -1, note: s.busy,
		live: "LIVE: as the run left it; look says how", keys: []binding{{keyEnter, "choose"}}, leave: escBack,
	}
	if s.run.Mode == recovery.Rehearsal {
		p.live = "LIVE: untouched, it wrote to scratch only"
	}
	p.body = []line{as(strong, "RUN "+s.run.ID).say("   ").and(bad, "DIED").say(", its runner is gone and nobody runs it"), nil}
	add := func(name string, k look, text string) { p.body = append(p.body, paragraph(name, 10, k, text, w, 3)...) }
	add("WHAT", plain, fmt.Sprintf("%s of %s, %s", s.run.Mode, s.run.System, s.run.State))
	add("SINCE", plain, stamp(s.run.Started, s.m.now())+" by "+s.run.Operator)
	add("JOURNAL", plain, cutLeft(clean(s.run.Dir), w-10))
	p.body = append(p.body, nil)
	s.menu.show(&p, s.choices(), w)
	p.body = append(p.body, nil)
	switch {
	case s.prompt != nil:
		for _, need := range s.missing {
			if _, given := s.values[need.Name]; !given {
				add("SECRET", plain, fmt.Sprintf("%s, %d of %d; it is given to the new runner and recorded nowhere", need.Name, len(s.values)+1, len(s.missing)))
				if need.Where != "" {
					add("FROM", plain, need.Where)
				}
				break
			}
		}
	case !s.have && s.err == nil:
		add("SECRETS", faint, "looking for what it needs ..")
	default:
		for i, need := range s.missing {
			name := ""
			if i == 0 {
				name = "SECRETS"
			}
			text := need.Name
			if need.Where != "" {
				text += ", from " + need.Where
			}
			add(name, plain, text)
		}
		add("GIVE UP", plain, s.m.pasted("comeback stop "+s.run.ID)+" removes what it made and closes its report")
	}
	s.show(s.m, &p, w)
	return p
}
