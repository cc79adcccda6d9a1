package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// atRun is a driver whose rehearsal has been started.
func atRun(t *testing.T) (*driver, *fakeDesk) {
	t.Helper()
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRun(d, desk)
	return d, desk
}

func TestJourney_FromHomeToTheSignedReport(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{})
	atHome(d, desk)
	d.press("enter")
	d.sees("checked 10:00:00")
	d.press("6")
	d.sees("GO BACK TO WHICH MOMENT?")
	d.press("down", "down", "enter") // the second row is a dump
	d.sees("PLAN 7c31")
	want := Choice{Want: "db/2026-11-23.sql.gz", Component: "database", Copy: "nearby", Engine: "dump", Backup: "db/2026-11-23.sql.gz"}
	if len(desk.choices) != 1 || desk.choices[0] != want {
		t.Fatalf("the desk was asked to plan %+v, not %+v", desk.choices, want)
	}
	d.press("enter")
	d.sees("LOG ")
	passed(d, desk)
	d.press("k")
	d.sees("FINGERPRINT")
	d.press("down", "enter")
	d.sees("SIGNED by ops1@bastion")
	d.press("q")
	d.until("the end", func() bool { return d.quit })
	if e := d.m.ending; e != (Ending{Run: "7c31", Dir: desk.session.Dir(), Ended: true}) {
		t.Errorf("the ending is %+v", e)
	}
}

func TestJourney_AWindowAsksForTheMoment(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("down", "enter", "t", "=latest", "enter", "enter")
	d.sees("PLAN 7c31")
	want := Choice{Want: "latest", Copy: "nearby", Engine: "pitr", Backup: "base/20261122T010041"}
	if desk.choices[0] != want {
		t.Errorf("the desk was asked to plan %+v, not %+v", desk.choices[0], want)
	}
}

// What was typed decides for the database whose log is open only where it is of that log:
// the latest and a time are those of the whole system.
func TestJourney_WhoseMomentIsTyped(t *testing.T) {
	log := Choice{Component: "database", Copy: "nearby", Engine: "pitr", Backup: "base/20261122T010041"}
	for typed, want := range map[string]Choice{
		"latest":                    {Want: "latest", Copy: "nearby"},
		"2026-11-23T09:00:00+01:00": {Want: "2026-11-23T09:00:00+01:00", Copy: "nearby"},
		"before-xid:81214":          {Want: "before-xid:81214", Component: log.Component, Copy: log.Copy, Engine: log.Engine, Backup: log.Backup},
		"lsn:3/7A21F0C8":            {Want: "lsn:3/7A21F0C8", Component: log.Component, Copy: log.Copy, Engine: log.Engine, Backup: log.Backup},
	} {
		t.Run(typed, func(t *testing.T) {
			t.Parallel()
			desk := shopDesk()
			desk.opened.Components = []recovery.Component{{Name: "ledger", Kind: recovery.Postgres}, {Name: "database", Kind: recovery.Postgres}}
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			toMoment(d, desk)
			d.press("down", "enter", "t", "="+typed, "enter", "enter")
			d.sees("PLAN 7c31")
			if got := desk.choices[0]; got != want {
				t.Errorf("the desk was asked to plan %+v, not %+v", got, want)
			}
		})
	}
}

func TestJourney_NoMomentIsChosenBeforehand(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("enter", "enter")
	if len(desk.choices) != 0 || d.m.top().field() != nil {
		t.Errorf("enter took a moment that nobody chose: %+v\n%s", desk.choices, d.screen())
	}
}

func TestJourney_TheCursorStaysOnItsMomentWhileTheListGrows(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("down", "down", "down") // the base backup
	moment := d.m.top().screen.(*momentScreen)
	at := moment.at
	newer := desk.rows[0].Surveys[1].Backups[0]
	newer.ID, newer.Taken = "db/later.sql.gz", recovery.Span{From: ten, To: ten}
	moment.from.rows[0].Surveys[1].Backups = append(moment.from.rows[0].Surveys[1].Backups, newer)
	d.press("enter")
	d.sees("PLAN 7c31")
	if got := desk.choices[0].Backup; moment.at != at || got != "base/20261122T010041" {
		t.Errorf("after the list grew enter chose %s", got)
	}
}

