package dump

import (
	"path"
	"regexp"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// The furthest that a clock on a wall can be from UTC.
const (
	ahead  = 14 * time.Hour
	behind = 12 * time.Hour
)

// takenOf is the moment of a dump, its start, as far as it is known. The start
// lies before the object was stored: that is the end of the range, whatever
// else is known. Its beginning comes from the clock that the dump names, else
// from a date in the object's name; both are without a zone mostly.
func takenOf(h head, o storage.Object) recovery.Span {
	s := recovery.Span{To: o.Modified.UTC()}
	switch {
	case !h.Clock.IsZero() && h.Zoned:
		return recovery.Span{From: h.Clock, To: h.Clock}
	case !h.Clock.IsZero():
		s = narrow(s, h.Clock.Add(-ahead), h.Clock.Add(behind))
	default:
		s = narrowByName(s, path.Base(o.Key))
	}
	return s
}

// narrow makes a span smaller, but never empty: then the store's clock and the
// dump's contradict each other, and the wider claim stands.
func narrow(s recovery.Span, from, to time.Time) recovery.Span {
	if from.After(s.To) {
		return s
	}
	s.From = from
	if to.Before(s.To) {
		s.To = to
	}
	return s
}

var (
	nameDate = regexp.MustCompile(`(?:^|\D)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?:\D|$)`)
	nameTime = regexp.MustCompile(`^[-_.T ]{0,3}([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:m]?([0-5]\d))?(Z)?(?:\D|$)`)
)

// narrowByName reads the date in a name such as 2026-11-22.sql.gz or
// shop_20261122T020000Z.dump.
func narrowByName(s recovery.Span, name string) recovery.Span {
	m := nameDate.FindStringSubmatchIndex(name)
	if m == nil {
		return s
	}
	number := func(i int) int {
		n, err := strconv.Atoi(name[m[i]:m[i+1]])
		if err != nil { // the pattern holds digits alone
			return 0
		}
		return n
	}
	day := time.Date(number(2), time.Month(number(4)), number(6), 0, 0, 0, 0, time.UTC)
	t := nameTime.FindStringSubmatch(name[m[7]:])
	if t == nil {
		return narrow(s, day.Add(-ahead), day.Add(24*time.Hour+behind))
	}
	var clock time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if n, err := strconv.Atoi(t[i+1]); err == nil { // the seconds may be missing
			clock += time.Duration(n) * unit
		}
	}
	// A script fixes the name and then starts the dump: the name is a lower
	// bound, no upper one.
	if t[4] == "Z" {
		return narrow(s, day.Add(clock), s.To)
	}
	return narrow(s, day.Add(clock-ahead), s.To)
}

// when writes a span for people.
func when(s recovery.Span) string {
	const layout = "2006-01-02 15:04:05 MST"
	switch {
	case s.Known():
		return s.To.UTC().Format(layout)
	case s.From.IsZero() && s.To.IsZero():
		return "at an unknown time"
	case s.From.IsZero():
		return "before " + s.To.UTC().Format(layout)
	}
	return "between " + s.From.UTC().Format(layout) + " and " + s.To.UTC().Format(layout)
}
