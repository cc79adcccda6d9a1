package tui

import (
	"context"

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
	for i, row := range s.rows {
		if row.Copy == a.Copy && row.Component == a.Component {
			s.rows[i] = a
			return
		}
	}
	s.rows = append(s.rows, a)
}

// surveys is what all readable copies hold.
func (s *runbookScreen) surveys() []recovery.Survey {
	var list []recovery.Survey
	for _, a := range s.rows {
		list = append(list, a.Surveys...)
	}
	return list
}
