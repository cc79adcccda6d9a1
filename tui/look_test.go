package tui

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// looked is a desk whose restored copy can be asked.
func looked(f *fakeDesk) {
	f.texts["look at database of 7c31"] = "database of run 7c31, open: just before xid 81214\n\nTABLE   ROWS\ncarts   310\norders  48211\n"
	f.texts["look at database of 7c31 select status, count(*) from orders group by 1"] = "status   count\npaid     9411\nshipped  38800\n(2 rows)\n"
}

// Before somebody decides about what failed they look at the copy: its tables first, then
// what they ask. Who only watches may look, too, and the run hears nothing of it.
func TestLook_BeforeADecision(t *testing.T) {
	for name, play := range map[string]func(*driver, *fakeDesk){"the commander": failing, "a watcher": func(d *driver, f *fakeDesk) { failing(d, f); watcher(d, f) }} {
		t.Run(name, func(t *testing.T) {
			d, desk := onRun(t, looked, play)
			d.sees("1 Look")
			d.press("1", "enter")
			d.sees("orders  48211")
			d.press("enter", "enter")
			d.sees("no query was typed")
			d.press("=select status, count(*) from orders group by 1", "enter")
			d.sees("shipped  38800")
			d.press("enter", "=delete from orders", "enter")
			d.sees("REFUSED")
			d.press("t")
			d.sees("orders  48211")
			d.press("esc")
			d.sees("CAUSE")
			if asked := desk.session.asked(); len(asked) > 0 {
				t.Errorf("the run was asked for %+v", asked)
			}
		})
	}
}

// Where nothing is restored yet there is nothing to look at.
func TestLook_NothingIsThere(t *testing.T) {
	d, _ := onRun(t, nil, restoreFails)
	if strings.Contains(d.screen(), "Look") {
		t.Errorf("a look is offered\n%s", d.screen())
	}
}

// Who stops a recovery that keeps users out is told before the question that writes begin
// again, and how they stay stopped.
func TestStop_WritesBeginAgain(t *testing.T) {
	desk := shopDesk()
	closes(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	closed(d, desk)
	stepFails(d, desk, "database/exchange")
	stopsHere(d)
	d.sees("REASON > ")
	screen := strings.Join(strings.Fields(d.screen()), " ")
	for _, says := range []string{"WRITES BEGIN AGAIN as soon as live is open", "To keep them stopped, do not stop it: esc twice, and then d leaves this console", "comeback attach 7c31"} {
		if !strings.Contains(screen, says) {
			t.Errorf("it does not say %q\n%s", says, d.screen())
		}
	}
	d, _ = onRun(t, nil, restoreFails)
	stopsHere(d)
	if strings.Contains(d.screen(), "WRITES") {
		t.Errorf("a rehearsal has stopped no writes\n%s", d.screen())
	}
}

// Where the runbook's command that calls people names where it reaches them, so does the
// screen.
func TestWaiting_ToldWhom(t *testing.T) {
	for name, c := range map[string]struct {
		notify []string
		says   string
	}{
		"a channel":            {[]string{"/usr/local/bin/tell", "--to=#incidents"}, "told: #incidents, 10:08:10"},
		"nobody of the people": {[]string{"/usr/local/bin/tell"}, "people were told, 10:08:10"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := onRun(t, func(f *fakeDesk) {
				f.session.plan.Notify = c.notify
				f.session.plan.People = f.opened.People
			}, func(d *driver, f *fakeDesk) {
				failing(d, f)
				f.session.add(8*60e9+10e9, recovery.Notified{About: "carts are there: waits for decision"})
				d.sees(c.says)
			})
			if !strings.Contains(d.screen(), c.says) {
				t.Error(d.screen())
			}
		})
	}
}
