package main

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/storage"
	"comeback/storagetest"
)

// calendar is a clock that is moved from day to day while the clocks of servers go
// on. Whatever they tell it takes to the day on which they told it: each moment of
// real time belongs to what the calendar showed then.
type calendar struct {
	marks []moving
}

// moving is a moment from which on the calendar goes ahead of real time by so much.
type moving struct {
	from  time.Time
	ahead time.Duration
}

// beyond is more than any test takes: what lies farther ahead is the calendar's own.
const beyond = 24 * time.Hour

// show moves the calendar to a time, and gives how far it then is ahead.
func (c *calendar) show(to time.Time) time.Duration {
	m := moving{from: time.Now(), ahead: time.Until(to)}
	c.marks = append(c.marks, m)
	return m.ahead
}

// now is what it shows.
func (c *calendar) now() time.Time { return time.Now().Add(c.marks[len(c.marks)-1].ahead) }

// moved is a time that another clock has told, by the calendar.
func (c *calendar) moved(t time.Time) time.Time {
	if t.IsZero() || time.Until(t) > beyond {
		return t
	}
	told := t
	if t.Nanosecond() == 0 { // of a commit, which cuts a second's parts off
		told = t.Add(time.Second - 1)
	}
	m := c.marks[0]
	for _, later := range c.marks[1:] {
		if later.from.After(told) {
			break
		}
		m = later
	}
	return t.Add(m.ahead)
}

// shown is how far the calendar was ahead when it showed a time.
func (c *calendar) shown(t time.Time) time.Duration {
	i := len(c.marks) - 1
	for i > 0 && c.marks[i].from.Add(c.marks[i].ahead).After(t) {
		i--
	}
	return c.marks[i].ahead
}

// by moves a time that another clock has told, unless it is moved already, by how far the
// calendar was ahead when what it is of was stored: it was not later than that.
func (c *calendar) by(stored, t time.Time) time.Time {
	if t.IsZero() || time.Until(t) > beyond {
		return t
	}
	if t = t.Add(c.shown(stored)); t.After(stored) {
		return stored
	}
	return t
}

func (c *calendar) moveSpan(s *recovery.Span) { s.From, s.To = c.moved(s.From), c.moved(s.To) }

// surveys moves what labels of base backups and records of the log say.
func (c *calendar) surveys(cat *catalogue.Catalogue) {
	for i := range cat.Surveys {
		s := &cat.Surveys[i]
		for k := range s.Backups {
			c.backup(&s.Backups[k])
		}
		for k := range s.Windows {
			w := &s.Windows[k]
			if b, ok := s.Named(w.Backup); ok {
				w.From.Time = c.by(b.Stored(), w.From.Time)
			}
			w.From.Time, w.To.Time = c.moved(w.From.Time), c.moved(w.To.Time)
		}
	}
}

// backup moves the moment of a backup. A dump tells the time of day where it was made
// and not the zone, so that its span reaches over other days, and the label of a base backup
// cuts a second's parts off, so that it may tell of before the calendar was moved: when they
// were stored, which is the calendar's already, says how far that is ahead.
func (c *calendar) backup(b *recovery.Backup) {
	stored := b.Stored()
	if byServer(b.Engine) {
		b.Taken.From, b.Taken.To = c.by(stored, b.Taken.From), c.by(stored, b.Taken.To)
	}
	c.moveSpan(&b.Taken)
}

// byServer reports whether the clock of a server dates an engine's backups.
func byServer(engine string) bool { return engine == "dump" || engine == "pitr" }

// skew is how far the clock of a copy is ahead, which goes on as all clocks of servers.
func (c *calendar) skew(d time.Duration) time.Duration { return d + c.marks[len(c.marks)-1].ahead }

// evidence moves what servers of databases and of objects say.
func (c *calendar) evidence(e *check.Evidence) {
	for name, s := range e.Servers {
		for _, t := range []*time.Time{&s.Now, &s.ArchivedAt, &s.FailedAt, &s.Commit} {
			*t = c.moved(*t)
		}
		e.Servers[name] = s
	}
	for i := range e.Copies {
		cp := &e.Copies[i]
		for k := range cp.Manifests {
			m := &cp.Manifests[k]
			if byServer(m.Engine) { // it ended by the calendar
				m.Moment.From, m.Moment.To = c.by(m.Ended, m.Moment.From), c.by(m.Ended, m.Moment.To)
			}
			c.moveSpan(&m.Moment)
		}
		cp.Lacking.Since = c.moved(cp.Lacking.Since)
	}
}

// A calendar takes what a clock of real time told to the day on which it told it, also where
// that was cut to the second.
func TestCalendar(t *testing.T) {
	day := time.Date(2040, 2, 28, 3, 0, 0, 0, time.UTC)
	var c calendar
	c.show(day)
	first := time.Now()
	c.show(day.AddDate(0, 0, 1))
	second := time.Now()
	for _, row := range []struct{ told, want time.Time }{
		{first, day}, {second, day.AddDate(0, 0, 1)}, {second.Truncate(time.Second), day.AddDate(0, 0, 1)}, {first.Add(-time.Hour), day.Add(-time.Hour)}, {day, day}, {time.Time{}, time.Time{}},
	} {
		if got := c.moved(row.told); got.Sub(row.want).Abs() > time.Minute {
			t.Errorf("%s is %s, want %s", row.told, got, row.want)
		}
	}
	// One and the same second of real time is of another day by when what tells it was stored.
	for _, want := range []time.Time{day, day.AddDate(0, 0, 1)} {
		stored := want.Add(100 * time.Millisecond)
		b := recovery.Backup{Engine: "pitr", Taken: recovery.Span{From: second.Truncate(time.Second), To: second.Truncate(time.Second)}, Objects: []storage.Object{{Modified: stored.Truncate(time.Second)}}}
		for range 2 { // once it is moved it stays
			if c.backup(&b); b.Taken.To.Sub(want).Abs() > time.Minute || b.Taken.To.After(stored) || b.Taken.From.After(b.Taken.To) {
				t.Errorf("a base backup of %s is of %s", want, b.Taken)
			}
		}
	}
}

// files moves the times of files below a directory.
func (c *calendar) files(t *testing.T, dir string) {
	t.Helper()
	if err := storagetest.MoveTimes(dir, c.moved); err != nil {
		t.Fatal(err)
	}
}
