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
