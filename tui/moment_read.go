package tui

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// How far back the log is read at first, and how much further each time.
const (
	firstLook = time.Hour
	furtherBy = 4
	// longestLook is from when on all of the log is read.
	longestLook = 40 * 24 * time.Hour
	// lookOverlap is read twice: times are only nearly in the order of the log.
	lookOverlap = time.Minute
)

// lookback is how far back a log was read, and is being read.
type lookback struct {
	reading *reading
	// from0 is where the reading under way, or the last, begins; whole says
	// that it is the beginning of the log.
	from0 time.Time
	whole bool
	// back is what everything was read back to; zero while nothing was.
	back     time.Time
	progress recovery.ScanProgress
	// seeking says that harm is looked for, until says back to when is to be
	// read whatever it takes; it is zero where nobody asked.
	seeking bool
	until   time.Time
	// judging counts the questions under way whether harm is usual, judged is
	// which share of the earlier days the last of them has read.
	judging int
	judged  float64
	// readErr is why a part of the log was not read. What was read stays.
	readErr error
	stopped bool
}

// end is where the log ends, as far as it is known.
func (s *commitsScreen) end() time.Time {
	end := s.newest
	for _, w := range s.windows() {
		end = latest(end, w.To.Time)
	}
	if end.IsZero() {
		end = s.m.now()
	}
	return end
}

// start is where the log begins; zero where that is not known.
func (s *commitsScreen) start() time.Time {
	var start time.Time
	for _, w := range s.windows() {
		if start.IsZero() || w.From.Time.Before(start) {
			start = w.From.Time
		}
	}
	return start
}

// begin reads the newest part of the log.
func (s *commitsScreen) begin() tea.Cmd {
	return s.readTo(s.end().Add(-firstLook))
}

// again forgets what was read and reads it anew; the place stays.
func (s *commitsScreen) again() tea.Cmd {
	s.stopReading()
	from := s.from0
	s.commits = commits{limit: s.limit}
	s.lookback = lookback{}
	s.meant.cut = 0
	return s.readTo(from)
}

// deeper reads a few times as far back as what was read.
func (s *commitsScreen) deeper() tea.Cmd {
	if s.reading != nil {
		return nil
	}
	if s.whole && s.readErr == nil && !s.back.IsZero() {
		s.seeking, s.says = false, "the log was read to its beginning"
		return nil
	}
	further := firstLook
	if !s.back.IsZero() {
		further = max(further, s.end().Sub(s.back)*furtherBy)
	}
	return s.readTo(s.end().Add(-further))
}

// readOn reads further back where the place has come to the end of what was
// read.
func (s *commitsScreen) readOn() tea.Cmd {
	if s.cut != 0 && s.at() == len(s.commits.list) && s.reading == nil && !s.whole {
		return s.deeper()
	}
	return nil
}

// readTo reads what lies between a time and what was read already. Nothing else
// may be reading.
func (s *commitsScreen) readTo(from time.Time) tea.Cmd {
	span := recovery.Span{From: from}
	if start := s.start(); !start.IsZero() && !from.After(start) || s.end().Sub(from) > longestLook {
		span.From = time.Time{}
	}
	s.from0, s.whole = from, span.From.IsZero()
	if !s.back.IsZero() {
		span.To = s.back.Add(lookOverlap)
	}
	w := s.log.window
	choice := Choice{Component: w.Component, Copy: w.Copy, Engine: w.Engine, Backup: w.Backup}
	s.readErr, s.stopped, s.progress = nil, false, recovery.ScanProgress{}
	r := read(s.from.ctx, func(ctx context.Context, progress func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error] {
		return s.m.desk.Around(ctx, s.from.path, choice, span, progress)
	})
	s.reading = r
	return s.hear(r)
}

// stopReading ends a reading; what was read stays.
func (s *commitsScreen) stopReading() {
	if s.reading != nil {
		s.reading.stop()
		s.reading, s.stopped, s.seeking, s.until = nil, true, false, time.Time{}
		s.back, s.whole = s.oldestRead(), false
	}
}

// oldestRead is the time that everything was read back to when a reading broke
// off.
func (s *commitsScreen) oldestRead() time.Time {
	if !s.oldest.IsZero() && (s.back.IsZero() || s.oldest.Before(s.back)) {
		return s.oldest
	}
	return s.back
}

