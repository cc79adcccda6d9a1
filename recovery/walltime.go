package recovery

import (
	"strings"
	"time"
)

// WallTime is a day and a time of it as the clocks of a zone show them, without their offset
// from UTC: one moment, but where the clocks are changed. Which one is meant there is never
// guessed.
type WallTime struct {
	shown time.Time // in UTC
	// at are the moments at which they show it, the earliest first; where they never do, those
	// by the offset after the change and by the one before.
	at []time.Time
	// skipped is when they are put forward over it; zero where they are not.
	skipped time.Time
}

// OnWall is what the fields of a time stand for in a zone; the zone of shown is none of them.
func OnWall(shown time.Time, zone *time.Location) WallTime {
	y, m, d := shown.Date()
	w := WallTime{shown: time.Date(y, m, d, shown.Hour(), shown.Minute(), shown.Second(), shown.Nanosecond(), time.UTC)}
	var before time.Time // by the offset before a change, and behind that
	for t := w.shown.Add(-AheadOfUTC).In(zone); ; {
		_, offset := t.Zone()
		at := w.shown.Add(-time.Duration(offset) * time.Second).In(zone)
		start, end := t.ZoneBounds()
		switch {
		case !end.IsZero() && !at.Before(end):
			before = at
		case start.IsZero() || !at.Before(start):
			w.at, before = append(w.at, at), time.Time{}
		case len(w.at) == 0 && !before.IsZero():
			w.at, w.skipped = []time.Time{at, before}, start
			return w
		}
		if end.IsZero() || end.After(w.shown.Add(BehindOfUTC)) {
			return w
		}
		t = end
	}
}

// ToCome reports whether the clocks have yet to come to it.
func (w WallTime) ToCome(now time.Time) bool {
	if !w.skipped.IsZero() {
		return w.skipped.After(now)
	}
	return w.at[0].After(now)
}

// Moment is the moment at which the clocks show it: of two the one that has come, if the other
// has not. Where that leaves none, or both, it is refused.
func (w WallTime) Moment(now time.Time) (time.Time, error) {
	const layout = "15:04:05 on 2 Jan 2006"
	switch hint := "say which you mean: " + w.Says(); {
	case !w.skipped.IsZero():
		return time.Time{}, Errorf(hint, "no clock shows %s: clocks are put forward over it", w.shown.Format(layout)).WithExit(Usage)
	case len(w.at) > 1 && !w.at[1].After(now), len(w.at) > 1 && w.at[0].After(now):
		return time.Time{}, Errorf(hint, "clocks show %s twice: they are put back over it", w.shown.Format(layout)).WithExit(Usage)
	}
	return w.at[0], nil
}

// Says is every moment that it can stand for, with its offset.
func (w WallTime) Says() string {
	var all []string
	for _, at := range w.at {
		all = append(all, at.Format(time.RFC3339Nano))
	}
	return strings.Join(all, " or ")
}

// StartOfDay is when a day begins in a zone; the fields of day are what its clocks show.
func StartOfDay(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	w := OnWall(time.Date(y, m, d, 0, 0, 0, 0, time.UTC), zone)
	if !w.skipped.IsZero() { // the clocks are put forward at midnight
		return w.skipped
	}
	return w.at[0]
}
