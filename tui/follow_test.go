package tui

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// From the result of a recovery lead two plans, each to be read before anything
// begins: the switch back with the name typed, the merge without.
func TestJourney_WhatFollowsARecovery(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	switchedBack(d, desk)
	d.sees("x merge...")
	d.sees("b switch back...")
	desk.typed = ""
	desk.planErr = recovery.Errorf("wait for its end", "refused: run 7c31 was switched back already")
	d.press("b")
	d.sees("was switched back already")
	desk.planErr = nil
	d.press("x")
	d.sees("asks for the name before it changes live")
	d.sees("LIVE: as run 7c31 left it")
	d.sees("enter begin into scratch")
	if o, told := d.m.outage(shopMD); told {
		t.Errorf("the outage that the recovery has ended is still told: %+v", o)
	}
	if strings.Contains(d.screen(), "look first") {
		t.Errorf("a follow-up cannot be planned anew\n%s", d.screen())
	}
	d.press("tab", "esc", "b")
	d.sees("To change LIVE, type the target, db1/shop")
	d.sees("LIVE: as run 7c31 left it")
	d.press("enter", "=db1", "enter")
	d.sees("is not the name of the target")
	if desk.typed != "" {
		t.Errorf("it began with the name %q", desk.typed)
	}
	d.m.outages[shopMD] = recovery.OutageNoted{Since: ten, How: outageKnown}
	if d.m.top().screen.(*planScreen).tellOutage(desk.session) != nil {
		t.Error("the switch back is told of an outage that it does not end")
	}
	d.press("ctrl+u", "=db1/shop", "enter")
	d.until("the start", func() bool { desk.mu.Lock(); defer desk.mu.Unlock(); return desk.typed == "db1/shop" })
	kinds := []FollowKind{}
	for _, f := range desk.followed {
		if kinds = append(kinds, f.Kind); f.Run != "7c31" {
			t.Errorf("it follows %+v", f)
		}
	}
	if len(kinds) != 3 || kinds[1] != MergeBack || kinds[2] != SwitchBack {
		t.Errorf("planned %v", kinds)
	}
}

// Nothing follows from a rehearsal, and its keys do nothing harmful.
func TestResult_NothingFollowsARehearsal(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	passed(d, desk)
	d.press("b", "x")
	if len(desk.followed) > 0 || strings.Contains(d.screen(), "switch back") {
		t.Errorf("planned %+v\n%s", desk.followed, d.screen())
	}
}

// Who is to look at the preview of a rescue sees it where it is asked for.
func TestWaiting_ShowsThePreviewOfARescue(t *testing.T) {
	desk := shopDesk()
	ticks := recovery.NewStep("database.look", recovery.KindTicks, "look at the preview", recovery.TicksArgs{Items: []string{"Looked at the preview"}})
	ticks.Stage, ticks.After = 4, []string{"check/carts"}
	desk.session.plan.Steps = append(desk.session.plan.Steps, ticks)
	desk.session.state = recovery.NewState(desk.session.plan)
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	started(desk)
	desk.session.add(0, recovery.StepFinished{Step: "check/carts", Outcome: recovery.Outcome{Says: "2 tables", Facts: map[string]string{
		"rescue of orders": "48 to insert", "rescue of carts": "nothing to do", "preview": "5e0b"}}},
		recovery.StepStarted{Step: "database.look", Attempt: 1}, recovery.Waiting{Step: "database.look", For: recovery.WaitTicks})
	for _, text := range []string{"PREVIEW   carts: nothing to do", "orders: 48 to insert", "comeback rescue show 7c31", "v rows"} {
		d.sees(text)
	}
	desk.texts["rows of 7c31"] = "run 7c31, into shop\n\norders, to insert:\n  before  41  paid\n"
	d.press("v")
	d.sees("before  41  paid")
	d.press(keyEscape)
	d.sees("The maintenance page is up")
	delete(desk.texts, "rows of 7c31")
	d.press("v")
	d.sees("REFUSED")
}
