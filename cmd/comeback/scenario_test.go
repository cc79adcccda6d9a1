package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// The cards of a scenario are shown one after the other, and journal and report
// tell which were played and when.
func TestJourney_scenario(t *testing.T) {
	cards := filepath.Join(t.TempDir(), "friday.md")
	text := "# Friday evening\n\nFor whoever leads.\n\n## The phone rings\n\nSupport says: all **orders** are gone.\n\n## The lead is on a train\n\n```\n## no card\n```\n"
	if err := os.WriteFile(cards, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range voices {
		t.Run(v.name, func(t *testing.T) {
			r, dir := newRig(t), filepath.Dir(filesBook(t, somebodyLooks))
			code := v.goes(t, r, dir, journey{
				{sees: []string{"PLAN", "start the rehearsal"}, keys: "enter", line: "enter"},
				{sees: []string{"WAITS FOR YOU", "Somebody has looked", "card 1 of 2"}, keys: "x", line: "x"},
				{sees: []string{"card 1 of 2: The phone rings", "Support says: all orders are gone."}, keys: "esc", line: ""},
				{sees: []string{"WAITS FOR YOU", "Somebody has looked", "card 2 of 2"}, keys: "space", line: "1 done"},
				{sees: []string{"REHEARSED"}, keys: "q", line: "quit"},
			}, "rehearse", "shop.md", "--to", "pages.tar", "--scenario", cards)
			if code != int(recovery.CameBack) {
				t.Errorf("exit %d", code)
			}
			got := r.run(t.Context(), "report", "show", filepath.Base(r.only(t)))
			if !strings.Contains(strings.Join(strings.Fields(got.out), " "), "scenario card 1 of 2: The phone rings: Support says: all") || strings.Contains(got.out, "card 2") {
				t.Errorf("the report tells:\n%s", got.out)
			}
		})
	}
	r := newRig(t)
	if got := r.run(t.Context(), "rehearse", filesBook(t, ""), "--plain", "--scenario", cards); got.code != recovery.Usage || !strings.Contains(got.err, "nobody to show a card to") {
		t.Errorf("exit %d, %s", got.code, got.err)
	}
}
