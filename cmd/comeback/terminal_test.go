package main

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// A program that talks with a person gets the person's real terminal, can be
// left and returned to, and what it showed is recorded.
func TestTerminal(t *testing.T) {
	r := newRig(t)
	more := "\n## Ask\n\n```sh\n# run: ask\n# in: both\n# terminal: yes\n# timeout: 2m\ntest -t 0 && test -t 1\nprintf 'your name? '; read name\nprintf 'hello %s, sure? ' \"$name\"; read sure\ntest \"$sure\" = yes\n```\n"
	book := filesBook(t, more)
	s := r.attended(t, book, "pages.tar")
	id := s.Plan().Run
	untilState(t, s, waitsFor("2.1.run", recovery.WaitTerminal))
	if got := r.run(t.Context(), "terminal", id); got.code != recovery.Usage || !strings.Contains(got.err, "no terminal") {
		t.Errorf("without a terminal: exit %d, %s", got.code, got.err)
	}
	one := openTerminal(t, r, t.TempDir(), 80, 24, "terminal", id)
	one.shows("ctrl+] leaves", "your name?")
	one.press("Ada\r")
	one.shows("hello Ada, sure?")
	one.press("\x1d")
	if code := one.ends(); code != 0 {
		t.Errorf("left with exit %d", code)
	}
	r.environ["USER"] = "ops2"
	other := openTerminal(t, r, t.TempDir(), 80, 24, "terminal", id)
	other.shows("ops1 commands run")
	if code := other.ends(); code != int(recovery.Refused) {
		t.Errorf("somebody else: exit %d", code)
	}
	r.environ["USER"] = "ops1"
	two := openTerminal(t, r, t.TempDir(), 100, 30, "terminal", id)
	two.press("yes\r")
	if code := two.ends(); code != 0 {
		t.Errorf("ended with exit %d: %s", code, two.text())
	}
	if state := untilEnd(t, s); state.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", state.Result, state.Says)
	}
}