func TestJourney_AWordThatIsNoMomentIsRefusedInPlace(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("home", "enter", "t")
	for text, says := range map[string]string{"=lastest": "is not a moment", "=2026-11-23T09:30": "offset", "=lsn:zz": "not an LSN"} {
		d.press("ctrl+u", text, "enter")
		d.sees("REFUSED")
		d.sees(says)
	}
	if len(desk.choices) != 0 {
		t.Errorf("the desk was asked to plan %+v", desk.choices)
	}
}

func TestJourney_AMomentFromTheCommandLine(t *testing.T) {
	t.Run("is planned at once and still reviewed", func(t *testing.T) {
		desk := shopDesk()
		asked := time.Date(2026, 11, 23, 9, 40, 0, 0, time.UTC)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD, Want: "10 minutes ago", Asked: asked}})
		d.sees("PLAN 7c31")
		d.press("tab")
		d.sees("tab no look")
		// What is relative stays so to when it was said, however often it is planned.
		if want := []Choice{{Want: "10 minutes ago", Asked: asked}, {Want: "10 minutes ago", Asked: asked, Look: true}}; !slices.Equal(desk.choices, want) {
			t.Errorf("the desk was asked to plan %+v", desk.choices)
		}
	})
	t.Run("is refused where another can be chosen", func(t *testing.T) {
		desk := shopDesk()
		desk.planErr = errRefused
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD, Want: "2026-11-24T00:00:00+01:00"}})
		d.sees("REFUSED   2026-11-24")
		d.sees("nearest before is 02:41:05.907")
		d.sees("22 Nov 01:00:41 .. 09:49:31")
	})
}

func TestJourney_NoLetterIsAShortcutWhileTyping(t *testing.T) {
	d, desk := atRun(t)
	running(d, desk)
	d.press("n", "=q?lSnwk/ 1", "left", "=X")
	d.sees("NOTE > q?lSnwk/ X1")
	d.update(tea.PasteMsg{Content: "\x1b[31mpasted\x1b[0m\nline"})
	d.sees("q?lSnwk/ Xpasted line1")
	d.press("enter")
	d.until("the note", func() bool { return len(desk.session.asked()) == 1 })
	if c := desk.session.asked()[0]; c.Kind != recovery.DoNote || c.Text != "q?lSnwk/ Xpasted line1" || c.By != "ops1" {
		t.Errorf("the run was asked for %+v", c)
	}
	if d.quit {
		t.Error("a letter of the note quit the console")
	}
}

func TestJourney_AWaitIsShownUnlessThePersonTypesOrTurnedAway(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		d, desk := atRun(t)
		started(desk)
		d.sees("WAITS FOR YOU")
		d.press("esc")
		d.sees("STAGE")
		desk.session.add(time.Second, recovery.Noted{Text: "hello", By: "ops2"})
		d.sees("note by ops2")
		if !strings.Contains(d.screen(), "WAITS FOR YOU: w") {
			t.Errorf("the run does not say that it waits\n%s", d.screen())
		}
		d.press("w")
		d.sees("WAITS FOR YOU since")
		d.press("esc", "space")
		d.sees("space is no key here")
		d.press("enter") // leads on, as everywhere
		d.sees("WAITS FOR YOU since")
	})
	t.Run("not into a note", func(t *testing.T) {
		d, desk := atRun(t)
		d.press("n", "=half a sen")
		started(desk)
		d.sees("WAITS FOR YOU: w")
		d.press("=tence")
		d.sees("NOTE > half a sentence")
		d.press("enter")
		d.sees("WAITS FOR YOU since")
	})
}

