package tui

import (
	"fmt"
	"strings"
	"testing"

	"comeback/recovery"
)

// Whatever a screen shows and whatever its state: a key that it does not have
// changes nothing and says so, ? explains it with an example, / searches it, s and
// c are there; and no single key, nor one followed by enter, changes live, ends the
// run, gives it away or signs.
func TestKeys_OnEveryScreen(t *testing.T) {
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			d, desk := sc.show(t, Options{})
			d.size(80, 24)
			top, depth := d.m.top().screen, len(d.m.stack)
			body := func() string { return strings.Join(strings.Split(d.screen(), "\n")[1:22], "\n") }
			before := body()
			if d.m.top().field() != nil {
				asked := len(desk.session.asked())
				d.press("=~")
				if d.m.top().screen != top || len(desk.session.asked()) > asked {
					t.Errorf("a letter was a key\n%s", d.screen())
				}
				return
			}
			d.press("~")
			if d.m.top().screen != top || body() != before {
				t.Errorf("an unknown key changed the screen\n%s", d.screen())
			}
			if busy := strings.Contains(d.screen(), "starting .."); !busy && !strings.Contains(d.screen(), "~ is no key") {
				t.Errorf("an unknown key was not answered\n%s", d.screen())
			}
			d.clock = d.clock.Add(wrongKey)
			d.update(secondMsg{})
			if strings.Contains(d.screen(), "no key here") {
				t.Error("it stays in the way of what line 23 says")
			}
			d.press("?")
			help, isPager := d.m.top().screen.(*pagerScreen)
			if !isPager || len(d.m.stack) != depth+1 {
				t.Fatalf("? explains nothing\n%s", d.screen())
			}
			for _, want := range []string{"THIS SCREEN", "For example:", "KEYS HERE"} {
				if text := strings.Join(help.source(), "\n"); !strings.Contains(text, want) {
					t.Errorf("the help has no %q:\n%s", want, text)
				}
			}
			d.press("esc")
			for key, want := range map[string]string{"/": "FIND", "s": "*tui.pagerScreen", "c": "*tui.pagerScreen"} {
				if s, commits := top.(*commitsScreen); commits && key == "c" && s.reading != nil {
					continue // stops that
				}
				d.press(key)
				shown := fmt.Sprintf("%T", d.m.top().screen)
				if key == "/" && d.m.top().field() == nil || key != "/" && d.m.top().screen == top && shown != want {
					t.Errorf("%s does not lead to its screen but to %s\n%s", key, shown, d.screen())
				}
				for d.m.top().field() != nil || len(d.m.stack) > depth {
					d.press("esc")
				}
			}
		})
	}
}

// No one key, and no key and an enter after it, does what cannot be taken back.
func TestKeys_DestroyNothing(t *testing.T) {
	keys := strings.Split("123456abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ~/?+-", "")
	keys = append(keys, "up", "down", "enter", "tab", "pgdown", "home", "end", "left", "right")
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			var d *driver
			var desk *fakeDesk
			var top screen
			depth, base := 0, 0
			for _, key := range keys {
				if d == nil || d.quit || d.m.top().screen != top || len(d.m.stack) != depth {
					d, desk = sc.show(t, Options{})
					top, depth, base = d.m.top().screen, len(d.m.stack), len(desk.session.asked())
				}
				if d.m.top().field() != nil {
					return // what is typed there is meant
				}
				d.press(key, "enter")
				if plan, ok := d.m.top().screen.(*planScreen); ok && plan.starting {
					if plan.confirms() != "" {
						t.Fatalf("%s and enter began a recovery", key)
					}
					d = nil
					continue
				}
				d.until("the answer", func() bool { return d.quit || !strings.Contains(d.screen(), "asking ..") })
				for _, c := range desk.session.asked()[base:] {
					switch {
					case c.Kind == recovery.DoStop, c.Kind == recovery.DoConfirm, c.Kind == recovery.DoTakeOver, (c.Kind == recovery.DoHandOver || c.Kind == recovery.DoAmend) && len(key) == 1 && key > "9",
						c.Kind == recovery.DoDecide && c.Choice == recovery.ChooseStop, c.Kind == recovery.DoDecide && c.Choice == recovery.ChooseContinue:
						t.Fatalf("%s and enter asked the run for %+v", key, c)
					}
					base++
				}
				for range 4 {
					if !d.quit && (d.m.top().field() != nil || len(d.m.stack) > depth) {
						d.press("esc")
					}
				}
			}
		})
	}
}
