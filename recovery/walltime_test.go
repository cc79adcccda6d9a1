package recovery_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// What the clocks show stands for the moment at which they do, and for no other: where they
// are put back for either, where they are put forward for none.
func TestOnWall(t *testing.T) {
	for _, c := range []struct {
		zone, shown string
		// now is when it is read, want the moment; empty is none, and then says are the two
		// that it can stand for.
		now, want string
		says      []string
	}{
		{"Europe/Berlin", "2026-10-25 01:59:59", "2026-11-01T00:00:00Z", "2026-10-25T01:59:59+02:00", nil},
		{"Europe/Berlin", "2026-10-25 02:43:00", "2026-11-01T00:00:00Z", "", []string{"2026-10-25T02:43:00+02:00", "2026-10-25T02:43:00+01:00"}},
		{"Europe/Berlin", "2026-10-25 02:43:00", "2026-10-25T02:50:00+02:00", "2026-10-25T02:43:00+02:00", nil},
		{"Europe/Berlin", "2026-10-25 02:43:00", "2026-10-01T00:00:00Z", "", []string{"2026-10-25T02:43:00+02:00", "2026-10-25T02:43:00+01:00"}},
		{"Europe/Berlin", "2026-10-25 03:00:00", "2026-11-01T00:00:00Z", "2026-10-25T03:00:00+01:00", nil},
		{"Europe/Berlin", "2026-03-29 01:59:59", "2026-11-01T00:00:00Z", "2026-03-29T01:59:59+01:00", nil},
		{"Europe/Berlin", "2026-03-29 02:00:00", "2026-11-01T00:00:00Z", "", []string{"2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"}},
		{"Europe/Berlin", "2026-03-29 03:00:00", "2026-11-01T00:00:00Z", "2026-03-29T03:00:00+02:00", nil},
		{"Europe/London", "2026-10-25 01:30:00", "2026-11-01T00:00:00Z", "", []string{"2026-10-25T01:30:00+01:00", "2026-10-25T01:30:00Z"}},
		{"Europe/London", "2026-03-29 01:30:00", "2026-11-01T00:00:00Z", "", []string{"2026-03-29T00:30:00Z", "2026-03-29T02:30:00+01:00"}},
		{"America/New_York", "2026-11-01 01:50:00", "2026-11-02T00:00:00Z", "", []string{"2026-11-01T01:50:00-04:00", "2026-11-01T01:50:00-05:00"}},
		{"America/New_York", "2026-11-01 01:50:00", "2026-11-01T01:55:00-04:00", "2026-11-01T01:50:00-04:00", nil},
		{"America/New_York", "2026-03-08 02:30:00", "2026-11-02T00:00:00Z", "", []string{"2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00"}},
		{"Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-11-02T00:00:00Z", "", []string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"}},
		{"Pacific/Apia", "2011-12-30 12:00:00", "2026-11-02T00:00:00Z", "", []string{"2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"}},
		{"Pacific/Apia", "2011-12-31 00:00:00", "2026-11-02T00:00:00Z", "2011-12-31T00:00:00+14:00", nil},
		{"UTC", "2026-10-25 02:43:00", "2026-11-01T00:00:00Z", "2026-10-25T02:43:00Z", nil},
	} {
		w, now := recovery.OnWall(parsed(t, time.DateTime, c.shown), location(t, c.zone)), parsed(t, time.RFC3339, c.now)
		at, err := w.Moment(now)
		switch {
		case c.want != "" && (err != nil || at.Format(time.RFC3339) != c.want):
			t.Errorf("%s in %s, read at %s: %s, %v; want %s", c.shown, c.zone, c.now, at.Format(time.RFC3339), err, c.want)
		case c.want == "" && (recovery.ExitOf(err) != recovery.Usage || !strings.Contains(recovery.HintOf(err), strings.Join(c.says, " or "))):
			t.Errorf("%s in %s: %s, %v (%s); want one of %q", c.shown, c.zone, at, err, recovery.HintOf(err), c.says)
		}
	}
}

// Whatever moment it is, what the clocks show then stands for it, or can.
func TestOnWall_everyMoment(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Asia/Kolkata"} {
		zone := location(t, name)
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, zone); at.Year() == 2026; at = at.Add(15 * time.Minute) {
			if says := recovery.OnWall(at, zone).Says(); !strings.Contains(" "+says+" ", " "+at.Format(time.RFC3339)+" ") {
				t.Errorf("%s is read as %s", at.Format(time.RFC3339), says)
			}
		}
	}
}

func TestWallTime_ToCome(t *testing.T) {
	zone := location(t, "Europe/Berlin")
	for _, c := range []struct {
		shown, now string
		want       bool
	}{
		{"2026-10-25 02:43:00", "2026-10-25T02:42:00+02:00", true}, {"2026-10-25 02:43:00", "2026-10-25T02:43:00+02:00", false}, {"2026-10-25 02:43:00", "2026-10-25T02:10:00+01:00", false},
		{"2026-03-29 02:30:00", "2026-03-29T01:59:00+01:00", true}, {"2026-03-29 02:30:00", "2026-03-29T03:00:00+02:00", false},
	} {
		if got := recovery.OnWall(parsed(t, time.DateTime, c.shown), zone).ToCome(parsed(t, time.RFC3339, c.now)); got != c.want {
			t.Errorf("%s is to come at %s: %v", c.shown, c.now, got)
		}
	}
}

// A day begins at midnight, or where clocks are put forward over that.
func TestStartOfDay(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"Europe/Berlin", "2026-10-25", "2026-10-25T00:00:00+02:00"},
		{"Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"},   // at midnight
		{"America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"}, // midnight comes twice
	} {
		if got := recovery.StartOfDay(parsed(t, time.DateOnly, c.day), location(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.day, c.zone, got, c.want)
		}
	}
}

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func parsed(t *testing.T, layout, text string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