func TestJourney_Ticks(t *testing.T) {
	d, desk := atRun(t)
	started(desk)
	d.sees("0 of 2 decided")
	d.press("space")
	d.until("the tick", func() bool { return len(desk.session.asked()) == 1 })
	desk.session.add(time.Second, recovery.Ticked{Step: "stop/ticks", Item: 0, How: recovery.TickDone, By: "ops1"})
	d.sees("1 of 2 decided")
	d.until("the next item", func() bool { return d.m.top().screen.(*waitingScreen).menu.cursor == 1 })
	d.press("-", "enter")
	d.sees("this needs a reason")
	d.press("=no access", "enter")
	d.until("the reason", func() bool { return len(desk.session.asked()) == 2 })
	want := []recovery.Command{
		{Kind: recovery.DoTick, Step: "stop/ticks", Item: 0, How: recovery.TickDone, By: "ops1"},
		{Kind: recovery.DoTick, Step: "stop/ticks", Item: 1, How: recovery.TickNotDone, By: "ops1", Text: "no access"},
	}
	for i, c := range desk.session.asked() {
		if c != want[i] {
			t.Errorf("command %d is %+v, not %+v", i, c, want[i])
		}
	}
	// Another person decides the rest: the screen goes by itself.
	desk.session.add(2*time.Second, recovery.Ticked{Step: "stop/ticks", Item: 1, How: recovery.TickDone, By: "ops2"},
		recovery.StepFinished{Step: "stop/ticks", Outcome: recovery.Outcome{Says: "decided"}})
	d.sees("LOG ")
}

func TestJourney_OneKeyTooManyDoesNotAnswerTheNextQuestion(t *testing.T) {
	plan := shopPlan()
	again := recovery.NewStep("stop/again", recovery.KindTicks, "tick 1 item", recovery.TicksArgs{Items: []string{"Support has been told"}})
	plan.Steps = append(plan.Steps, again)
	desk := shopDesk()
	desk.session = newFakeSession(plan)
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	started(desk)
	d.sees("0 of 2 decided")
	d.press("space")
	d.until("the tick", func() bool { return len(desk.session.asked()) == 1 })
	d.clock = ten.Add(time.Second)
	desk.session.add(time.Second, recovery.StepFinished{Step: "stop/ticks"}, recovery.StepStarted{Step: "stop/again", Attempt: 1}, recovery.Waiting{Step: "stop/again", For: "ticks"})
	d.sees("Support has been told")
	d.press("space", "space", "space")
	if n := len(desk.session.asked()); n != 1 {
		t.Fatalf("the key ticked an item that had only just appeared")
	}
	d.clock = ten.Add(4 * time.Second)
	d.press("space", "space") // the first one begins
	d.until("the second tick", func() bool { return len(desk.session.asked()) == 2 })
}

func TestJourney_AFailedCheck(t *testing.T) {
	d, desk := atRun(t)
	failing(d, desk)
	d.press("enter") // nothing is chosen beforehand
	d.press("3")     // a number moves the cursor and decides nothing
	if n := len(desk.session.asked()); n != 0 {
		t.Fatalf("the run was asked %d times before anything was chosen", n)
	}
	d.press("enter", "=known and accepted", "enter")
	d.until("the decision", func() bool { return len(desk.session.asked()) == 1 })
	if c := desk.session.asked()[0]; c != (recovery.Command{Kind: recovery.DoDecide, Step: "check/carts", Choice: recovery.ChooseContinue, By: "ops1", Text: "known and accepted"}) {
		t.Errorf("the run was asked for %+v", c)
	}
}

func TestJourney_ARestoreCannotBePassedOver(t *testing.T) {
	d, desk := atRun(t)
	restoreFails(d, desk)
	if strings.Contains(d.screen(), "Go on anyway") {
		t.Errorf("a restore is offered to be passed over\n%s", d.screen())
	}
	d.press("down", "enter")
	d.until("the decision", func() bool { return len(desk.session.asked()) == 1 })
	if c := desk.session.asked()[0]; c.Choice != recovery.ChooseRetry {
		t.Errorf("the run was asked for %+v", c)
	}
}

func TestJourney_ARefusedCommandIsShown(t *testing.T) {
	d, desk := atRun(t)
	desk.session.refuse = recovery.Errorf("ask ops2", "ops2 holds the lease")
	started(desk)
	d.sees("0 of 2 decided")
	d.press("space")
	d.sees("ops2 holds the lease")
	d.sees("ask ops2")
}