// hear waits for the next glimpse of the log.
func (s *commitsScreen) hear(r *reading) tea.Cmd {
	return func() tea.Msg {
		g, ok := <-r.out
		if !ok {
			return nil
		}
		return answer{s, func() tea.Cmd {
			if s.reading != r {
				return nil // stopped, or read anew
			}
			return s.take(r, g)
		}}
	}
}

// take takes a glimpse in, and reads on where it must.
func (s *commitsScreen) take(r *reading, g glimpse) tea.Cmd {
	for _, t := range g.transactions {
		s.add(t)
	}
	if s.cut != 0 { // what was read may tell that there is no moment there
		s.cut = s.cutAt(s.real(s.at()))
	}
	near := s.at()
	if s.cut == 0 && s.seeking {
		near = len(s.commits.list)
	}
	s.shed(near)
	s.progress = g.progress
	if !g.over {
		s.settleHarm()
		return s.hear(r)
	}
	r.stop()
	s.reading, s.readErr = nil, g.err
	s.back = s.oldestRead()
	if g.err == nil && (s.back.IsZero() || s.from0.Before(s.back)) {
		s.back = s.from0
	}
	s.placeTyped()
	return tea.Batch(s.onward(g.err), s.askUsual())
}

// onward reads on where it must, after a reading that is over.
func (s *commitsScreen) onward(failed error) tea.Cmd {
	if s.settleHarm(); failed != nil {
		s.seeking, s.until = false, time.Time{}
		return nil
	}
	if s.whole {
		if s.seeking {
			s.seeking, s.says = false, "no harm in the whole log before this place"
		}
		s.until = time.Time{}
		return nil
	}
	nothing := len(s.commits.list) == 0
	if s.seeking || nothing || s.until.Before(s.back) && !s.until.IsZero() {
		return s.deeper()
	}
	s.until = time.Time{}
	return nil
}

// askUsual asks whether what stands out happens every night. Meanwhile it stands
// out.
func (s *commitsScreen) askUsual() tea.Cmd {
	harms := s.unjudged()
	if len(harms) == 0 {
		return nil
	}
	w := s.log.window
	choice := Choice{Component: w.Component, Copy: w.Copy, Engine: w.Engine, Backup: w.Backup}
	shares := make(chan float64, 1)
	s.judging, s.judged = s.judging+1, 0
	asked := ask(s.from.ctx, s, func(ctx context.Context) (*recovery.Habits, error) {
		defer close(shares)
		var told atomic.Int64
		return s.m.desk.Usual(ctx, s.from.path, choice, harms, func(share float64) {
			// Each per cent once, and only while somebody listens.
			if now := int64(share * 100); told.Swap(now) != now {
				select {
				case shares <- share:
				default:
				}
			}
		})
	}, func(h *recovery.Habits, err error) tea.Cmd {
		s.judging = max(0, s.judging-1) // none, where the log is read anew meanwhile
		if err == nil {                 // else it stands out, which is as good as not knowing
			s.judge(h)
		}
		return nil
	})
	return tea.Batch(asked, s.hearJudge(shares))
}

// hearJudge waits until more of the earlier days was read.
func (s *commitsScreen) hearJudge(shares <-chan float64) tea.Cmd {
	return func() tea.Msg {
		share, ok := <-shares
		if !ok {
			return nil
		}
		return answer{s, func() tea.Cmd {
			s.judged = share
			return s.hearJudge(shares)
		}}
	}
}

// readBack says how far back the log was read.
func (s *commitsScreen) readBack() line {
	now := s.m.now()
	at := func(t time.Time) string { return near(t, now) }
	switch {
	case s.reading != nil:
		back := s.oldestRead()
		if p := s.progress.Back; !p.IsZero() && (back.IsZero() || p.Before(back)) {
			back = p
		}
		text := "reading"
		if s.progress.Total > 0 {
			text = recovery.Percent(s.progress.Done, s.progress.Total) + " read"
		}
		if !back.IsZero() {
			text += ", to " + at(back)
		}
		return as(busy, text)
	case s.whole && s.readErr == nil && !s.back.IsZero():
		return say("read to its beginning")
	case s.back.IsZero():
		return as(faint, "not read")
	case s.stopped:
		return as(warn, "stopped").say(", read back to " + at(s.back))
	}
	return say("read back to " + at(s.back))
}
