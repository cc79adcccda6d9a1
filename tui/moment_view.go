package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// view is the span that the histogram shows. Without a width it is all that was
// read.
type view struct {
	width time.Duration
	// middle is where it is while free is set; else the moment is in its
	// middle.
	middle time.Time
	free   bool
}

// widths are the steps of the zoom, from single transactions to days.
var widths = []time.Duration{
	time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
}

// viewed is the span that is shown.
func (s *commitsScreen) viewed() (from, to time.Time) {
	end := s.end()
	if s.view.width == 0 {
		from = s.oldestRead()
		if s.reading != nil || from.IsZero() {
			from = s.from0
		}
		if !from.Before(end) || from.IsZero() {
			from = end.Add(-firstLook)
		}
		if start := s.start(); from.Before(start) {
			from = start
		}
		return from, end
	}
	middle := s.view.middle
	if !s.view.free {
		if middle = s.moment(); middle.IsZero() {
			middle = end.Add(-s.view.width / 2)
		}
	}
	return middle.Add(-s.view.width / 2), middle.Add(s.view.width / 2)
}

// zoom shows less, or more; more may have to be read first.
func (s *commitsScreen) zoom(in bool) tea.Cmd {
	from, to := s.viewed()
	width := to.Sub(from)
	next := width
	if in {
		for _, w := range widths {
			if w < width {
				next = w
			}
		}
	} else if i := slices.IndexFunc(widths, func(w time.Duration) bool { return w > width }); i >= 0 {
		next = widths[i]
	}
	if s.view.width == 0 && !s.view.free {
		s.view.middle, s.view.free = from.Add(to.Sub(from)/2), s.moment().IsZero()
		if s.view.free && next > to.Sub(from) {
			s.view.middle = to.Add(-next / 2)
		}
	}
	s.view.width = next
	return s.seen()
}

// pan shows what is before or after; what is before may have to be read first.
func (s *commitsScreen) pan(by int) tea.Cmd {
	from, to := s.viewed()
	width := to.Sub(from)
	middle := from.Add(width / 2).Add(time.Duration(by) * width / 2)
	if end := s.end(); middle.After(end) {
		middle = end
	}
	if start := s.start(); middle.Before(start) {
		middle = start
	}
	s.view = view{width: width, middle: middle, free: true}
	return s.seen()
}

// seen reads what is shown and was not read.
func (s *commitsScreen) seen() tea.Cmd {
	from, _ := s.viewed()
	if start := s.start(); from.Before(start) {
		from = start
	}
	if s.whole && s.readErr == nil || s.back.IsZero() || !from.Before(s.back) {
		return nil
	}
	if s.reading != nil {
		s.until = from
		return nil
	}
	return s.readTo(from)
}
