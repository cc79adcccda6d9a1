package tui

import (
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
)

// toRealLog opens the log on the way to a recovery.
func toRealLog(d *driver, f *fakeDesk) {
	atRunbook(d, f)
	d.press("1", "=~09:52", "enter")
	d.sees("GO BACK TO WHICH MOMENT?")
	d.press("home", "enter")
	d.sees("LIVE    archived ")
	d.sees("read back to")
}

// On the way to a recovery the screen says that a rescue may lose less, and x plans it for all
// of the harm that belongs together, or for the one transaction that stands after the place.
func TestMoment_RescueInstead(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealLog(d, desk)
	d.press("x")
	d.sees("h goes to just before the newest harm, / finds a table; then x")
	d.press("h")
	d.sees("Only 3 tables harmed: x, rescue, may lose less")
	d.sees("x rescue")
	desk.planErr = recovery.Errorf("take another", "refused: its log is not read")
	d.press("x")
	d.sees("its log is not read")
	desk.planErr = nil
	d.press("x")
	d.sees("PLAN 7c31")
	d.sees("enter begin into scratch")
	last := desk.followed[len(desk.followed)-1]
	if last.Kind != RescueRows || last.Runbook != shopMD || last.Component != "database" || !slices.Equal(last.XIDs, []recovery.XID{accident, accident + 2}) || len(desk.choices) > 0 {
		t.Errorf("planned %+v and %+v", last, desk.choices)
	}
	d.press("esc", "up", "up")
	d.sees("-- moment: go back to here")
	if strings.Contains(d.screen(), "tables harmed") {
		t.Errorf("a harmless transaction harms tables\n%s", d.screen())
	}
	d.press("x")
	d.sees("PLAN 7c31")
	if last := desk.followed[len(desk.followed)-1]; len(last.XIDs) != 1 || last.XIDs[0] >= accident {
		t.Errorf("planned %+v", last)
	}
}

// What a rescue cannot bring back is not offered to it, and no other way offers one.
func TestMoment_NoRescue(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	dropped(desk.transactions)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealLog(d, desk)
	d.press("h")
	d.sees("-- moment: go back to here")
	if strings.Contains(d.screen(), "harmed") {
		t.Errorf("a database that was dropped is offered to a rescue\n%s", d.screen())
	}
	d.press("x")
	d.sees("dropped more than a table")
	desk = shopDesk()
	withLog(desk)
	d = drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.press("h", "x")
	d.sees("x is no key here")
	if len(desk.followed) > 0 || strings.Contains(d.screen(), "rescue") {
		t.Errorf("a rehearsal offers a rescue: %+v\n%s", desk.followed, d.screen())
	}
}

// c says whom to call there, too, unless it stops the reading.
func TestMoment_PeopleToCall(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	s := d.m.top().screen.(*commitsScreen)
	d.until("the end of the reading", func() bool { return s.reading == nil })
	d.press("c")
	d.sees("#incidents")
}

// When a recovery should be back stands where that is known.
func TestMoment_BackAbout(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Opened)
		says   string
	}{
		"by budgets":     {func(*Opened) {}, "back about 10:31 (by budgets)"},
		"as last time":   {func(o *Opened) { o.Stages = o.Stages[:2] }, "back about 10:09;"},
		"of one nothing": {func(o *Opened) { o.Stages[2].Budget = 0 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			desk := shopDesk()
			withLog(desk)
			c.change(desk.opened)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			toRealLog(d, desk)
			d.press("h")
			d.sees("TIME   copy")
			if screen := d.screen(); c.says != "" && !strings.Contains(screen, c.says) || c.says == "" && strings.Contains(screen, "back about") {
				t.Errorf("it does not say %q\n%s", c.says, screen)
			}
		})
	}
}
