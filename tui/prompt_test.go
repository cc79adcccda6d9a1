package tui

import (
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// letters are keys of a run's screens, one way or another, where they are no text.
const letters = "hsdclnopqS?/TvVwfrxN 1"

// The name of what a run is about to change is typed at once: no letter of it is a key.
func TestName_isTextAtOnce(t *testing.T) {
	for _, mine := range []bool{true, false} {
		desk := shopDesk()
		forReal(desk)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		startReal(d, desk)
		waitsForName(d, desk)
		d.asked(desk, 1) // for the outage, which the run notes first
		if !mine {
			desk.session.add(9*time.Minute, recovery.LeaseTaken{By: "ops2"})
			d.sees("ops2 runs")
			desk.session.add(9*time.Minute, recovery.LeaseHanded{By: "ops2", To: "ops1"})
		}
		d.hears(desk.session)
		d.press("=" + letters)
		d.sees("> " + letters)
		if d.quit || len(desk.session.asked()) != 1 {
			t.Fatalf("the letters were keys: quit %v, asked for %+v", d.quit, desk.session.asked())
		}
		d.press("ctrl+u", "=db1/shop", "enter")
		if c := d.asked(desk, 2)[1]; c.Kind != recovery.DoConfirm || c.Text != "db1/shop" {
			t.Errorf("the run was asked for %+v", c)
		}
	}
}

// Whoever does not want to type it has the other ways to go on, and can still type it.
func TestName_otherWays(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	waitsForName(d, desk)
	d.sees("esc other ways to go on")
	d.press("esc")
	d.sees("choose 1 and type the target, db1/shop.")
	d.press("1", "enter", "=db1")
	d.sees("> db1")
	d.press("esc", "2", "enter")
	d.sees("STOP THIS RECOVERY HERE?")
}

// What is typed after a refusal is meant for the question that was refused: it is asked again,
// with what was typed, but for a secret and a name.
func TestPrompt_askedAgain(t *testing.T) {
	refuses := func(f *fakeDesk) { f.session.refuse = errors.New("it is not taken") }
	for name, c := range map[string]struct {
		desk  func(*fakeDesk)
		play  func(*driver, *fakeDesk)
		types []string
		again string
	}{
		"a reason":  {play: failing, types: []string{"3", "enter", "=they are rebuilt", "enter"}, again: "REASON > they are rebuilt, hsdq"},
		"a note":    {play: running, types: []string{"n", "=support knows", "enter"}, again: "NOTE > support knows, hsdq"},
		"a stop":    {play: running, types: []string{"S", "=wrong one", "enter"}, again: "REASON > wrong one, hsdq"},
		"a skip":    {play: failing, types: []string{"4", "enter", "=none before", "enter"}, again: "REASON > none before, hsdq"},
		"a secret":  {desk: twoCopies, play: expired, types: []string{"2", "enter", "=hunter2", "enter"}, again: "OFFSITE_KEY > ******"},
		"hand over": {play: running, types: []string{"h", "1", "enter", "=ops2", "enter"}, again: "HAND OVER TO > ops2, hsdq"},
	} {
		t.Run(name, func(t *testing.T) {
			d, desk := onRun(t, c.desk, c.play)
			refuses(desk)
			d.press(c.types...)
			d.sees("it is not taken")
			d.press("=, hsdq")
			d.sees(c.again)
			if d.quit {
				t.Error("q has quit")
			}
		})
	}
	t.Run("the name of a plan", func(t *testing.T) {
		desk := shopDesk()
		forReal(desk)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		desk.startErr = errors.New("the target was changed")
		toRealPlan(d, desk)
		d.press("=db1/shop", "enter")
		d.sees("the target was changed")
		d.press("=sqdv")
		d.sees("> sqdv")
	})
	t.Run("a passphrase", func(t *testing.T) {
		d, _ := onRun(t, nil, passed)
		d.press("k")
		d.sees("FINGERPRINT")
		d.press("down", "down", "enter", "=battery", "enter")
		d.sees("REFUSED")
		d.press("=sqck?")
		d.sees("PASSPHRASE > *****")
	})
}

// What is typed on when the question is over is no key of what is shown instead, until the
// person has looked up.
func TestPrompt_overtaken(t *testing.T) {
	for name, c := range map[string]struct {
		play func(*driver, *fakeDesk)
		ends func(*fakeDesk)
		sees string
	}{
		"decided by another": {failing, func(f *fakeDesk) {
			f.session.add(9*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseRetry, By: "ops2"}, recovery.StepStarted{Step: "check/carts", Attempt: 2})
		}, "LOG "},
		"the run has ended": {failing, func(f *fakeDesk) {
			f.session.add(9*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseStop, By: "ops2"})
			cleaned(f, 9*time.Minute, recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "stopped"})
		}, "FAILED   run 7c31"},
	} {
		t.Run(name, func(t *testing.T) {
			d, desk := onRun(t, nil, c.play)
			d.press("3", "enter", "=the carts")
			c.ends(desk)
			d.sees(c.sees)
			d.press("= are rebuilt, hsdqkbS", "enter")
			d.sees("the question is over; not taken")
			d.sees(c.sees)
			if d.quit || len(desk.session.asked()) > 0 {
				t.Fatalf("the letters were keys: quit %v, asked for %+v", d.quit, desk.session.asked())
			}
			d.clock = d.clock.Add(afterAnswer)
			d.press("s")
			d.sees("status, to paste")
		})
	}
}

// A name is typed for the plan that was on the screen: when that changes meanwhile, what was
// typed is dropped, the new plan is shown, and its name goes with its digest.
func TestName_planChanges(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	waitsForName(d, desk)
	d.asked(desk, 1) // for the outage
	now, err := desk.session.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := now.PlanSHA256
	d.press("=db1/sh")
	d.sees("> db1/sh")
	a, err := recovery.Amend(before, recovery.Amended{Says: "go elsewhere", By: "ops2"})
	if err != nil {
		t.Fatal(err)
	}
	desk.session.add(9*time.Minute, a)
	d.hears(desk.session)
	d.until("the field is empty", func() bool { return !strings.Contains(d.screen(), "> db1/sh") })
	d.press("=op", "enter") // the rest of it
	d.sees("the question is over; not taken")
	d.clock = d.clock.Add(afterAnswer)
	d.press("=db1/shop", "enter")
	if c := d.asked(desk, 2)[1]; c.Kind != recovery.DoConfirm || c.Text != "db1/shop" || c.PlanSHA256 != a.PlanSHA256 || before == a.PlanSHA256 {
		t.Errorf("the run was asked for %+v", c)
	}
}
