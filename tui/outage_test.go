package tui

import (
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
