package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// onRun is a console that came to a run which is played so far.
func onRun(t *testing.T, desk func(*fakeDesk), play func(*driver, *fakeDesk)) (*driver, *fakeDesk) {
	t.Helper()
	return scene{attach: true, desk: desk, play: play}.show(t, Options{})
}

// asked waits until the run was asked n times, and returns what for.
func (d *driver) asked(f *fakeDesk, n int) []recovery.Command {
	d.t.Helper()
	d.until("the command", func() bool { return len(f.session.asked()) >= n })
	if got := f.session.asked(); len(got) > n {
		d.t.Fatalf("the run was asked %d times, not %d: %+v", len(got), n, got)
	}
	return f.session.asked()
}

// wants fails unless the run was asked for exactly this.
func (d *driver) wants(f *fakeDesk, want ...recovery.Command) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.asked(f, len(want))); diff != "" {
		d.t.Errorf("the run was asked for (-want +got):\n%s", diff)
	}
}

func TestPeople_AWatcherCommandsNothing(t *testing.T) {
	t.Run("a failed check", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, func(d *driver, f *fakeDesk) { failing(d, f); watcher(d, f) })
		for i := range 5 {
			d.press("esc", "w", []string{"2", "3", "4", "5", "6"}[i], "enter") // 1 looks
			d.sees("ops2 commands this run since 10:06:00, you watch")
		}
		d.press("S", "h")
		d.sees("REFUSED   ops2 commands")
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Errorf("the run was asked for %+v", asked)
		}
		d.press("n", "=have a look at line 67", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoNote, Text: "have a look at line 67", By: "ops1"})
	})
	t.Run("ticks", func(t *testing.T) {
		d, desk := onRun(t, nil, func(d *driver, f *fakeDesk) { ticking(d, f); watcher(d, f) })
		for _, key := range []string{"space", "t", "-"} {
			d.press("esc", "w", key)
			d.sees("T takes over")
		}
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Errorf("the run was asked for %+v", asked)
		}
	})
	t.Run("to stop is not offered when leaving", func(t *testing.T) {
		d, desk := onRun(t, nil, func(d *driver, f *fakeDesk) { running(d, f); watcher(d, f) })
		d.press("q", "2", "enter")
		d.sees("ops2 commands this run")
		d.press("1", "enter")
		d.until("the end", func() bool { return d.quit })
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Errorf("the run was asked for %+v", asked)
		}
	})
}

func TestPeople_HandOver(t *testing.T) {
	t.Run("to somebody who watches", func(t *testing.T) {
		d, desk := onRun(t, nil, func(d *driver, f *fakeDesk) { running(d, f); watched(d, f) })
		d.press("h", "enter") // nobody is chosen beforehand
		d.press("1", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoHandOver, To: "ops2", By: "ops1"})
		desk.session.add(7*time.Minute, recovery.LeaseHanded{By: "ops1", To: "ops2"})
		d.sees("ops2 runs, you and 1 watch")
		d.sees("ops1 handed the command over to ops2")
	})
	t.Run("to a name", func(t *testing.T) {
		d, desk := onRun(t, nil, running)
		d.press("h", "1", "enter", "enter")
		d.sees("this needs a name")
		d.press("=lead", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoHandOver, To: "lead", By: "ops1"})
	})
	t.Run("a refusal is shown in the runner's words", func(t *testing.T) {
		d, desk := onRun(t, nil, running)
		desk.session.refuse = recovery.Errorf("have them join the group comeback", "nobody may command this run as %q", "laed")
		d.press("h", "1", "enter", "=laed", "enter")
		d.sees(`nobody may command this run as "laed"`)
		d.sees("have them join")
	})
	t.Run("the question goes when the command is gone", func(t *testing.T) {
		d, desk := onRun(t, nil, running)
		d.press("h")
		d.sees("HAND THE COMMAND OVER")
		desk.session.add(7*time.Minute, recovery.LeaseTaken{By: "lead", From: "ops1", Reason: "ops1 is asleep"})
		d.sees("lead took the command over from ops1: ops1 is asleep")
	})
}

