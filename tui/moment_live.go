package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// liveState is what is known of the live server.
type liveState struct {
	Live
	known, pushing bool
	err            error
	// pushErr is why its log could not be pushed out, pushed when it was.
	pushErr error
	pushed  time.Time
	// zone is the server's own, nil where it is not known here.
	zone *time.Location
}

// liveAnswer is what asking gave.
type liveAnswer struct {
	Live
	zone *time.Location
}

// askLive asks the live server how far it is.
func (s *commitsScreen) askLive() tea.Cmd {
	component := s.log.window.Component
	return ask(s.from.ctx, s, func(ctx context.Context) (liveAnswer, error) {
		live, err := s.m.desk.Live(ctx, s.from.path, component)
		a := liveAnswer{Live: live}
		if zone, e := time.LoadLocation(live.Zone); e == nil && live.Zone != "" {
			a.zone = zone
		}
		return a, err
	}, func(a liveAnswer, err error) tea.Cmd {
		s.live.known, s.live.err, s.live.Live, s.live.zone = err == nil, err, a.Live, a.zone
		return nil
	})
}

// askPush asks before the live server is told to close its segment of the log:
// the one thing here that touches it.
func (s *commitsScreen) askPush() {
	name := clean(s.log.window.Component)
	switch {
	case s.live.pushing:
		return
	case !s.live.known:
		s.says = "the live server was not reached"
		return
	}
	s.asks(&question{label: "w: type " + name + " to push its log out > ", does: "push out",
		note: "LIVE " + name + " switches to a new segment of its log (pg_switch_wal), no data changes; anything else does nothing",
		then: func(text string) tea.Cmd {
			if text != name {
				s.err = recovery.Errorf("type "+name+", or press esc: then nothing is done", "%q is not %s", text, name)
				return nil
			}
			return s.push()
		}})
}

// push has the live server's log pushed out, and then reads what has come into
// the copy.
func (s *commitsScreen) push() tea.Cmd {
	s.live.pushing, s.live.pushErr = true, nil
	component := s.log.window.Component
	return ask(s.from.ctx, s, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.m.desk.PushOut(ctx, s.from.path, component)
	}, func(_ struct{}, err error) tea.Cmd {
		s.live.pushing, s.live.pushErr = false, err
		if err != nil {
			return s.askLive()
		}
		s.live.pushed = s.m.now()
		return tea.Batch(s.askLive(), s.again())
	})
}

// writes reports whether the live server answers: then what is lost grows.
func (l *liveState) writes() bool { return l.known }

// beside is a time on the server's own clock, where that differs.
func (l *liveState) beside(t time.Time) string {
	if l.zone == nil || t.IsZero() {
		return ""
	}
	_, ours := t.Zone()
	theirs := t.In(l.zone)
	if _, seconds := theirs.Zone(); seconds == ours {
		return ""
	}
	return clock(theirs) + " " + clean(l.Zone)
}

// archived says how far the copy is behind the live server.
func (s *commitsScreen) archived(w int) []line {
	l := &s.live
	now := s.m.now()
	switch {
	case l.pushing:
		return []line{as(strong, "LIVE    ").and(busy, "switched to a new segment, waiting until a copy has the one before ..").fit(w)}
	case l.pushErr != nil:
		return s.m.trouble("LIVE", l.pushErr, w)
	case l.err != nil:
		return []line{as(strong, "LIVE    ").and(warn, "not reached: ").say(l.err.Error() + "; what it has and no copy has is not known").fit(w)}
	case !l.known:
		return []line{as(faint, "LIVE    asking how far it is ..")}
	}
	said := func(until, missing string) line {
		text := as(strong, "LIVE    ")
		if l.Archived.IsZero() {
			text = text.and(warn, "nothing was archived")
		} else {
			text = text.say("archived " + until + " " + near(l.Archived, now))
		}
		if l.Unarchived > 0 {
			text = text.say(", ").and(warn, recovery.FormatBytes(l.Unarchived)+" not yet").say(missing)
		} else {
			text = text.say(", nothing is missing")
		}
		if b := l.beside(now); b != "" {
			text = text.say("; its clock " + b)
		}
		return text
	}
	text := said("until", ": w pushes it out...")
	if text.cells() > w {
		text = said("to", " (w...)")
	}
	lines := []line{text.fit(w)}
	if l.Failure != "" {
		lines = append(lines, paragraph("", 8, bad, "ARCHIVING FAILS: "+l.Failure, w, 2)...)
	}
	return lines
}

// near is a time of day, with its date unless that is today's.
func near(t, now time.Time) string {
	t = t.In(now.Location())
	if sameDay(t, now) {
		return t.Format("15:04:05")
	}
	return stamp(t, now)
}
