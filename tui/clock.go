package tui

import (
	"fmt"
	"time"

	"comeback/recovery"
)

// clock writes a time of day with its offset, "02:57:20+01".
func clock(t time.Time) string { return t.Format("15:04:05") + offset(t) }

// offset is a time's distance from UTC, "+01" or "+0530".
func offset(t time.Time) string {
	if _, seconds := t.Zone(); seconds%3600 != 0 {
		return t.Format("-0700")
	}
	return t.Format("-07")
}

// exact writes a moment in full, "2026-11-23 02:41:05+01". Fractions of a second
// are shown where there are any.
func exact(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "unknown"
	}
	t = t.In(zone)
	return t.Format("2006-01-02 15:04:05.999") + offset(t)
}

// stamp writes a moment as people read it beside a clock: "02:41:05 today",
// "22 Nov 02:00:41", "22 Nov 2025 02:00".
func stamp(t, now time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	t = t.In(now.Location())
	y, m, d := now.Date()
	ty, tm, td := t.Date()
	switch {
	case y == ty && m == tm && d == td:
		return t.Format("15:04:05") + " today"
	case y == ty:
		return t.Format("_2 Jan 15:04:05")
	}
	return t.Format("_2 Jan 2006 15:04")
}

// took writes a duration: "30m" and "2h" where it is round, "13m12" elsewhere.
func took(d time.Duration) string {
	switch {
	case d > 0 && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d > 0 && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d > 0 && d < time.Hour && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return recovery.FormatSpan(d)
}

// elapsed writes a time that passes, always with its seconds, so that it does
// not change its shape: "15m00".
func elapsed(d time.Duration) string { return recovery.FormatSpan(max(0, d).Truncate(time.Second)) }

// budget is took of something that may not be set.
func budget(d time.Duration, none string) string {
	if d <= 0 {
		return none
	}
	return took(d)
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// rate writes an amount per second.
func rate(n int64, unit recovery.Unit) string {
	if unit == recovery.InLSN {
		unit = recovery.InBytes
	}
	return unit.Amount(n) + "/s"
}
