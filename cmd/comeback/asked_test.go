package main

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/tui"
)

// A moment that is relative is one of when it was said: neither a survey that takes long
// moves it, nor a plan that is made again.
func TestAsked_relative(t *testing.T) {
	p, r := newPages(t), newRig(t)
	const moment = "10 minutes ago"
	near := func(what string, got time.Time, said time.Time) {
		t.Helper()
		if off := got.Sub(said.Add(-10 * time.Minute)).Abs(); off > 5*time.Minute {
			t.Errorf("%s: it is %s away from ten minutes before it was said", what, off)
		}
	}
	r.surveyed = func(*catalogue.Catalogue) { r.ahead += time.Hour }
	said := time.Now()
	got := r.run(t.Context(), "rehearse", p.book, "--to", moment, "--dry-run")
	got.has(t, recovery.CameBack)
	var plan recovery.Plan
	if err := json.Unmarshal([]byte(got.out), &plan); err != nil || r.ahead != time.Hour {
		t.Fatalf("%v, the clock is ahead by %s", err, r.ahead)
	}
	near("a plan after a survey", plan.Moment.Want.Time, said)
	if plan.Moment.Want.Text != moment {
		t.Errorf("it is called %q", plan.Moment.Want.Text)
	}

	r.ahead = 0
	a := r.app(io.Discard, io.Discard)
	d := &desk{app: a, named: p.book}
	choice := tui.Choice{Want: moment, Asked: a.now()}
	for i, what := range []string{"the console's plan", "the plan with a look"} {
		choice.Look = i > 0
		prepared, err := d.Plan(t.Context(), p.book, recovery.Rehearsal, choice)
		if err != nil {
			t.Fatal(err)
		}
		near(what, prepared.Plan.Moment.Want.Time, said)
		r.ahead += time.Hour
	}
}