func TestJourney_LeavingIsNotStopping(t *testing.T) {
	left := func(t *testing.T, d *driver, desk *fakeDesk) {
		t.Helper()
		d.until("the end", func() bool { return d.quit })
		if e := d.m.ending; e != (Ending{Run: "7c31", Dir: desk.session.Dir(), Detached: true}) {
			t.Errorf("the ending is %+v", e)
		}
		if c := desk.session.asked(); len(c) != 0 {
			t.Errorf("leaving has asked the run for %+v", c)
		}
	}
	for _, keys := range [][]string{{"d"}, {"q", "enter"}, {"q", "d"}, {"ctrl+c", "ctrl+c"}, {"ctrl+c", "1", "enter"}, {"q", "q"}, {"n", "=half a no", "ctrl+c", "enter"}} {
		t.Run(strings.Join(keys, " "), func(t *testing.T) {
			d, desk := atRun(t)
			running(d, desk)
			d.press(keys...)
			left(t, d, desk)
		})
	}
	t.Run("a wait is left alone", func(t *testing.T) {
		d, desk := atRun(t)
		started(desk)
		d.sees("WAITS FOR YOU")
		d.press("q")
		d.sees("1 step stands still")
		d.press("enter")
		left(t, d, desk)
	})
	t.Run("staying brings back what was there", func(t *testing.T) {
		d, desk := atRun(t)
		running(d, desk)
		for _, keys := range [][]string{{"q", "esc"}, {"ctrl+c", "end", "enter"}} {
			d.press(keys...)
			d.sees("LOG ")
		}
		if d.quit {
			t.Error("the console was left")
		}
	})
	t.Run("to all systems and from there", func(t *testing.T) {
		d, desk := atRun(t)
		running(d, desk)
		d.press("esc")
		d.sees("LAST PROOF")
		d.press("q")
		left(t, d, desk)
	})
}

func TestJourney_StoppingARunAsks(t *testing.T) {
	for _, keys := range [][]string{{"S"}, {"q", "2", "enter"}, {"ctrl+c", "down", "enter"}} {
		t.Run(strings.Join(keys, " "), func(t *testing.T) {
			d, desk := atRun(t)
			running(d, desk)
			d.press(keys...)
			d.sees("STOP THIS REHEARSAL?")
			d.press("esc")
			d.sees("LOG ")
			d.press(keys...)
			d.press("enter")
			d.sees("needs a reason")
			d.press("=wrong copy", "enter")
			d.until("the stop", func() bool { return len(desk.session.asked()) == 1 })
			if c := desk.session.asked()[0]; c.Kind != recovery.DoStop || c.Text != "wrong copy" {
				t.Errorf("the run was asked for %+v", c)
			}
			d.sees("LOG ")
			desk.session.add(7*time.Minute, recovery.StopAsked{By: "ops1", Reason: "wrong copy"})
			d.sees("ops1 asked to stop")
			d.press("S")
			d.sees("THE RUN IS STOPPING")
			d.press("d")
			d.until("the end", func() bool { return d.quit })
			if e := d.m.ending; e.Ended || !e.Detached || e.Run != "7c31" {
				t.Errorf("the ending is %+v", e)
			}
		})
	}
}

func TestJourney_TheEndIsShownWhateverWasOpen(t *testing.T) {
	d, desk := atRun(t)
	running(d, desk)
	d.press("S", "=typing a reaso")
	cleaned(desk, 7*time.Minute, recovery.RunEnded{Result: recovery.ResultInterrupted, Exit: recovery.Interrupted, Says: "stopped by a signal"})
	d.sees("exit 130")
	if e := d.m.ending; !e.Ended || e.Exit != recovery.Interrupted {
		t.Errorf("the ending is %+v", e)
	}
}

func TestJourney_AnEarlierRunIsOpenedFromHome(t *testing.T) {
	desk := shopDesk()
	desk.attachErr = recovery.Errorf("ask ops2, or join the group comeback", "connect to run b81e: permission denied")
	d := drive(t, desk, Options{})
	atHome(d, desk)
	d.press("end", "up", "enter")
	d.sees("permission denied")
	desk.attachErr = nil
	replayed(desk)
	cleaned(desk, 9*time.Minute, recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "no"})
	d.press("down", "enter")
	d.sees("FAILED   run 7c31")
	if d.bells != 0 {
		t.Error("a run that had ended rang")
	}
	d.press("esc")
	d.sees("LAST PROOF")
}

