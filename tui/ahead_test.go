package tui

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// The rows of stages that have not begun say what they come after, what they need of a
// person, and whether they change live.
func TestRun_StagesAhead(t *testing.T) {
	desk := shopDesk()
	closes(desk)
	p := desk.session.plan
	ticks := func(id string, stage int, after ...string) {
		step := recovery.NewStep(id, recovery.KindTicks, "tick 1 item", recovery.TicksArgs{Items: []string{"Somebody has looked"}})
		step.Stage, step.After = stage, after
		p.Steps = append(p.Steps, step)
	}
	ticks("open/ticks", 5, "database/open")
	uploads := recovery.NewStep("uploads/copy", "files.copy", "copy the uploads", struct{}{})
	uploads.Stage, uploads.Component, uploads.After = 2, "uploads", []string{"stop/ticks"}
	p.Steps = append(p.Steps, uploads)
	for i := range p.Steps {
		if p.Steps[i].ID == "check/orders" {
			p.Steps[i].After = append(p.Steps[i].After, "uploads/copy")
		}
	}
	desk.session.state = recovery.NewState(p)
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	row := func(stage string) string {
		for _, l := range strings.Split(d.screen(), "\n") {
			if strings.Contains(l, stage) {
				return strings.Join(strings.Fields(l), " ")
			}
		}
		t.Fatalf("no row of %s\n%s", stage, d.screen())
		return ""
	}
	copied(desk)
	d.sees("database: replay the log")
	for stage, want := range map[string]string{
		"Check the copy":  "4 Check the copy to do 3m waits for 2 and 3",
		"Switch":          "5 Switch LIVE to do 2m waits for 4",
		"Verify and open": "6 Verify and open to do 4m after 5, then ticks",
	} {
		if got := row(stage); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	d.size(120, 40)
	if got := row("5 Switch"); !strings.HasPrefix(got, "5 Switch LIVE to do") {
		t.Errorf("a wide screen: %q", got)
	}
}

// A rehearsal changes nothing live, in none of its stages.
func TestRun_StagesOfARehearsal(t *testing.T) {
	desk := shopDesk()
	desk.session.plan.Steps[0].After, desk.session.plan.Steps[1].After = []string{"database/copy"}, nil
	ahead := recovery.NewStep("switch/ticks", recovery.KindTicks, "tick 1 item", recovery.TicksArgs{Items: []string{"It is talked through"}})
	ahead.Stage = 4
	desk.session.plan.Steps = append(desk.session.plan.Steps, ahead)
	desk.session.state = recovery.NewState(desk.session.plan)
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	desk.session.add(0, recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1"}, recovery.StepStarted{Step: "database/copy", Attempt: 1})
	d.sees("database: copy the base backup")
	for _, text := range []string{"after 2, then ticks", "needs a tick from you"} {
		d.sees(text)
	}
	table, _, _ := strings.Cut(d.screen(), "LOG ")
	if strings.Contains(table, "LIVE") {
		t.Errorf("a stage of a rehearsal is marked\n%s", table)
	}
}

// The stages of a runbook that would change live are marked before anything is planned.
func TestRunbook_MarksLive(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.size(120, 40)
	for _, l := range strings.Split(d.screen(), "\n") {
		if marked := strings.Contains(l, " LIVE "); marked != strings.Contains(l, "5 Switch") {
			t.Errorf("marked is %v: %s", marked, l)
		}
	}
}

// Who decides about a check can look at what was restored first, and is told how.
func TestDecision_Look(t *testing.T) {
	d, _ := onRun(t, nil, failing)
	d.sees("ELSEWHERE comeback look 7c31 reads the restored copy and changes nothing")
	files := folded(shopPlan(), func(f *fakeDesk) {
		started(f)
		f.session.add(0, recovery.StepFinished{Step: "stop/ticks", Outcome: recovery.Outcome{Bindings: []recovery.Binding{
			{Component: "uploads", URL: "file:///var/tmp/comeback/7c31/up%20loads", Scratch: true}, {Component: "other", URL: "postgres:///x", Scratch: true}, {Component: "database", URL: "${DATABASE_URL}"}}}})
	})
	for component, want := range map[string]string{
		"uploads": "what was restored of uploads can be read in /var/tmp/comeback/7c31/up loads",
		"other":   "comeback look 7c31 --component other reads the restored copy and changes nothing",
		"":        "", // what decides the moment is live already
	} {
		if got := files.lookFrom(&recovery.StepState{Step: recovery.Step{Component: component}}); got != want {
			t.Errorf("of %q: %q, want %q", component, got, want)
		}
	}
}
