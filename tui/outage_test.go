package tui

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

func TestReadOutage(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 11, 23, h, m, 0, 0, zone) }
	for text, want := range map[string]recovery.OutageNoted{
		"09:43": {Since: at(9, 43), How: "known"}, "~09:43": {Since: at(9, 43), How: "estimated"}, "about 09:43": {Since: at(9, 43), How: "estimated"},
		"10 minutes ago": {Since: at(9, 50), How: "estimated"}, "": {How: "unknown"}, "?": {How: "unknown"}, "unknown": {How: "unknown"},
		"23:00": {Since: at(23, 0).AddDate(0, 0, -1), How: "known"}, "2026-11-22 08:00": {Since: at(8, 0).AddDate(0, 0, -1), How: "known"},
	} {
		got, err := readOutage(text, ten)
		if err != nil || !got.Since.Equal(want.Since) || got.How != want.How {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"latest", "before-xid:7", "soon", "2026-11-24 08:00", "~"} {
		if got, err := readOutage(text, ten); (err == nil) != (text == "~") || text != "~" && recovery.HintOf(err) == "" {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}

// Where clocks are changed, what is typed is the moment at which they showed it, or nothing:
// never one that is guessed.
func TestReadOutage_clocksChange(t *testing.T) {
	for _, c := range []struct {
		zone, now, typed string
		// want is the moment; empty is none, and then hints are what it could be.
		want  string
		hints []string
	}{
		{"Europe/Berlin", "2026-10-25T02:50:00+02:00", "02:43", "2026-10-25T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-10-25T02:10:00+01:00", "02:43", "2026-10-25T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-10-25T02:50:00+01:00", "02:43", "", []string{"2026-10-25T02:43:00+02:00", "2026-10-25T02:43:00+01:00"}},
		{"Europe/Berlin", "2026-10-25T02:50:00+01:00", "~02:43", "", []string{"2026-10-25T02:43:00+02:00"}},
		{"Europe/Berlin", "2026-10-25T02:50:00+01:00", "2026-10-25T02:43:00+02:00", "2026-10-25T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-10-25T02:10:00+02:00", "02:43", "2026-10-24T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-10-26T01:00:00+01:00", "02:43", "", []string{"2026-10-25T02:43:00+02:00"}},
		{"Europe/Berlin", "2026-10-27T09:00:00+01:00", "25 Oct 02:43", "", []string{"2026-10-25T02:43:00+02:00"}},
		{"Europe/Berlin", "2026-10-27T09:00:00+01:00", "2026-10-25 02:43:10", "", []string{"2026-10-25T02:43:10+02:00"}},
		{"Europe/Berlin", "2026-10-27T09:00:00+01:00", "24 Oct 02:43", "2026-10-24T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-03-29T04:00:00+02:00", "02:30", "", []string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
		{"Europe/Berlin", "2026-03-29T01:00:00+01:00", "02:30", "2026-03-28T02:30:00+01:00", nil},
		{"Europe/London", "2026-10-25T01:50:00Z", "01:43", "", []string{"2026-10-25T01:43:00+01:00", "2026-10-25T01:43:00Z"}},
		{"Europe/London", "2026-10-25T01:50:00+01:00", "01:43", "2026-10-25T01:43:00+01:00", nil},
		{"America/New_York", "2026-11-01T01:55:00-05:00", "01:50", "", []string{"2026-11-01T01:50:00-04:00", "2026-11-01T01:50:00-05:00"}},
		{"America/New_York", "2026-11-01T01:55:00-04:00", "01:50", "2026-11-01T01:50:00-04:00", nil},
		{"Europe/Berlin", "2027-03-02T09:00:00+01:00", "29 Feb 02:00", "", []string{"say the year"}},
		{"Europe/Berlin", "2025-01-02T09:00:00+01:00", "29 Feb 02:00", "2024-02-29T02:00:00+01:00", nil},
		{"Europe/Berlin", "2027-03-02T09:00:00+01:00", "3 Mar 02:00", "2026-03-03T02:00:00+01:00", nil},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		now = now.In(zone)
		got, err := readOutage(c.typed, now)
		want, errWant := readWant(strings.TrimPrefix(c.typed, "~"), now)
		if c.want == "" {
			for _, hint := range c.hints {
				if err == nil || errWant == nil || !strings.Contains(recovery.HintOf(err), hint) || !strings.Contains(recovery.HintOf(errWant), hint) {
					t.Errorf("%s at %s in %s is read as %s, %v (%s) and %s, %v", c.typed, c.now, c.zone, got.Since, err, recovery.HintOf(err), want.Text, errWant)
				}
			}
			continue
		}
		if err != nil || errWant != nil || got.Since.In(zone).Format(time.RFC3339) != c.want || !want.Time.Equal(got.Since) {
			t.Errorf("%s at %s in %s is read as %s, %v and %s, %v; want %s", c.typed, c.now, c.zone, got.Since, err, want.Text, errWant, c.want)
		}
		if says := outageSays(got, now); !strings.Contains(says, offset(got.Since.In(zone))) {
			t.Errorf("it says %q", says)
		}
	}
}
