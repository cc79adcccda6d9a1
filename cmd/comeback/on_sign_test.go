package main

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// A key signs unasked what the command has begun, and nothing else that its host shows.
func TestAbout_has(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 4, 12, 3, 0, 0, 0, time.UTC)
	command := about{from: "ops1@bastion", mode: recovery.Rehearsal, runbook: "b00c", since: began}
	run := func(change func(*runner.Past)) runner.Past {
		past := runner.Past{ID: "7c31", Plan: &recovery.Plan{Parent: "4f2a"}, ReportSHA256: "d16e",
			State: recovery.State{Asserted: map[string]string{fromEnv: "ops1@bastion"}, Mode: recovery.Rehearsal, RunbookSHA256: "b00c", Started: began.Add(time.Second)}}
		change(&past)
		return past
	}
	for name, c := range map[string]struct {
		about about
		past  runner.Past
		has   bool
	}{
		"its own":           {command, run(func(*runner.Past) {}), true},
		"somebody else's":   {command, run(func(p *runner.Past) { p.State.Asserted = map[string]string{fromEnv: "ops2@bastion"} }), false},
		"another mode":      {command, run(func(p *runner.Past) { p.State.Mode = recovery.Recovery }), false},
		"an earlier one":    {command, run(func(p *runner.Past) { p.State.Started = began.Add(-time.Second) }), false},
		"another report":    {command, run(func(p *runner.Past) { p.ReportSHA256 = "d1" }), false},
		"another runbook":   {command, run(func(p *runner.Past) { p.State.RunbookSHA256 = "b0" }), false},
		"after its run":     {about{from: command.from, mode: command.mode, run: "4f2a", since: began}, run(func(*runner.Past) {}), true},
		"after another run": {about{from: command.from, mode: command.mode, run: "4f2b", since: began}, run(func(*runner.Past) {}), false},
		"no command begun":  {about{from: command.from, mode: command.mode, runbook: "b00c"}, run(func(*runner.Past) {}), false},
	} {
		if got := c.about.has(c.past, endedRun{ID: "7c31", ReportSHA256: "d16e"}); got != c.has {
			t.Errorf("%s: %t", name, got)
		}
	}
}
