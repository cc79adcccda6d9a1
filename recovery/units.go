package recovery

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// FormatBytes writes a size with three digits and a decimal unit, "13.1 GB".
func FormatBytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	digits := 0
	switch {
	case f < 9.995:
		digits = 2
	case f < 99.95:
		digits = 1
	}
	return fmt.Sprintf("%.*f %cB", digits, f, units[i])
}

// FormatSpan writes a duration as people in an incident say it: "0m35",
// "13m12", "2h05m", "3d 4h".
func FormatSpan(d time.Duration) string {
	if d < 0 {
		return "-" + FormatSpan(-max(d, -math.MaxInt64)) // the shortest has no counterpart
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s >= 48*3600:
		return fmt.Sprintf("%dd %dh", s/86400, s%86400/3600)
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dm%02d", s/60, s%60)
}

// Scaled is a duration times a factor; what is longer than any duration is the longest.
func Scaled(d time.Duration, by float64) time.Duration {
	switch f := float64(d) * by; {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	case math.IsNaN(f):
		return 0
	default:
		return time.Duration(f)
	}
}

// FormatCount writes how many of something there are, "1 row", "2 rows".
func FormatCount[N ~int | ~int64](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// FormatGrouped writes a number in groups of three, "18 402".
func FormatGrouped(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return sign + s
}

// Amount writes progress in the unit.
func (u Unit) Amount(n int64) string {
	switch u {
	case InBytes:
		return FormatBytes(n)
	case InLSN:
		return FormatBytes(n) + " of log"
	case InTables:
		return FormatCount(n, "table")
	case InItems:
		return FormatGrouped(n) + " items"
	}
	return FormatGrouped(n)
}

// AmountOf writes how much of a total is done, with the unit said once.
func (u Unit) AmountOf(done, total int64) string {
	switch u {
	case InBytes, InLSN:
		return FormatBytes(done) + " of " + u.Amount(total)
	}
	return FormatGrouped(done) + " of " + u.Amount(total)
}

// Share is done of total, from 0 to 1.
func Share(done, total int64) float64 {
	if total <= 0 {
		return 0
	}
	return min(1, max(0, float64(done)/float64(total)))
}

// Percent is Share in words. It says 100 only when all is done.
func Percent(done, total int64) string { return fmt.Sprintf("%d %%", int(Share(done, total)*100)) }
