package tui

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// An expiry asks for the names of what it removes, in words that are true of what is live no
// more, or never was.
func TestExpiry_words(t *testing.T) {
	text := func(lines []line) string {
		var all []string
		for _, l := range lines {
			all = append(all, strings.TrimRight(l.words(), " "))
		}
		return strings.Join(all, "\n")
	}
	expiry := func(places ...string) *recovery.Plan {
		p := &recovery.Plan{Mode: recovery.Recovery, Confirm: strings.Join(places, ", ")}
		for _, place := range places {
			p.Expires = append(p.Expires, recovery.Old{Place: place, Handed: true})
			p.Live = append(p.Live, recovery.Live{Effects: recovery.Effects{Gone: []string{place + ": restored by run 7c31 and left beside live"}}})
		}
		return p
	}
	m := newModel(t.Context(), Options{Desk: shopDesk(), Now: func() time.Time { return ten }})
	one, two := expiry("/x/config"), expiry("/x/config", "/x/code")
	for want, got := range map[string]string{
		"To remove it for good, type its name, /x/config. Anything else changes nothing.":                      text(typingChanges(one, 100)),
		"To remove all of it for good, type all the names, /x/config, /x/code. Anything else changes nothing.": text(typingChanges(two, 110)),
		"REMOVED        /x/config, /x/code: restored by run 7c31 and left beside live":                         text(m.effects(two.Effects(), 100, 3)),
		"removes /x/config, /x/code for good":                                                                  doesLive(two),
		"of all that goes; then it is removed for good":                                                        namedThen(two),
	} {
		if got != want {
			t.Errorf("it says %q, not %q", got, want)
		}
	}
	if live := text(typingChanges(&recovery.Plan{Confirm: "db1/shop"}, 100)); live != "To change LIVE, type the target, db1/shop. Anything else changes nothing." {
		t.Errorf("a recovery says %q", live)
	}
}
