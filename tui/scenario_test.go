package tui

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// Whoever attaches with the same cards goes on where the journal is, and there is
// no card where nothing is rehearsed.
func TestScenario(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Cards: []Card{{"One", "the first"}, {"Two", "the second"}}, Start: Start{Session: desk.session}})
	running(d, desk)
	d.sees("x card 1 of 2")
	d.press("x")
	d.sees("card 1 of 2: One")
	asked := desk.session.asked()
	if n := len(asked); n == 0 || asked[n-1].Kind != recovery.DoNote || !strings.HasPrefix(asked[n-1].Text, "scenario card 1 of 2: One: the first") {
		t.Fatalf("the run was asked for %+v", asked)
	}
	d.press("esc")
	desk.session.add(0, recovery.Noted{By: "ops2", Text: "scenario card 1 of 2: One: the first"})
	d.sees("x card 2 of 2")
	if a := *d.m.run; a.nextCard(&model{cards: d.m.cards}) != 2 {
		t.Error("the second is not the next")
	}
	recovered := *d.m.run
	plan := *recovered.plan
	plan.Mode = recovery.Recovery
	if recovered.plan = &plan; recovered.nextCard(d.m) != 0 {
		t.Error("a card in a recovery")
	}
}
