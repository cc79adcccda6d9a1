package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// frames are the screens of a console at every size, without the log and without
// the cursor, which is each person's own.
func frames(d *driver) string {
	if s, ok := d.m.top().screen.(*waitingScreen); ok {
		s.menu.cursor = -1
	}
	if d.m.run != nil {
		d.m.run.log = nil
	}
	var b strings.Builder
	for _, size := range sizes {
		d.size(size.w, size.h)
		b.WriteString(d.screen() + "\n")
	}
	return b.String()
}

// turns lets a console go to the wait that another one begins with, where it shows a wait
// that was there before: what a person may have begun to answer stays on their screen, and a
// new one begins with what keeps a machine waiting.
func turns(t *testing.T, lost, attached *driver) {
	t.Helper()
	s, ok := attached.m.top().screen.(*waitingScreen)
	if !ok {
		return
	}
	if first := attached.m.run.waitKey(attached.m.run.waits()[0]); s.wait != first {
		t.Errorf("it begins with %s, not with %s", s.wait, first)
	}
	for range attached.m.run.waits() {
		if shown, ok := lost.m.top().screen.(*waitingScreen); ok && shown.wait != s.wait {
			lost.press("w")
		}
	}
}

// TestReturn_TheScreenIsTheOneThatWasLost lets a run do things at random under a
// console that looks from the first event on. Another one that attaches in the
// middle shows the same at once, and still at the end.
func TestReturn_TheScreenIsTheOneThatWasLost(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 11))
			desk := shopDesk()
			approved(desk)
			twoCopies(desk)
			first := drive(t, desk, Options{Start: Start{Session: desk.session}})
			started(desk)
			first.hears(desk.session)
			happens := func(n int) {
				for range n {
					first.clock = first.clock.Add(time.Duration(r.IntN(90)) * time.Second)
					desk.session.add(first.clock.Sub(ten), randomEvent(r, desk.session))
					first.hears(desk.session) // each on a screen of its own
				}
			}
			happens(5 + r.IntN(40))
			second := drive(t, desk, Options{Start: Start{Session: desk.session}})
			second.hears(desk.session)
			second.until("the log", func() bool { return len(second.m.run.log) == len(first.m.run.log) })
			second.clock = first.clock
			turns(t, first, second)
			if diff := cmp.Diff(frames(first), frames(second)); diff != "" {
				t.Fatalf("after %d events (-lost +attached):\n%s", len(desk.session.events), diff)
			}
			happens(10)
			if r.IntN(2) == 0 {
				desk.session.add(first.clock.Sub(ten), recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "ended"})
			}
			desk.session.end()
			for _, d := range []*driver{first, second} {
				d.until("the end", func() bool { return d.m.run.over })
			}
			second.clock = first.clock
			if diff := cmp.Diff(frames(first), frames(second)); diff != "" {
				t.Fatalf("at the end (-lost +attached):\n%s", diff)
			}
		})
	}
}
