package main

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/tui"
)

// Where the moment of a run is changed, the component that decides stays the one that did,
// but one of files which only did because it had the backup: a database would go back to its
// last snapshot.
func TestWantedNow(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	p := &recovery.Plan{Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}, {Name: "ledger", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}}}
	want := func(text string) recovery.Want {
		w, err := recovery.ParseWant(text, now)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, c := range map[string]struct {
		was, anchor string
		choice      tui.Choice
		decides     string
	}{
		"a snapshot of files, then latest":           {"uploads/20261122T030000Z", "uploads", tui.Choice{Want: "latest"}, ""},
		"a snapshot of files, then a time":           {"uploads/20261122T030000Z", "uploads", tui.Choice{Want: "2026-11-23T02:40:00Z"}, ""},
		"a snapshot of files, then another backup":   {"uploads/20261122T030000Z", "uploads", tui.Choice{Want: "db/2026-11-22.sql.gz"}, ""},
		"a snapshot of files, only from elsewhere":   {"uploads/20261122T030000Z", "uploads", tui.Choice{Copy: "offsite", Component: "database"}, "uploads"},
		"files that were named, then another time":   {"2026-11-23T02:40:00Z", "uploads", tui.Choice{Want: "2026-11-23T02:41:00Z"}, "uploads"},
		"a backup of a database, then a time":        {"db/2026-11-22.sql.gz", "ledger", tui.Choice{Want: "2026-11-23T02:40:00Z"}, "ledger"},
		"a transaction, then another one":            {"before-xid:812", "ledger", tui.Choice{Want: "before-xid:811"}, "ledger"},
		"a transaction, then another one's snapshot": {"before-xid:812", "ledger", tui.Choice{Want: "uploads/20261122T030000Z"}, ""},
	} {
		w, err := wantedNow(p, recovery.Moment{Want: want(c.was), Anchor: c.anchor}, c.choice, now)
		if err != nil || w.Component != c.decides {
			t.Errorf("%s: %q decides, not %q, %v", name, w.Component, c.decides, err)
		}
		if text := c.choice.Want; text != "" && w.Want.Text != text || text == "" && w.Want.Text != c.was {
			t.Errorf("%s: it is wanted %q", name, w.Want.Text)
		}
	}
}
