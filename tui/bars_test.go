package tui

import (
	"slices"
	"strings"
	"testing"
)

// barOf is line 24 of a scene at 80x24.
func barOf(t *testing.T, name string) string {
	t.Helper()
	i := slices.IndexFunc(scenes, func(s scene) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("there is no scene %s", name)
	}
	d, _ := scenes[i].show(t, Options{})
	d.size(80, 24)
	lines := strings.Split(d.screen(), "\n")
	return lines[len(lines)-1]
}

// What people need most in an incident stands on line 24 of 80 cells.
func TestLine24(t *testing.T) {
	for name, wants := range map[string][]string{
		"moment-log":               {"s status", "/ find"},
		"moment-harm-recovery":     {"+/- zoom", "t time", "x rescue", "s status"},
		"run":                      {"S stop...", "s status"},
		"run-recovery":             {"p hold before 5", "d detach", "S stop...", "s status"},
		"waiting-decision":         {"n note", "h hand over...", "s status"},
		"waiting-decision-restore": {"n note", "h hand over...", "s status"},
		"waiting-decision-closed":  {"n note", "h hand over...", "s status"},
		"waiting-credentials":      {"n note", "h hand over...", "s status"},
		"waiting-approval":         {"n note", "h hand over...", "s status"},
		"waiting-terminal":         {"n note", "h hand over...", "s status"},
		"waiting-two":              {"w next", "n note", "h hand over..."},
		"waiting-ticks":            {"t talked through", "- not done...", "s status"},
		"result-recovery":          {"k sign...", "b switch back...", "s status"},
		"check":                    {"i fix", "s status"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bar := barOf(t, name)
			for _, want := range append(wants, "? help") {
				if !strings.Contains(bar, want) {
					t.Errorf("it has no %q: %s", want, bar)
				}
			}
		})
	}
}

// At 80x24 the runbook's screen says whether a run could begin: each copy, the room, the key
// that signs, and the stages, none of it below the fold.
func TestRunbook_FitsItsScreen(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.size(80, 24)
	atRunbook(d, desk)
	for _, text := range []string{"nearby    ok        1 finding; database: to 09:49:31, no gap, 1 BROKEN", "offsite   REFUSED   AccessDenied", "do    sign in again: aws sso login --profile backups, then g", "room      ok", "signing   ok",
		"1 Stop the writes", "4 Check the copy", "7 Protect again", "s tells all of it"} {
		if !strings.Contains(d.screen(), text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() || strings.Contains(d.screen(), "below") {
		t.Errorf("not all of it is seen\n%s", d.screen())
	}
	d.press("s")
	d.sees("you are user ops1")
}
