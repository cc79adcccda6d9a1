package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// toggleLook makes the plan anew, with a stop before the copy is opened, where a
// person looks at it and may still choose another moment; or without one. Nothing
// begins meanwhile.
func (s *planScreen) toggleLook() tea.Cmd {
	if s.choice == nil || s.changing || s.starting {
		return nil
	}
	choice := *s.choice
	choice.Look = !choice.Look
	s.changing, s.refused = true, nil
	mode := s.prepared.Plan.Mode
	return ask(s.m.ctx, s, func(ctx context.Context) (*Prepared, error) {
		return s.m.desk.Plan(ctx, s.path, mode, choice)
	}, func(p *Prepared, err error) tea.Cmd {
		s.changing, s.refused = false, err
		if err == nil {
			s.prepared, s.choice = p, &choice
		}
		return nil
	})
}

// lookKey is the key that asks for a look, or takes it out again; none where
// nothing can be made anew.
func (s *planScreen) lookKey() []binding {
	switch {
	case s.choice == nil:
		return nil
	case s.choice.Look:
		return []binding{{keyTab, "no look"}}
	}
	return []binding{{keyTab, "look first"}}
}
