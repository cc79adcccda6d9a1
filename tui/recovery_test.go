package tui

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// forReal makes the desk's plan one that switches the live database.
func forReal(f *fakeDesk) {
	p := f.session.plan
	p.Mode, p.Confirm, p.NotExecuted = recovery.Recovery, "db1/shop", nil
	p.Targets[0].BecomesLive, f.kept = true, []string{"nearby"}
	p.Targets = append(p.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop", Name: "db1/shop"})
	p.Live = []recovery.Live{{Component: "database", Target: p.Targets[1], Effects: recovery.Effects{
		Target: []string{"read 09:59:58: db1, /srv/pg/shop, system 7301448812, primary, 6 sessions"}, Gone: []string{"all since 02:41:07: 214 commits, 27 orders, and rising"},
		GoesBack: []string{`database "coupons", in the same cluster: 12 commits`}, Rebuild: []string{"standby db2; slot search_cdc"},
		Undo: []string{"until 30 Nov; loses what is written after the switch"}, NotUndone: []string{"e-mails sent, cards charged: list in the report"},
	}}}
	step := recovery.NewStep("database/exchange", "postgres.exchange", "put the restored cluster in the place of the live one", struct{}{})
	step.Stage, step.Component, step.Writes, step.After = 4, "database", []recovery.TargetID{"live/database"}, []string{"check/carts"}
	step.Phase, step.Expected = recovery.Exchange, recovery.Duration(40*time.Second)
	open := recovery.NewStep("database/open", "postgres.open", "let users in", struct{}{})
	open.Stage, open.Component, open.Writes, open.After, open.Phase = 4, "database", step.Writes, []string{"database/exchange"}, recovery.Open
	open.Expected = recovery.Duration(5 * time.Second)
	protect := recovery.NewStep("database/protect", "pitr.protect", "take a base backup", struct{}{})
	protect.Stage, protect.Component, protect.After, protect.Phase = 6, "database", []string{"database/exchange"}, recovery.Protect
	protect.Expected = recovery.Duration(5 * time.Minute)
	p.Steps = append(p.Steps, step, open, protect)
	f.session.state = recovery.NewState(p)
	f.prepared = prepared(p)
}

// keepsHarm makes the plan one for a moment that lies after a harm.
func keepsHarm(f *fakeDesk) {
	p := f.session.plan
	harm := recovery.KeepsHarm + "2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %), drop carts; and of 1 more commit up to 2026-11-23 01:41:07.940Z; the nearest moment before: --to before-xid:81214"
	p.Moment.Points[0].Warnings = append([]string{harm}, p.Moment.Points[0].Warnings...)
	for _, warning := range p.Moment.Points[0].Warnings {
		p.Warnings = append(p.Warnings, "database: "+warning)
	}
	f.session.state = recovery.NewState(p)
	f.prepared = prepared(p)
}

// That a backup shrank stands where the name is typed, and in red among the plan's warnings.
func TestPlan_shrank(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	p := desk.session.plan
	p.Moment.Points[0].Warnings = append([]string{recovery.Shrunk + "12 files, 3.10 MB; the 5 before held at least 31204 files, 2.00 GB; the last before: --to uploads/20261121"}, p.Moment.Points[0].Warnings...)
	desk.session.state = recovery.NewState(p)
	desk.prepared = prepared(p)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealPlan(d, desk)
	if screen := strings.Join(strings.Fields(d.screen()), " "); !strings.Contains(screen, "SHRANK database: 12 files, 3.10 MB; the 5 before held at least 31204 files, 2.00 GB; the last before: --to uploads/20261121") {
		t.Errorf("it does not stand beside the name\n%s", d.screen())
	}
}

// Harm that the moment keeps stands where the name is typed, and each warning once.
func TestPlan_keepsHarm(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	keepsHarm(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealPlan(d, desk)
	if screen := strings.Join(strings.Fields(d.screen()), " "); !strings.Contains(screen, "KEEPS HARM database: 2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %), drop carts;") || !strings.Contains(screen, "before-xid:81214") {
		t.Errorf("it does not stand beside the name\n%s", d.screen())
	}
	d.size(100, 200)
	if screen := d.screen(); strings.Count(screen, `database "coupons" of the same cluster goes back too`) != 1 || strings.Count(screen, "WARNINGS  uploads: the snapshot is of 02:30:00") != 1 {
		t.Errorf("a warning is not told once\n%s", screen)
	}
}

// Where the name is asked for again it stands beside it, too.
func TestName_keepsHarm(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	keepsHarm(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	waitsForName(d, desk)
	d.size(80, 40)
	if screen := strings.Join(strings.Fields(d.screen()), " "); !strings.Contains(screen, "KEEPS HARM database: 2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %), drop carts;") {
		t.Errorf("it is not told\n%s", d.screen())
	}
}

// What steps need and nobody has set is told before anything begins.
func TestPlan_notSet(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	desk.prepared.NotSet = []NotSet{{Name: "APP_URL", From: "the file env", For: "check: the shop is open"}}
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealPlan(d, desk)
	d.press("end")
	if says := "NOT SET APP_URL, from the file env: check: the shop is open needs it; export it before you begin, or type it when the run asks"; !strings.Contains(strings.Join(strings.Fields(d.screen()), " "), says) {
		t.Errorf("it does not say %q:\n%s", says, d.screen())
	}
	desk = shopDesk()
	desk.prepared.NotSet = []NotSet{{Name: "CONFIG_IDENTITY", For: "restore config/etc.tar.age"}}
	d = drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toPlan(d, desk)
	if says := "NOT SET CONFIG_IDENTITY: restore config/etc.tar.age needs it"; !strings.Contains(strings.Join(strings.Fields(d.screen()), " "), says) {
		t.Errorf("of a rehearsal it does not say %q:\n%s", says, d.screen())
	}
}

func toRealPlan(d *driver, f *fakeDesk) {
	atRunbook(d, f)
	d.press("1", "=~09:52", "enter", "home", "down", "enter")
	d.sees("To change LIVE, type the target, db1/shop")
}

func startReal(d *driver, f *fakeDesk) {
	toRealPlan(d, f)
	d.press("=db1/shop", "enter")
	d.sees("LOG ")
	f.session.add(0, recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Recovery, Number: 12, Operator: "ops1", Host: "bastion", PlanSHA256: planDigest},
		recovery.Confirmed{Name: "db1/shop", PlanSHA256: planDigest, By: "ops1"}, recovery.OutageNoted{Since: ten.Add(-8 * time.Minute), How: outageEstimated})
}

func nameAgain() recovery.Waiting {
	return recovery.Waiting{Step: "database/exchange", For: recovery.WaitName, Hint: "type db1/shop; anything else changes nothing",
		Cause: "refused: put the restored cluster in the place of the live one changes db1/shop, and its name was typed 31m ago"}
}

// closes makes it one that lets nobody into the live database before it exchanges it.
func closes(f *fakeDesk) {
	forReal(f)
	p := f.session.plan
	at := slices.IndexFunc(p.Steps, func(s recovery.Step) bool { return s.Phase == recovery.Exchange })
	fence := recovery.NewStep("database/fence", "postgres.fence", "let nobody in", struct{}{})
	fence.Stage, fence.Component, fence.Writes, fence.After, fence.Phase = 4, "database", p.Steps[at].Writes, p.Steps[at].After, recovery.Fence
	fence.Expected = recovery.Duration(5 * time.Second)
	p.Steps[at].After = []string{fence.ID}
	p.Steps = slices.Insert(p.Steps, at, fence)
	f.session.state = recovery.NewState(p)
	f.prepared = prepared(p)
}

// closed has restored everything and lets nobody into the live database; exchanged has
// exchanged it, too.
func closed(d *driver, f *fakeDesk) {
	restored(f)
	f.session.add(9*time.Minute, recovery.StepStarted{Step: "database/fence", Attempt: 1},
		recovery.ClaimMade{Step: "database/fence", Resource: recovery.Resource{Kind: recovery.Fenced, ID: "db1/shop"}},
		recovery.StepFinished{Step: "database/fence", Outcome: recovery.Outcome{Says: "nobody is in db1/shop"}})
	d.clock = ten.Add(9*time.Minute + 30*time.Second)
	d.sees("writes stopped 10:09:00")
}

func exchanged(d *driver, f *fakeDesk) {
	closed(d, f)
	f.session.add(9*time.Minute+20*time.Second, recovery.StepStarted{Step: "database/exchange", Attempt: 1}, recovery.ClaimMade{Step: "database/exchange", Resource: recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}},
		recovery.StepFinished{Step: "database/exchange", Outcome: recovery.Outcome{Says: "exchanged", Old: []recovery.Old{{Component: "database", Place: "shop_old_7c31", Until: ten.AddDate(0, 0, 7)}}}})
	d.sees("switched 10:09:20")
}

// opens is one that has a check to make when it has let users in.
func opens(f *fakeDesk) {
	closes(f)
	p := f.session.plan
	smoke := recovery.NewStep("open/smoke", recovery.KindShell, "smoke test", recovery.ShellArgs{Name: "smoke test"})
	smoke.Stage, smoke.After, smoke.MayPass = 5, []string{"database/open"}, true
	at := slices.IndexFunc(p.Steps, func(s recovery.Step) bool { return s.Phase == recovery.Protect })
	p.Steps[at].After = []string{smoke.ID}
	p.Steps = slices.Insert(p.Steps, at, smoke)
	f.session.state = recovery.NewState(p)
	f.prepared = prepared(p)
}

// opened has let users in.
func opened(d *driver, f *fakeDesk) {
	closed(d, f)
	fence, exchange := recovery.Resource{Kind: recovery.Fenced, ID: "db1/shop"}, recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	f.session.add(9*time.Minute+20*time.Second, recovery.StepStarted{Step: "database/exchange", Attempt: 1}, recovery.ClaimMade{Step: "database/exchange", Resource: exchange},
		recovery.StepFinished{Step: "database/exchange", Outcome: recovery.Outcome{Says: "exchanged",
			Old: []recovery.Old{{Component: "database", Place: "shop_old_7c31", Until: ten.AddDate(0, 0, 7), Says: "a database of the same server that lets nobody in"}}}},
		recovery.StepStarted{Step: "database/open", Attempt: 1},
		recovery.StepFinished{Step: "database/open", Outcome: recovery.Outcome{Says: "users are let in", Adopted: []recovery.Resource{fence, exchange}}})
	d.sees("open 10:09:20")
}

// verified has made the check, too.
func verified(d *driver, f *fakeDesk) {
	opened(d, f)
	f.session.add(9*time.Minute+22*time.Second, recovery.StepStarted{Step: "open/smoke", Attempt: 1}, recovery.StepFinished{Step: "open/smoke"})
}

// What a stop leaves is told before it: of a switch that is open that nothing proves that it
// can be restored, what was not looked at, what stays of before, and how the report ends.
func TestStop_says(t *testing.T) {
	for name, c := range map[string]struct {
		plan  func(*fakeDesk)
		play  func(*driver, *fakeDesk)
		says  []string
		never []string
		sends recovery.Command
	}{
		"exchanged": {plan: closes, play: func(d *driver, f *fakeDesk) { exchanged(d, f); d.press("S") },
			says: []string{"stopping exchanges back and reopens live", "says INTERRUPTED"}, never: []string{"UNPROTECTED", "switch-back"},
			sends: recovery.Command{Kind: recovery.DoStop}},
		"open": {plan: opens, play: func(d *driver, f *fakeDesk) { opened(d, f); d.press("S") },
			says: []string{"stopping leaves live switched and open", "UNPROTECTED nothing proves that what is live can be restored: take a base backup: to do", "NOT CHECKED smoke test",
				"STAYS shop_old_7c31, a database of the same server that lets nobody in, until 30 Nov", "comeback switch-back 7c31", "loses what is written after the switch", "says INTERRUPTED"},
			never: []string{"everything that the run made", "not all backed up"}, sends: recovery.Command{Kind: recovery.DoStop}},
		"open and checked": {plan: opens, play: func(d *driver, f *fakeDesk) { verified(d, f); d.press("S") },
			says: []string{"UNPROTECTED", "says CAME BACK WITH EXCEPTIONS"}, never: []string{"NOT CHECKED", "INTERRUPTED"}, sends: recovery.Command{Kind: recovery.DoStop}},
		"stopped at a check": {plan: opens, play: func(d *driver, f *fakeDesk) { opened(d, f); stepFails(d, f, "open/smoke"); stopsHere(d) },
			says: []string{"STOP THIS RECOVERY HERE?", "UNPROTECTED nothing proves", "NOT CHECKED smoke test", "switch-back 7c31", "says FAILED"}, never: []string{"INTERRUPTED"},
			sends: recovery.Command{Kind: recovery.DoDecide, Step: "open/smoke", Choice: recovery.ChooseStop}},
		"stopped at what protects it": {plan: opens, play: func(d *driver, f *fakeDesk) { verified(d, f); stepFails(d, f, "database/protect"); stopsHere(d) },
			says: []string{"take a base backup: FAILED", "says CAME BACK WITH EXCEPTIONS"}, never: []string{"NOT CHECKED", "INTERRUPTED"},
			sends: recovery.Command{Kind: recovery.DoDecide, Step: "database/protect", Choice: recovery.ChooseStop}},
	} {
		t.Run(name, func(t *testing.T) {
			desk := shopDesk()
			c.plan(desk)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			startReal(d, desk)
			d.asked(desk, 1) // for the outage, which the run notes first
			c.play(d, desk)
			d.hears(desk.session)
			d.sees("REASON > ")
			screen := strings.Join(strings.Fields(d.screen()), " ")
			for _, says := range c.says {
				if !strings.Contains(screen, says) {
					t.Errorf("it does not say %q", says)
				}
			}
			for _, never := range c.never {
				if strings.Contains(screen, never) {
					t.Errorf("it says %q", never)
				}
			}
			if t.Failed() {
				t.Log(d.screen())
			}
			d.press("=no more time", "enter")
			c.sends.Text, c.sends.By = "no more time", "ops1"
			if got := d.asked(desk, 2)[1]; !reflect.DeepEqual(got, c.sends) {
				t.Errorf("the run was asked for %+v", got)
			}
		})
	}
}

// stopsHere chooses the last way to go on, which ends the run.
func stopsHere(d *driver) {
	d.sees("Stop here...")
	d.press("end", "enter")
}

// Who has decided meanwhile takes the question away with the wait.
func TestStop_here_goesWithItsWait(t *testing.T) {
	d, desk := onRun(t, nil, restoreFails)
	stopsHere(d)
	d.sees("STOP THIS REHEARSAL HERE?")
	desk.session.add(8*time.Minute, recovery.Decided{Step: "database/replay", Choice: recovery.ChooseRetry, By: "ops2"}, recovery.StepStarted{Step: "database/replay", Attempt: 2})
	d.sees("LOG ")
}

// stepFails waits for a decision about a step of the switch.
func stepFails(d *driver, f *fakeDesk, step string) {
	f.session.add(9*time.Minute+25*time.Second, recovery.StepStarted{Step: step, Attempt: 1}, recovery.StepFailed{Step: step, Error: "connect to db1: connection refused", Hint: "start the server"}, recovery.Waiting{Step: step, For: recovery.WaitDecision})
	d.sees("CAUSE")
}

// waitsForName has restored everything and waits for the name once more.
func waitsForName(d *driver, f *fakeDesk) {
	restored(f)
	f.session.add(9*time.Minute, recovery.StepStarted{Step: "database/exchange", Attempt: 1}, nameAgain())
	d.clock = ten.Add(9*time.Minute + 30*time.Second)
	d.sees("WAITS FOR YOU")
}

// ofDatabase are what a run claims for the database that it restores.
var ofDatabase = []recovery.Resource{{Kind: recovery.Directory, ID: "/var/tmp/comeback/7c31/database"}, {Kind: recovery.Cluster, ID: "/var/tmp/comeback/7c31/database/data"}}

// restored is a recovery whose database is restored and checked, as its journal tells it.
func restored(f *fakeDesk) {
	at := 0 * time.Second
	done := func(id string, took time.Duration, o recovery.Outcome, before ...recovery.Payload) {
		f.session.add(at, append([]recovery.Payload{recovery.StepStarted{Step: id, Attempt: 1}}, before...)...)
		at += took
		f.session.add(at, recovery.StepFinished{Step: id, Outcome: o})
	}
	tick := func(item int) recovery.Payload {
		return recovery.Ticked{Step: "stop/ticks", Item: item, How: recovery.TickDone, By: "ops1"}
	}
	done("stop/ticks", 75*time.Second, recovery.Outcome{Says: "2 of 2 items decided"}, recovery.Waiting{Step: "stop/ticks", For: recovery.WaitTicks}, tick(0), tick(1))
	done("database/copy", 225*time.Second, recovery.Outcome{Says: "base backup 14.2 GB copied, manifest holds"},
		recovery.ClaimMade{Step: "database/copy", Resource: ofDatabase[0]}, recovery.ClaimMade{Step: "database/copy", Resource: ofDatabase[1]})
	done("database/replay", 170*time.Second, recovery.Outcome{Says: "replayed to 3/7A21F0C8",
		Bindings: []recovery.Binding{{Component: "database", URL: "postgres:///shop?host=/var/tmp/comeback/7c31/database", Scratch: true}},
		Reached: &recovery.Reached{Component: "database", Time: time.Date(2026, 11, 23, 2, 41, 5, 907e6, zone), LSN: 0x37A21F0C8, XID: 81213, Timeline: 4,
			Evidence: []string{"the server says: recovery stopping before WAL location 3/7A21F0C8", "pg_xact_status(81213) is committed, 81214 is in progress"}}})
	done("database/prove", 4*time.Second, recovery.Outcome{Says: "stopped exactly there"})
	done("check/orders", 2*time.Second, check("orders came back", true, ">= 40000", "48211"))
	done("check/carts", 4*time.Second, check("carts are there", true, ">= 1", "310"))
}

// switchedBack is a recovery that came back, and that one copy does not protect yet.
func switchedBack(d *driver, f *fakeDesk) {
	waitsForName(d, f)
	exchange := recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	f.session.add(10*time.Minute, recovery.Confirmed{Name: "db1/shop", PlanSHA256: planDigest, By: "ops1"}, recovery.StepStarted{Step: "database/exchange", Attempt: 2},
		recovery.ClaimMade{Step: "database/exchange", Resource: exchange})
	f.session.add(11*time.Minute, recovery.StepFinished{Step: "database/exchange", Outcome: recovery.Outcome{Says: "exchanged",
		Old:  []recovery.Old{{Component: "database", Place: "db1:/srv/pg/shop.old-7c31", Until: ten.AddDate(0, 0, 7), Says: "a cluster that does not run"}},
		Loss: &recovery.Loss{Component: "database", Commits: 389, From: recovery.Commit{Time: ten.Add(-7 * time.Hour)}, To: recovery.Commit{Time: ten.Add(-7*time.Hour + 15*time.Minute)}, Final: true},
		ToDo: []string{"merge 41 orders"}}})
	f.session.add(11*time.Minute, recovery.StepStarted{Step: "database/open", Attempt: 1},
		recovery.StepFinished{Step: "database/open", Outcome: recovery.Outcome{Says: "users are let in", Adopted: []recovery.Resource{exchange, ofDatabase[1]}}})
	f.session.add(12*time.Minute, recovery.StepStarted{Step: "database/protect", Attempt: 1},
		recovery.StepFinished{Step: "database/protect", Outcome: recovery.Outcome{Says: "base backup taken", Unprotected: []string{"offsite: NOT YET, refused"}}})
	f.session.add(13*time.Minute, recovery.CleanupStarted{}, recovery.ClaimReleased{Resource: ofDatabase[0]},
		recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "offsite is not protected"})
	f.session.end()
	d.clock = ten.Add(14 * time.Minute)
	d.sees("CAME BACK WITH EXCEPTIONS")
}

