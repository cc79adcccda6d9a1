package tui

import (
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// question is a line of text that is being typed.
type question struct {
	label, does string
	edit        field
	then        func(string) tea.Cmd
	// note says what it is about.
	note string
	// moment says that it is a moment.
	moment bool
}

func (s *commitsScreen) asks(q *question) { s.ask, s.err, s.tried = q, nil, nil }

// answer handles a key while something is typed.
func (s *commitsScreen) answer(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case keyEscape:
		s.ask, s.err = nil, nil
		return nil, true
	case keyEnter:
		q := s.ask
		text := q.edit.text()
		if text == "" {
			s.err = recovery.Errorf("type it, or press esc", "nothing was typed")
			return nil, true
		}
		s.err = nil
		cmd := q.then(text)
		if s.err == nil && s.ask == q {
			s.ask = nil
		}
		return cmd, true
	}
	s.err = nil
	return nil, false
}

// goTo goes to the moment that was typed. What was not read cannot be shown; it
// can still be used as it was typed.
func (s *commitsScreen) goTo(text string) tea.Cmd {
	want, err := readMoment(text, s.m.now())
	if err != nil {
		s.err = err
		return nil
	}
	s.typed, s.cut, s.seeking, s.view.free = &want, 0, false, false
	s.placeTyped()
	if s.typed != nil && s.reading == nil && want.Kind == recovery.WantTime && !want.Time.After(s.end()) && !s.whole {
		s.until = want.Time
		return s.readTo(want.Time.Add(-firstLook / furtherBy))
	}
	return nil
}

// placeTyped shows a typed moment as a place in the list, if what was read
// tells where it is.
func (s *commitsScreen) placeTyped() {
	if s.typed == nil || len(s.commits.list) == 0 {
		return
	}
	place := -1
	newest, oldest := s.commits.list[0], s.commits.list[len(s.commits.list)-1]
	switch w := *s.typed; w.Kind {
	case recovery.WantLatest:
		return // the newest that the copy has when it is planned
	case recovery.WantTime:
		if !w.Time.After(s.newest) && w.Time.After(s.oldest) {
			place = s.placeOfTime(w.Time)
		}
	case recovery.WantLSN:
		if w.LSN > oldest.LSN && w.LSN <= newest.LSN {
			place = s.place(w.LSN)
		}
	case recovery.WantBeforeXID, recovery.WantAfterXID:
		i := s.find(0, true, func(h *happened) bool { return h.XID == w.XID && h.counts() })
		if i < 0 {
			return
		}
		if place = i; w.Kind == recovery.WantBeforeXID {
			place++
		}
	}
	if place >= 0 && s.skipped(place) == 0 {
		s.to(place)
	}
}

// readMoment reads a moment of a log as a person types it beside the offset that is
// shown.
func readMoment(text string, now time.Time) (recovery.Want, error) {
	want, err := readWant(text, now)
	if err == nil && want.Kind == recovery.WantBackup {
		err = recovery.Errorf("say a time, 10 minutes ago, latest, the number of a transaction, lsn:3/7A21F0C8 or after-xid:81213",
			"%q is not a moment", want.Text)
	}
	return want, err
}

// readWant reads what ParseWant reads, and a time of day, a date with a time, the
// number of a transaction, or a position alone.
func readWant(text string, now time.Time) (recovery.Want, error) {
	text = strings.TrimSpace(text)
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		text = "before-xid:" + text
	}
	if _, err := recovery.ParseLSN(text); err == nil {
		text = "lsn:" + text
	}
	if at, is, err := readWall(text, now); err != nil {
		return recovery.Want{}, err
	} else if is {
		text = at.Format(time.RFC3339Nano)
	}
	want, err := recovery.ParseWant(text, now)
	if err != nil {
		return want, err
	}
	if want.Kind == recovery.WantTime && strings.HasSuffix(want.Text, "ago") {
		want.Text = want.Time.Format(time.RFC3339Nano) // later it would be another moment
	}
	return want, nil
}

// readWall reads a time of day, or a date with a time, of now's zone; without its day, or its
// year, it is the last that has come. Is says that it was one of these.
func readWall(text string, now time.Time) (at time.Time, is bool, err error) {
	y, m, d := now.Date()
	on := func(t time.Time, y int, m time.Month, d int) recovery.WallTime {
		return recovery.OnWall(time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC), now.Location())
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			w := on(t, y, m, d)
			if w.ToCome(now) {
				w = on(t, y, m, d-1)
			}
			at, err = w.Moment(now)
			return at, true, err
		}
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			at, err = recovery.OnWall(t, now.Location()).Moment(now)
			return at, true, err
		}
	}
	for _, layout := range []string{"2 Jan 15:04:05", "2 Jan 15:04"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		for _, year := range []int{y, y - 1} {
			there := time.Date(year, t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Day() == t.Day()
			if w := on(t, year, t.Month(), t.Day()); there && !w.ToCome(now) {
				at, err = w.Moment(now)
				return at, true, err
			}
		}
		return at, true, recovery.Errorf("say the year, too, like "+now.Format("2006-01-02 15:04"), "no %s has come in %d, nor is there one in %d", t.Format("2 Jan"), y, y-1)
	}
	return at, false, nil
}

// readAs says how a moment is read.
func readAs(w recovery.Want, zone *time.Location) string {
	switch w.Kind {
	case recovery.WantLatest:
		return "the last commit that the copy holds"
	case recovery.WantTime:
		return "the last commit at or before " + exact(w.Time, zone)
	case recovery.WantLSN:
		return "nothing at or after " + w.LSN.String()
	case recovery.WantBeforeXID:
		return "everything before the commit of transaction " + strconv.FormatUint(uint64(w.XID), 10)
	case recovery.WantAfterXID:
		return "everything up to the commit of transaction " + strconv.FormatUint(uint64(w.XID), 10) + ", with it"
	}
	return w.Text
}
