package runbooks

import (
	"errors"
	"math"
	"strconv"
	"time"

	"comeback/pattern"
)

var (
	durationPart  = pattern.New(`^(\d+)([a-z]+)`)
	durationUnits = map[string]time.Duration{
		"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}
)

// ParseDuration reads a length of time as runbooks write it: "45s", "5m",
// "1h30m", "90d", "2w". Days have 24 hours. The error says what is wrong and
// does not repeat the text.
func ParseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		return 0, errors.New("has no unit")
	}
	var sum time.Duration
	for rest := text; rest != "" || text == ""; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, errors.New("is not a duration")
		}
		unit, ok := durationUnits[m[2]]
		if !ok {
			return 0, errors.New("is not a duration")
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > math.MaxInt64/int64(unit) || time.Duration(n)*unit > math.MaxInt64-sum {
			return 0, errors.New("is too long")
		}
		sum += time.Duration(n) * unit
		rest = rest[len(m[0]):]
	}
	return sum, nil
}

// formatDuration writes what ParseDuration reads.
func formatDuration(d time.Duration) string {
	text := ""
	for _, u := range []string{"d", "h", "m", "s"} {
		if n := d / durationUnits[u]; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + u
			d -= n * durationUnits[u]
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}
