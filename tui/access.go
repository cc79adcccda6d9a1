package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// survey looks into every copy, and shows each row as soon as it is known.
func (s *runbookScreen) survey() tea.Cmd {
	if s.surveying {
		return nil
	}
	s.surveying, s.surveyErr, s.rows = true, nil, nil
	s.needs, s.haveNeeds, s.needsErr = Ready{}, false, nil
	rows, done := make(chan Access), make(chan struct{})
	return tea.Batch(ask(s.ctx, s, func(ctx context.Context) ([]Access, error) {
		defer close(done)
		return s.m.desk.Survey(ctx, s.path, func(a Access) {
			select {
			case rows <- a:
			case <-done:
			case <-ctx.Done():
			}
		})
	}, func(rows []Access, err error) tea.Cmd {
		s.surveying, s.surveyErr, s.surveyed = false, err, s.m.now()
		if err == nil {
			s.rows = rows
		}
		return s.askNeeds()
	}), s.hear(rows, done))
}

// askNeeds asks what else a run needs, once the copies have been looked into: how
// much room it takes depends on what they hold.
func (s *runbookScreen) askNeeds() tea.Cmd {
	return ask(s.ctx, s, func(ctx context.Context) (Ready, error) {
		return s.m.desk.Ready(ctx, s.path)
	}, func(r Ready, err error) tea.Cmd {
		s.needs, s.needsErr, s.haveNeeds = r, err, true
		return nil
	})
}

// hear waits for the next row of a survey.
func (s *runbookScreen) hear(rows <-chan Access, done <-chan struct{}) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-done:
			return nil
		case a := <-rows:
			return answer{s, func() tea.Cmd {
				if s.surveying {
					s.put(a)
				}
				return s.hear(rows, done)
			}}
		}
	}
}

func (s *runbookScreen) put(a Access) {
	if i := s.rowOf(a.Copy, a.Component); i >= 0 {
		s.rows[i] = a
		return
	}
	s.rows = append(s.rows, a)
}

// rowOf is the row of a component in a copy, -1 where there is none.
func (s *runbookScreen) rowOf(copy, component string) int {
	return slices.IndexFunc(s.rows, func(a Access) bool { return a.Copy == copy && a.Component == component })
}

// surveys is what all readable copies hold.
func (s *runbookScreen) surveys() []recovery.Survey {
	var list []recovery.Survey
	for _, a := range s.rows {
		list = append(list, a.Surveys...)
	}
	return list
}

// accessOf is what came of looking where a backup lies; zero where nobody has looked.
func (s *runbookScreen) accessOf(b *recovery.Backup) Access {
	i := s.rowOf(b.Copy, b.Component)
	if i < 0 {
		return Access{}
	}
	return s.rows[i]
}

// shrank tells of a backup in which much less is than was in those before it.
func (s *runbookScreen) shrank(b *recovery.Backup) (less recovery.Shrinkage, ok bool) {
	if of := s.accessOf(b).Shrank; of != nil {
		return of(*b)
	}
	return less, false
}
