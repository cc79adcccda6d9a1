package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// zone is where times are shown: in one zone with its offset, and in the
// database's own beside it where that differs.
type zone struct {
	at *time.Location
	// own is the database's; nil where it is not known.
	own *time.Location
}

// inTheDay is how a moment is written where its day is known.
const inTheDay = "15:04:05.000"

// with is the zone beside that of a live server.
func (z zone) with(a postgres.Archiver) zone {
	if a.Zone == "" {
		return z
	}
	own, err := time.LoadLocation(a.Zone)
	if err != nil { // one that this machine does not know: its offset of now
		_, offset := a.Now.Zone()
		own = time.FixedZone(a.Zone, offset)
	}
	z.own = own
	return z
}

// differs reports whether the database's clocks show another time than ours.
func (z zone) differs(t time.Time) bool {
	if z.own == nil {
		return false
	}
	_, ours := t.In(z.at).Zone()
	_, theirs := t.In(z.own).Zone()
	return ours != theirs
}

// time writes a moment with its offset, to the second.
func (z zone) time(t time.Time) string { return z.format(t, "15:04:05") }

// exact writes it to the millisecond.
func (z zone) exact(t time.Time) string { return z.format(t, inTheDay) }

func (z zone) format(t time.Time, clock string) string {
	text := t.In(z.at).Format(time.DateOnly + " " + clock + "Z07:00")
	if z.differs(t) {
		text += fmt.Sprintf(" (%s %s)", t.In(z.own).Format(clock), clean(z.own.String()))
	}
	return text
}

// explain says what the times are in, as of one of them.
func (z zone) explain(t time.Time) string {
	text := "times are in " + t.In(z.at).Format("-07:00")
	if z.differs(t) {
		text += fmt.Sprintf("; the database's own zone is %s, where %s is %s", clean(z.own.String()), t.In(z.at).Format("15:04"), t.In(z.own).Format("15:04"))
	}
	return text
}

// around is what --around asks for: one of the three.
type around struct {
	time   time.Time
	xid    recovery.XID
	latest bool
}

var clockOnly = pattern.New(`^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$`)

// parseAround reads the value of --around.
func parseAround(text string, now time.Time, z zone) (around, error) {
	s := strings.TrimSpace(text)
	if s == "latest" {
		return around{latest: true}, nil
	}
	if number, ok := strings.CutPrefix(s, "xid:"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n < 3 {
			return around{}, usage("give the number of a transaction, like xid:81214", "--around %s: %q is not a transaction id", s, number)
		}
		return around{xid: recovery.XID(n)}, nil
	}
	if clockOnly.MatchString(s) {
		return today(s, now.In(z.at))
	}
	w, err := recovery.ParseWant(s, now)
	if err == nil && w.Kind == recovery.WantTime {
		if w.Time.After(now) {
			return around{}, usage("give a time that has passed", "--around %s has not come yet: it is %s", s, z.time(now))
		}
		return around{time: w.Time}, nil
	}
	hint := fmt.Sprintf("write for example 14:30, %s, \"10 minutes ago\" or xid:81214", now.In(z.at).Format(time.RFC3339))
	var wrong *recovery.Error
	if errors.As(err, &wrong) {
		return around{}, usage(hint, "%s", strings.Replace(wrong.What, "--to", "--around", 1))
	}
	return around{}, usage(hint, "--around %q is neither a time nor xid:N", s)
}

// today is a time of the day that it is in now's zone.
func today(s string, now time.Time) (around, error) {
	layout := "15:04:05"
	if strings.Count(s, ":") == 1 {
		layout = "15:04"
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return around{}, usage("write it like 14:30 or 14:30:05", "--around %s is not a time of the day", s)
	}
	y, m, d := now.Date()
	on := func(d int) recovery.WallTime {
		return recovery.OnWall(time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC), now.Location())
	}
	w := on(d)
	if w.ToCome(now) {
		return around{}, usage("if you mean yesterday, write "+on(d-1).Says(),
			"--around %s is today at %s, which has not come yet: it is %s", s, w.Says(), now.Format("15:04:05Z07:00"))
	}
	at, err := w.Moment(now)
	if err != nil {
		return around{}, usage(recovery.HintOf(err), "--around %s: %w", s, err)
	}
	return around{time: at}, nil
}
