package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// Some rows come back into the live shop, from the first screen over the harm, the
// plan and the preview to the typed name.
func TestConsole_rescue(t *testing.T) {
	l := ownShop(t)
	r := newRig(t).live(l)
	withKey(t, r)
	dir := filepath.Dir(liveRunbook(t, l, l.before))
	name := target(t)
	now := func() []digest {
		t.Helper()
		d, err := digests(t.Context(), l.URL())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	harmed := now()

	s := openTerminal(t, r, dir, 80, 24)
	s.toHarm("3")
	s.press(enter)
	s.shows("PLAN", "FOR REAL", "begin into scratch")
	s.press(enter)
	s.shows("WAITS FOR YOU", "Looked at the preview", "orders", "to insert")
	if got := now(); !slices.Equal(got, harmed) {
		t.Error("live was changed before anybody has typed its name")
	}
	s.press(" ")
	s.shows("WAITS FOR YOU", "To change LIVE, type the target, "+name)
	s.press("1", enter, "shop", enter)
	s.shows("is not the name of the target")
	s.press("\x15", name, enter)
	s.shows("CAME BACK")
	s.press("q")
	s.ends()
	if n := l.ask(t, "select count(*) from orders"); n == "0" {
		t.Errorf("%s orders after the rescue", n)
	}
}

// toHarm goes from the first screen along a route to just before the harm.
func (s *terminal) toHarm(route string) {
	s.t.Helper()
	s.shows("> shop", "owes") // its runs may be listed before it
	s.press(enter)
	s.shows("WHAT HAPPENED?", "nearby", "signing")
	s.press(route)
	s.shows("OUTAGE BEGAN")
	s.press("~5 minutes ago", enter)
	if route == "3" {
		s.shows("FIND")
	}
	s.shows("GO BACK TO WHICH MOMENT?", "window, no gap")
	s.press(down)
	s.press(enter)
	s.shows("NOTHING IS CHOSEN YET", "HARM", "read to its beginning")
	s.press("h")
	s.shows("moment: go back to here")
}