func TestPeople_TakeOver(t *testing.T) {
	d, desk := onRun(t, nil, func(d *driver, f *fakeDesk) { running(d, f); watcher(d, f) })
	d.press("T", "enter")
	d.sees("this needs a reason")
	d.press("=ops2 is on a train", "enter")
	d.wants(desk, recovery.Command{Kind: recovery.DoTakeOver, Text: "ops2 is on a train", By: "ops1"})
	desk.session.add(7*time.Minute, recovery.LeaseTaken{By: "ops1", From: "ops2", Reason: "ops2 is on a train"})
	d.sees("ops1 runs, done")
	d.press("T")
	d.sees("you command this run already")
	d.press("S")
	d.sees("STOP THIS REHEARSAL?")
}

func TestPeople_ADiedRun(t *testing.T) {
	t.Run("is resumed with what is missing", func(t *testing.T) {
		desk := shopDesk()
		died(desk)
		running := func() { copied(desk) }
		running()
		d := drive(t, desk, Options{})
		toDied(d, desk)
		d.press("enter") // nothing is chosen beforehand
		d.press("1", "enter", "enter")
		d.sees("the run needs DATABASE_URL")
		secrets := []string{" postgres://shop:hunter2@db1/shop", "q?d\tn"}
		for _, secret := range secrets {
			d.press("=" + secret)
			if strings.Contains(d.screen(), "hunter2") {
				t.Fatalf("a secret is on the screen\n%s", d.screen())
			}
			d.press("enter")
		}
		d.sees("replay the log")
		if diff := cmp.Diff(map[string]string{"DATABASE_URL": secrets[0], "BACKUP_KEY": secrets[1]}, desk.given); diff != "" {
			t.Errorf("the desk was given (-want +got):\n%s", diff)
		}
		d.press("l")
		if screen := d.screen(); strings.Contains(screen, "hunter2") {
			t.Errorf("a secret is in the log\n%s", screen)
		}
	})
	t.Run("asks for everything again after a refusal", func(t *testing.T) {
		desk := shopDesk()
		died(desk)
		desk.missing = desk.missing[:1]
		desk.resumeErr = recovery.Errorf("type it again", "password authentication failed")
		d := drive(t, desk, Options{})
		toDied(d, desk)
		d.press("1", "enter", "=wrong", "enter")
		d.sees("password authentication failed")
		desk.mu.Lock()
		desk.resumeErr = nil
		desk.mu.Unlock()
		d.press("1", "enter", "=right", "enter")
		d.sees("LOG ")
		if got := desk.given["DATABASE_URL"]; got != "right" {
			t.Errorf("the desk was given %q", got)
		}
	})
	t.Run("can be looked at", func(t *testing.T) {
		desk := shopDesk()
		died(desk)
		copied(desk)
		desk.session.end()
		d := drive(t, desk, Options{})
		toDied(d, desk)
		d.press("2", "enter")
		d.sees("BROKEN OFF")
		if desk.given != nil {
			t.Error("looking has resumed it")
		}
		d.press("esc")
		d.sees("LAST PROOF")
	})
	t.Run("forgets what was typed when it is left", func(t *testing.T) {
		desk := shopDesk()
		died(desk)
		d := drive(t, desk, Options{})
		toDied(d, desk)
		d.press("1", "enter", "=hunter2")
		f := d.m.top().field()
		runes := f.runes
		d.press("esc", "esc")
		d.sees("LAST PROOF")
		if string(runes) != strings.Repeat("\x00", len(runes)) {
			t.Errorf("%q is still in memory", string(runes))
		}
	})
}