func TestJourney_ASessionThatIsHandedOver(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Session: desk.session}})
	running(d, desk)
	d.sees("replay")
}

func TestJourney_APassphraseIsMaskedAndWiped(t *testing.T) {
	d, desk := atRun(t)
	passed(d, desk)
	d.press("k")
	d.sees("FINGERPRINT")
	d.press("enter")
	d.sees("no key is chosen yet: nothing is signed")
	d.press("down", "down")
	if strings.Contains(d.screen(), "REFUSED") {
		t.Errorf("it goes on saying that none is chosen\n%s", d.screen())
	}
	d.press("enter", "=correct horse")
	field := d.m.top().screen.(*signScreen).passphrase
	runes := field.runes
	if strings.Contains(d.m.View().Content, "horse") || !strings.Contains(d.screen(), "> *************") {
		t.Errorf("the passphrase is on the screen\n%s", d.screen())
	}
	d.press("enter")
	d.sees("SIGNED by id_rsa")
	if desk.passphrase != "correct horse" {
		t.Errorf("the passphrase came as %q", desk.passphrase)
	}
	for _, r := range runes {
		if r != 0 {
			t.Fatalf("the passphrase is still in memory: %q", string(runes))
		}
	}
}

func TestJourney_AKeyIsCreatedAndThenChosen(t *testing.T) {
	d, desk := atRun(t)
	passed(d, desk)
	d.press("k")
	d.sees("FINGERPRINT")
	d.press("end", "enter")
	d.sees("SHA256:new")
	if strings.Contains(d.screen(), "SIGNED") {
		t.Fatal("creating a key has signed")
	}
	d.press("enter")
	d.sees("SIGNED by comeback, SHA256:new")
}

func TestJourney_AStartThatIsRefused(t *testing.T) {
	desk := shopDesk()
	desk.startErr = recovery.Errorf("make room, or set COMEBACK_STATE", "create the run's directory: no space left on device")
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toPlan(d, desk)
	d.press("enter")
	d.sees("no space left on device")
	d.sees("make room")
	d.press("esc")
	d.sees("-- moment: before-xid:81214")
}

func TestJourney_ARunbookWithProblemsCannotBeRehearsed(t *testing.T) {
	desk := shopDesk()
	desk.opened.Problems = desk.systems[1].Problems
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.sees("NOT USABLE YET")
	d.press("1", "enter")
	if _, ok := d.m.top().screen.(*runbookScreen); !ok {
		t.Errorf("a moment can be chosen\n%s", d.screen())
	}
	desk.opened.Problems = nil
	d.press("g")
	d.sees("checked 10:00:00")
}

func TestJourney_QuitWhileLooking(t *testing.T) {
	for _, to := range []func(*driver, *fakeDesk){
		func(d *driver, _ *fakeDesk) { d.sees("checked") }, toMoment, toPlan,
	} {
		for _, key := range []string{"q", "ctrl+c"} {
			desk := shopDesk()
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			to(d, desk)
			d.press(key)
			d.until("the end", func() bool { return d.quit })
			if e := d.m.ending; e != (Ending{}) {
				t.Errorf("the ending is %+v", e)
			}
		}
	}
}

func TestJourney_ThePager(t *testing.T) {
	d, desk := atRun(t)
	passed(d, desk)
	d.press("r")
	d.sees("1-18 of 45")
	d.press("pgdown")
	d.sees("19-36 of 45")
	d.press("end")
	d.sees("28-45 of 45")
	d.press("/", "=REHEARSAL 12", "enter")
	d.sees("1-18 of 45")
	d.press("/", "=nowhere", "enter")
	d.sees(`"nowhere" is not here`)
	d.press("?")
	d.sees("KEYS EVERYWHERE")
	d.press("q", "q")
	d.sees("EVERY CHECK HELD")
	if d.quit {
		t.Error("q in a text quit the console")
	}
}
