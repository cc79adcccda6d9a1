package recovery_test

import (
	"testing"
	"time"

	"comeback/recovery"
)

func TestSpan_Says(t *testing.T) {
	at := time.Date(2026, 11, 28, 2, 0, 0, 100, time.FixedZone("", 3600))
	for want, span := range map[string]recovery.Span{
		"2026-11-28 01:00:00 UTC":                                     {From: at, To: at},
		"at an unknown time":                                          {},
		"before 2026-11-28 01:00:00 UTC":                              {To: at},
		"between 2026-11-28 00:59:59 UTC and 2026-11-28 01:00:00 UTC": {From: at.Add(-time.Second), To: at},
	} {
		if got := span.Says(); got != want {
			t.Errorf("%+v says %q, want %q", span, got, want)
		}
	}
	// Known to the second is one time, not two.
	if got := (recovery.Span{From: at, To: at.Add(time.Millisecond)}).Says(); got != "2026-11-28 01:00:00 UTC" {
		t.Errorf("a span within a second says %q", got)
	}
}

// What contradicts the clock of its store is as late as it may be, and nobody knows when it
// begins; clocks that differ by little contradict nothing.
func TestSpan_StoredBy(t *testing.T) {
	stored := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	span := func(from, to time.Duration) recovery.Span {
		return recovery.Span{From: stored.Add(from), To: stored.Add(to)}
	}
	for name, row := range map[string]struct{ claim, want recovery.Span }{
		"before":                  {span(-time.Hour, -time.Minute), span(-time.Hour, -time.Minute)},
		"clocks differ by little": {span(-time.Minute, time.Minute), span(-time.Minute, time.Minute)},
		"begun before":            {span(-time.Minute, time.Hour), span(-time.Minute, time.Hour)},
		"a year ahead":            {span(365*24*time.Hour, 366*24*time.Hour), recovery.Span{To: stored.Add(366 * 24 * time.Hour)}},
		"nothing":                 {recovery.Span{}, recovery.Span{}},
	} {
		if got := row.claim.StoredBy(stored); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
		if got := row.claim.Contradicted(stored); got.IsZero() != (name != "begun before" && name != "a year ahead") {
			t.Errorf("%s is contradicted at %s", name, got)
		}
		if got := row.claim.StoredBy(time.Time{}); got != row.claim {
			t.Errorf("%s, and nothing is known of the store: %+v", name, got)
		}
	}
}