func TestPeople_TheListOfRunsKeepsUp(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{})
	atHome(d, desk)
	desk.setRuns(append([]KnownRun{{ID: "c0de", System: "wiki", State: "WAITS for approval of ops2 since 10:00", Alive: true, Started: ten}}, desk.runs...))
	d.press("down", "down") // on b81e
	d.clock = ten.Add(listPace - time.Second)
	d.update(secondMsg{})
	d.clock = ten.Add(listPace)
	if strings.Contains(d.screen(), "c0de") {
		t.Error("the list is read at every beat")
	}
	d.update(secondMsg{})
	d.sees("c0de")
	d.sees("run b81e") // the cursor stayed where it was
}

func TestPeople_TheBellRingsOncePerWait(t *testing.T) {
	d, desk := onRun(t, started, func(d *driver, _ *fakeDesk) { d.sees("0 of 2 decided") })
	if d.bells != 0 {
		t.Fatalf("what was there already rang %d times", d.bells)
	}
	rings := func(n int, what string) {
		t.Helper()
		d.hears(desk.session)
		d.until("the bell", func() bool { return d.bells >= n })
		if d.bells != n {
			t.Errorf("%s: the bell rang %d times, not %d", what, d.bells, n)
		}
	}
	checkFails(&fakeDesk{session: desk.session})
	rings(1, "a new wait")
	desk.session.add(9*time.Minute, recovery.Noted{Text: "what now?", By: "ops2"})
	desk.session.add(9*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseRetry, By: "ops1"}, recovery.StepStarted{Step: "check/carts", Attempt: 2})
	rings(1, "nothing new")
	desk.session.add(10*time.Minute, recovery.StepFailed{Step: "check/carts", Error: "again"}, recovery.Waiting{Step: "check/carts", For: recovery.WaitDecision})
	rings(2, "it waits again")
	cleaned(desk, 11*time.Minute, recovery.RunEnded{Result: recovery.ResultInterrupted, Exit: recovery.Interrupted})
	d.sees("exit 130")
	rings(3, "the end")
}

func TestPeople_TheTitleSaysWhatIsWaitedFor(t *testing.T) {
	title := func(d *driver, want string) {
		t.Helper()
		if got := d.m.View().WindowTitle; got != want {
			t.Errorf("the window is called %q, not %q", got, want)
		}
	}
	home := shopDesk()
	d := drive(t, home, Options{})
	title(d, "comeback")
	d, desk := onRun(t, nil, running)
	title(d, "shop rehearsal 77 %")
	desk.session.add(7*time.Minute, recovery.Waiting{Step: "database/prove", For: recovery.WaitCredentials})
	d.hears(desk.session)
	title(d, "WAITS: shop, credentials for prove where it stopped")
	d, _ = onRun(t, approved, approving)
	title(d, "WAITS: shop, approve Switch")
	d, _ = onRun(t, nil, failing)
	title(d, "WAITS: shop, decide about carts are there")
	d, _ = onRun(t, nil, passed)
	title(d, "ENDED: shop rehearsal, passed")
	d.m.run.plan.System = hostile + strings.Repeat("x", 200)
	if got := d.m.View().WindowTitle; len(got) > titleLimit || got != asciiOnly(clean(got)) {
		t.Errorf("the window is called %q", got)
	}
	for _, name := range []string{"linux", "vt220", "dumb", ""} {
		if titled([]string{"TERM=" + name}) {
			t.Errorf("TERM=%s gets a title", name)
		}
	}
}

func TestJourney_NewsOfOthersStandWhereAPersonWaits(t *testing.T) {
	d, desk := atRun(t)
	failing(d, desk)
	desk.session.add(9*time.Minute, recovery.Noted{Text: "support has seen the carts", By: "ops2"})
	d.sees("10:09:00 ops2: support has seen the carts")
	desk.session.add(9*time.Minute+10*time.Second, recovery.LeaseTaken{By: "lead", From: "ops1", Reason: "ops1 is on a train"})
	d.sees("COMMAND   lead since 10:09:10; ops1 began the run")
}