func TestJourney_ARecoveryBeginsOnlyWithTheNameOfItsTarget(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toRealPlan(d, desk)
	for _, text := range []string{"enter", "=shop", "enter", "ctrl+u", "=DB1/shop", "enter", "ctrl+u", "=db1/sho", "enter"} {
		d.press(text)
		if desk.typed != "" || d.m.run != nil {
			t.Fatalf("%q has begun the recovery", text)
		}
	}
	d.sees("is not the name of the target, nothing is changed")
	d.press("esc", "v") // what was typed is dropped, and letters are keys again
	d.sees("plan.json of run 7c31")
	d.press("esc", "enter", "=db1/shop", "enter")
	d.sees("LOG ")
	if desk.typed != "db1/shop" {
		t.Errorf("the run began with the name %q", desk.typed)
	}
	d.until("the outage", func() bool { return len(desk.session.asked()) == 1 })
}

func TestJourney_ARunAsksForTheNameAgain(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	waitsForName(d, desk)
	d.sees("LIVE: untouched")
	d.press("enter") // nothing was typed
	d.sees("nothing was typed, nothing is changed")
	d.press("=no", "enter")
	d.sees("is not the name of the target")
	d.press("ctrl+u", "=db1/shop", "enter")
	d.until("the name", func() bool {
		n := len(desk.session.asked())
		return n > 0 && desk.session.asked()[n-1].Kind == recovery.DoConfirm
	})
	if c := desk.session.asked(); c[len(c)-1].Text != "db1/shop" || c[len(c)-1].By != "ops1" {
		t.Errorf("the run was asked for %+v", c)
	}
}

