package main

import (
	"testing"
	"time"

	"comeback/recovery"
)

// A period begins and ends with days of the zone of whoever asks, the last one whole.
func TestExport_period(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 30, 9, 0, 0, 0, zone)
		day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, zone) }
		p, err := exportAsked{since: "2026-07-01", until: "2026-09-30"}.period(now)
		if err != nil {
			t.Fatal(err)
		}
		for began, want := range map[time.Time]bool{
			day(7, 1).Add(-time.Second): false, day(7, 1): true, day(10, 1).Add(-time.Millisecond): true, day(10, 1): false,
		} {
			if got := p.Holds(began.UTC()); got != want {
				t.Errorf("%s: a run that began at %s is of the quarter: %v", name, began, got)
			}
		}
		if p, err = (exportAsked{since: "2026-11-30"}).period(now); err != nil || !p.Holds(now) || p.Holds(day(11, 30).Add(-1)) {
			t.Errorf("%s: today: %+v, %v", name, p, err)
		}
		for _, o := range []exportAsked{{}, {since: "yesterday"}, {since: "2026-07-01", until: "2026-06-30"}, {since: "2026-07-01", until: "30 Sep"}} {
			if _, err := o.period(now); recovery.ExitOf(err) != recovery.Usage || recovery.HintOf(err) == "" {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

// Where clocks are put forward at midnight, a day begins with their next minute.
func TestExport_midnightSkipped(t *testing.T) {
	cairo, err := time.LoadLocation("Africa/Cairo")
	if err != nil {
		t.Fatal(err)
	}
	p, err := exportAsked{since: "2026-04-24", until: "2026-04-24"}.period(time.Date(2026, 11, 30, 9, 0, 0, 0, cairo))
	begins := time.Date(2026, 4, 23, 22, 0, 0, 0, time.UTC)
	if err != nil || !p.Since.Equal(begins) || p.Since.Day() != 24 || p.Holds(begins.Add(-1)) || !p.Holds(begins) || !p.Holds(begins.Add(23*time.Hour-1)) || p.Holds(begins.Add(23*time.Hour)) {
		t.Errorf("%+v, %v", p, err)
	}
}
