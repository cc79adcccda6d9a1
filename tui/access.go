package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// survey looks into every copy, and shows each row as soon as it is known.
func (s *runbookScreen) survey() tea.Cmd {
	if s.surveying {
		return nil
	}
	s.surveying, s.surveyErr, s.rows = true, nil, nil
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
		return nil
	}), s.hear(rows, done))
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

// access is whether the copies can be read, a row each.
func (s *runbookScreen) access(w int) []line {
	head := as(strong, "CAN WE?")
	switch {
	case len(s.opened.Problems) > 0:
		return []line{head.say("   not looked: the problems come first")}
	case s.surveying:
		head = head.say("   looking into the copies ..")
	case !s.surveyed.IsZero():
		head = head.say("   checked " + s.surveyed.Format("15:04:05") + ", by reading")
	}
	lines := []line{head}
	if s.surveyErr != nil {
		return append(lines, trouble("REFUSED", s.surveyErr, w)...)
	}
	const indent = 32
	for _, a := range s.rows {
		k := map[AccessState]look{Looking: faint, Readable: good, Nothing: warn, Refused: bad, NotLookedAt: warn}[a.State]
		l := say("  "+pad(clean(a.Copy), 9)+" "+pad(clean(a.Component), 10)+" ").and(k, pad(string(a.State), 9))
		text := a.Says
		if text == "" {
			text = found(a, s.m.now())
		}
		if a.State == Refused { // servers talk a lot: the words get lines of their own
			lines = append(lines, l)
			lines = append(lines, paragraph("", 4, plain, a.Cause, w, 3)...)
		} else {
			for i, part := range paragraph("", indent, plain, text, w, 3) {
				if i == 0 {
					part = append(l, part[1:]...)
				}
				lines = append(lines, part)
			}
		}
		if a.Hint != "" {
			lines = append(lines, paragraph("    do:", 8, plain, a.Hint, w, 3)...)
		}
		for _, survey := range a.Surveys {
			for _, f := range survey.Findings {
				text := f.Says
				if f.Object != "" {
					text = f.Object + ": " + text
				}
				if f.Do != "" {
					text += "; " + f.Do
				}
				lines = append(lines, paragraph("    !", 6, warn, text, w, 2)...)
			}
		}
	}
	return lines
}

// found says in words what the surveys of a row hold.
func found(a Access, now time.Time) string {
	backups, broken, windows := 0, 0, 0
	var newest, end time.Time
	gaps := 0
	for _, survey := range a.Surveys {
		for _, b := range survey.Backups {
			backups++
			if b.Problem != "" {
				broken++
			} else if b.Taken.To.After(newest) {
				newest = b.Taken.To
			}
		}
		for _, w := range survey.Windows {
			windows++
			gaps += len(w.Gaps)
			if w.To.Time.After(end) {
				end = w.To.Time
			}
		}
	}
	if a.State == Looking || backups+windows == 0 {
		return ""
	}
	text := count(backups, "backup", "backups")
	if !newest.IsZero() {
		text += ", newest " + stamp(newest, now)
	}
	if broken > 0 {
		text += fmt.Sprintf(", %d BROKEN", broken)
	}
	if windows > 0 {
		text += "; " + count(windows, "window", "windows")
		if !end.IsZero() {
			text += " to " + stamp(end, now)
		}
		if gaps > 0 {
			text += ", " + count(gaps, "GAP", "GAPS")
		}
	}
	return text
}

// surveys is what all readable copies hold.
func (s *runbookScreen) surveys() []recovery.Survey {
	var list []recovery.Survey
	for _, a := range s.rows {
		list = append(list, a.Surveys...)
	}
	return list
}
