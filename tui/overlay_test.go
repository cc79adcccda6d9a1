package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

func TestHome_WouldItSaveUs(t *testing.T) {
	desk := shopDesk()
	desk.systems[0].Saves = Saves{Answer: SavesUnknown, Why: "not looked yet"}
	desk.checked = desk.systems[0]
	desk.checked.Saves = Saves{Checked: ten, Answer: SavesNo, Why: "database: no copy holds a backup that can be restored"}
	d := drive(t, desk, Options{})
	atHome(d, desk)
	d.sees("unknown: not looked")
	desk.assessed = shopAssessed()
	d.press("k")
	d.sees("YES, BUT: 2 findings, 1 unknown")
	d.press("down", "enter")
	d.sees("OWNER   platform on-call")
	d.press("esc", "esc")
	d.sees("database: no copy holds")
	d.sees("NOTHING")
	d.clock = ten.Add(25 * time.Hour) // tonight is another night
	d.sees("unknown: looked 23 Nov")
	desk.openErr = recovery.Errorf("check the path", "read the runbook: permission denied")
	d.press("k")
	d.sees("permission denied")
}

func TestOverlay_People(t *testing.T) {
	t.Run("of a system", func(t *testing.T) {
		desk := shopDesk()
		d := drive(t, desk, Options{})
		atHome(d, desk)
		d.press("c")
		for _, text := range []string{"people of shop", "reached by  #incidents", "signs with  " + approverPrint} {
			d.sees(text)
		}
		d.press("esc")
		d.sees("WOULD IT SAVE US?")
	})
	t.Run("of a run", func(t *testing.T) {
		d, desk := atRun(t)
		running(d, desk)
		watched(d, desk)
		d.press("c")
		for _, text := range []string{"Nobody: the runbook has no people", "commands    ops1", "watches     ops2, console"} {
			d.sees(text)
		}
	})
	t.Run("never while typing", func(t *testing.T) {
		d, desk := atRun(t)
		running(d, desk)
		d.press("n", "=cs?y")
		d.sees("NOTE > cs?y")
	})
}

func TestOverlay_Status(t *testing.T) {
	t.Run("of a run", func(t *testing.T) {
		d, desk := atRun(t)
		failing(d, desk)
		d.press("s")
		for _, text := range []string{"WHAT    rehearsal of shop, run 7c31: WAITS for", "y copies it"} {
			d.sees(text)
		}
		d.press("y")
		d.sees("copied all of it, ")
		if got := d.clipboard(); !strings.Contains(got, "WHAT    rehearsal of shop") || strings.Contains(got, "\x1b") {
			t.Errorf("copied %q", got)
		}
	})
	t.Run("of a runbook", func(t *testing.T) {
		desk := shopDesk()
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		atRunbook(d, desk)
		d.press("o", "=~09:52", "enter", "s")
		for _, text := range []string{"WHAT    shop: ops1 looks at it since 10:00:00+01", "SINCE   Outage began 09:52+01, estimated", "offsite   REFUSED"} {
			d.sees(text)
		}
	})
	t.Run("of everything", func(t *testing.T) {
		desk := shopDesk()
		d := drive(t, desk, Options{})
		atHome(d, desk)
		d.press("s")
		d.sees("shop: would it save us? yes, 2 findings; last proof: 12 Oct")
		d.sees("run b81e, rehearsal of billing by ops2: WAITS for a tick")
	})
}

func TestCopy(t *testing.T) {
	d, desk := atRun(t)
	running(d, desk)
	d.press("y")
	d.sees("copied the run's id: 7c31")
	if got := d.clipboard(); got != "7c31" {
		t.Errorf("copied %q", got)
	}
	d.press("up")
	if strings.Contains(d.screen(), "copied") {
		t.Errorf("it is still said\n%s", d.screen())
	}
}

// Each screen that asks for something says in its own words what it is for.
func TestHelp_SaysWhatTheScreenIsFor(t *testing.T) {
	for name, want := range map[string]string{"home": "Here are the systems", "runbook": "Say what happened", "moment-harm": "Find the moment", "plan": "Everything that the run will do",
		"run": "The run goes on by itself", "waiting-decision": "stands still until somebody answers", "result-passed": "How the run ended", "files": "Every document of the run"} {
		for _, s := range scenes {
			if s.name == name {
				d, _ := s.show(t, Options{})
				d.press("?")
				d.sees(want)
				d.sees("For example:")
			}
		}
	}
}

func TestMouse(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.update(tea.MouseClickMsg{X: 5, Y: 6, Button: tea.MouseLeft}) // the fourth route
	d.sees("> 4 Someone broke in")
	if len(desk.choices) > 0 || !strings.Contains(d.screen(), "WHAT HAPPENED?") {
		t.Errorf("a click has chosen\n%s", d.screen())
	}
	d.size(80, 18)
	d.update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	d.sees("above: pgup")
}

// What stays in sight below what is scrolled is where the mouse finds it, and the
// rule between is nothing.
func TestMouse_BelowWhatIsScrolled(t *testing.T) {
	for _, sc := range scenes {
		if sc.name != "waiting-decision" {
			continue
		}
		d, _ := sc.show(t, Options{})
		d.size(80, 17)
		at := func(text string) int {
			return slices.IndexFunc(strings.Split(d.screen(), "\n"), func(l string) bool { return strings.Contains(l, text) })
		}
		for _, name := range []string{"5 Other moment...", "2 Try again"} {
			d.update(tea.MouseClickMsg{X: 5, Y: at(name), Button: tea.MouseLeft})
			d.sees("> " + name)
		}
		d.update(tea.MouseClickMsg{X: 5, Y: at("below: pgdn"), Button: tea.MouseLeft})
		d.sees("> 2 Try again")
		d.press("pgdown")
		d.sees("above: pgup")
		d.sees("> 2 Try again")
	}
}
