package recovery

import (
	"strconv"
	"time"

	"comeback/pattern"
)

// The furthest that a clock on a wall can be from UTC.
const (
	AheadOfUTC  = 14 * time.Hour
	BehindOfUTC = 12 * time.Hour
)

// Narrowed makes a span smaller, but never empty: then the store's clock and
// the claim contradict each other, and the wider span stands.
func (s Span) Narrowed(from, to time.Time) Span {
	if from.After(s.To) {
		return s
	}
	s.From = from
	if to.Before(s.To) {
		s.To = to
	}
	return s
}

// farAhead is from where on a moment is still to come, whatever clocks differ by.
const farAhead = 5 * time.Minute

// Future reports whether a moment is still to come now. Whatever is said to be of it was
// taken by a clock that was wrong, and how old it is nobody knows.
func Future(t, now time.Time) bool { return t.After(now.Add(farAhead)) }

// badClock is from where on a moment that a backup claims contradicts the store's clock.
const badClock = 10 * time.Minute

// Contradicted is when a store says that all of a backup was stored, where the moment of its
// content was still to come by that: the clock of one of them was wrong, and nobody knows
// whose. Zero is no contradiction.
func (s Span) Contradicted(stored time.Time) time.Time {
	if stored.IsZero() || !s.Last().After(stored.Add(badClock)) {
		return time.Time{}
	}
	return stored
}

// StoredBy is what is known of a moment that whoever has taken a backup claims, when the
// store's clock says that all of it was stored then. Where the clocks contradict each other
// the later bound stands: what is not surely from before a time is not taken for that, and
// it is let go no earlier. When it begins is not known then, unless that is before both.
func (s Span) StoredBy(stored time.Time) Span {
	if !s.Contradicted(stored).IsZero() && s.From.After(stored) {
		return Span{To: s.Last()}
	}
	return s
}

var (
	nameDate = pattern.New(`(?:^|\D)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?:\D|$)`)
	nameTime = pattern.New(`^[-_.T ]{0,3}([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:m]?([0-5]\d))?(Z)?(?:\D|$)`)
)

// NarrowedByName reads the date in the name of a backup, such as
// 2026-11-22.sql.gz or shop_20261122T020000Z.tar.zst, which a script fixes
// before the backup begins. Most are without a zone.
func (s Span) NarrowedByName(name string) Span {
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
		return s.Narrowed(day.Add(-AheadOfUTC), day.Add(24*time.Hour+BehindOfUTC))
	}
	var clock time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if n, err := strconv.Atoi(t[i+1]); err == nil { // the seconds may be missing
			clock += time.Duration(n) * unit
		}
	}
	// The name is a lower bound, no upper one.
	if t[4] == "Z" {
		return s.Narrowed(day.Add(clock), s.To)
	}
	return s.Narrowed(day.Add(clock-AheadOfUTC), s.To)
}

// Says writes a span for people.
func (s Span) Says() string {
	const layout = "2006-01-02 15:04:05 MST"
	switch {
	case s.Known():
		return s.To.UTC().Format(layout)
	case s.From.IsZero() && s.To.IsZero():
		return "at an unknown time"
	case s.From.IsZero():
		return "before " + s.To.UTC().Format(layout)
	}
	from, to := s.From.UTC().Format(layout), s.To.UTC().Format(layout)
	if from == to { // known to the second
		return to
	}
	return "between " + from + " and " + to
}
