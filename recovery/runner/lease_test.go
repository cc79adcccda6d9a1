package runner_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// The command goes from hand to hand, each knowing from whom, however many reach
// for it at once; taking it needs a reason, giving it somebody to give it to.
func TestRun_lease(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	run := serve(t, ticking(home, t.TempDir()))
	until(t, run, waiting)
	do := func(kind recovery.CommandKind, by, to, text string) error {
		return run.Do(t.Context(), recovery.Command{Kind: kind, By: by, To: to, Text: text})
	}
	for _, c := range []struct {
		kind         recovery.CommandKind
		by, to, text string
	}{
		{recovery.DoTakeOver, "ops2", "", ""}, {recovery.DoTakeOver, "ops2", "", "\x1b\x07"}, {recovery.DoTakeOver, "ops1", "", "again"},
		{recovery.DoHandOver, "ops2", "ops2", ""}, {recovery.DoHandOver, "ops1", "", ""}, {recovery.DoHandOver, "ops1", "ops1", ""},
		{recovery.DoNote, "ops2", "", ""}, {recovery.DoNote, "", "", "hm"}, {"dance", "ops1", "", ""}, {"dance", "ops2", "", ""},
	} {
		if err := do(c.kind, c.by, c.to, c.text); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
	if err := do(recovery.DoHandOver, "ops1", "ops\x1b[2J2", ""); err != nil {
		t.Error(err)
	}
	var race sync.WaitGroup
	for i := range 8 {
		race.Go(func() {
			if err := do(recovery.DoTakeOver, fmt.Sprintf("race%d", i), "", "first come"); err != nil {
				t.Error(err)
			}
		})
	}
	race.Wait()
	s, err := run.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	holder, handed := "ops1", 0
	for e, err := range run.Events(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		switch p, _ := e.Payload(); p := p.(type) {
		case recovery.LeaseHanded:
			if p.By != holder || strings.Contains(p.To, "\x1b") {
				t.Errorf("%q gave away what %s held, to %q", p.By, holder, p.To)
			}
			holder, handed = p.To, handed+1
		case recovery.LeaseTaken:
			if p.From != holder {
				t.Errorf("%s took it from %s, and %s had it", p.By, p.From, holder)
			}
			holder, handed = p.By, handed+1
		}
		if e.Seq == s.Seq {
			break
		}
	}
	if s.Lease != holder || handed != 9 || s.Operator != "ops1" {
		t.Errorf("%s has it after %d times, the state says %s; begun by %s", holder, handed, s.Lease, s.Operator)
	}
}