func TestResult_OfARecovery(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.size(120, 50)
	startReal(d, desk)
	switchedBack(d, desk)
	for _, text := range []string{"19m00, from 09:52:00 (estimated) to 10:11:00, all decided", "MISSED: 15m00, from 03:00:00 to 03:15:00, 389 commits", "down ~19m00 RTO 30m met", "db1:/srv/pg/shop.old-7c31",
		"merge 41 orders", "offsite: NOT YET, refused", "LIVE: switched 10:11:00, open", "journal head in nearby"} {
		d.sees(text)
	}
	screen := strings.Join(strings.Fields(d.screen()), " ")
	for _, text := range []string{"b switches back and loses what was written since", "10:11:00; its plan counts that", "PROTECTED database: base backup taken, 10:12:00", "VERIFY comeback report verify 7c31", "CHECKS 2 of 2 held"} {
		if !strings.Contains(screen, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if strings.Contains(screen, "not understood") || t.Failed() {
		t.Errorf("it is not what a recovery tells\n%s", d.screen())
	}
}

func TestLine23_OfARecovery(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	startReal(d, desk)
	d.sees("LIVE: untouched")
	desk.session.add(time.Minute, recovery.StepStarted{Step: "database/exchange", Attempt: 1})
	d.sees("LIVE: being switched")
	if !strings.Contains(d.screen(), "FOR REAL") {
		t.Errorf("the mode is not said\n%s", d.screen())
	}
	d.press("o", "=~09:40", "enter")
	d.until("the outage", func() bool { return len(desk.session.asked()) == 2 })
}
