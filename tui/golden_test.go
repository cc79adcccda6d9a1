package tui

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// A scene brings the console to a screen and a state.
type scene struct {
	overlooked error
	name       string
	start      Start
	// attach begins with the desk's session instead of start.
	attach bool
	desk   func(*fakeDesk)
	play   func(*driver, *fakeDesk)
}

// show plays the scene.
func (s scene) show(t *testing.T, o Options) (*driver, *fakeDesk) {
	t.Helper()
	desk := shopDesk()
	if s.desk != nil {
		s.desk(desk)
	}
	o.Overlooked = s.overlooked
	if o.Start = s.start; s.attach {
		o.Start.Session = desk.session
	}
	d := drive(t, desk, o)
	s.play(d, desk)
	d.hears(desk.session)
	d.until("the end of looking for harm, and the judgement of what is usual", func() bool {
		screen := d.screen()
		return !slices.ContainsFunc([]string{"(usual?", "looking for harm", "looking where"}, func(text string) bool { return strings.Contains(screen, text) })
	})
	return d, desk
}

const shopMD = "/var/lib/comeback/runbooks/shop.md"

// scenes are all screens in all their states.
var scenes = []scene{
	{name: "home", play: atHome},
	{name: "home-unseen", overlooked: recovery.Errorf("use sudo, or join its group (sudo usermod -aG comeback ops1) and sign in again",
		"runs in /var/lib/comeback are not seen here: ops1 may not write there"), play: atHome},
	{name: "home-problems", play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("down"); d.sees("rpoo") }},
	{name: "home-run", play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("end"); d.sees("run 7c31") }},
	{name: "home-empty", desk: func(f *fakeDesk) { f.systems, f.runs = nil, nil }, play: func(d *driver, _ *fakeDesk) { d.sees("none yet"); d.sees("no runbook is known") }},
	{name: "check", desk: func(f *fakeDesk) { f.assessed = shopAssessed() }, play: func(d *driver, f *fakeDesk) {
		atHome(d, f)
		d.press("k")
		d.sees("3-2-1-1-0")
	}},
	{name: "check-trends", desk: func(f *fakeDesk) { f.assessed, f.trend = shopAssessed(), shopTrend() }, play: func(d *driver, f *fakeDesk) {
		atHome(d, f)
		d.press("k")
		d.sees("YES, BUT")
		d.press("t")
		d.sees("TOOK")
	}},
	{name: "check-fix", desk: func(f *fakeDesk) { f.assessed = shopAssessed() }, play: func(d *driver, f *fakeDesk) {
		atHome(d, f)
		d.press("k")
		d.sees("3-2-1-1-0")
		d.press("down", "i")
		d.sees("DO      back it up each 5m00")
	}},
	{name: "check-refused", desk: func(f *fakeDesk) {
		f.openErr = recovery.Errorf("check the path", "read the runbook: permission denied")
	}, play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("k"); d.sees("permission denied") }},
	{name: "runbook", start: Start{Runbook: shopMD}, play: atRunbook},
	{name: "runbook-down", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("o", "=~09:52", "enter")
	}},
	{name: "runbook-outage", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("o", "=24:99", "enter")
	}},
	{name: "runbook-narrow", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		f.rows = f.rows[:2]
		f.opened.OnlyScratch = "this version restores into scratch only and changes nothing live"
		f.ready.Copies[0].Expires, f.ready.Room[0].Free = ten.Add(-time.Hour), 9_000_000_000
		f.keys, f.ready.Copies[1] = nil, Asker{Copy: "offsite", Problem: "no answer"}
	}, play: atRunbook},
	{name: "route-damaged", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { atRunbook(d, f); d.press("1", "=~09:5") }},
	{name: "route-server", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		f.opened.AnotherHost = []string{"database comes back as /var/lib/postgresql/15/main of the host on which comeback runs, and must be found at its address there: let ${DATABASE_URL} name that host, not the one that died"}
	}, play: func(d *driver, f *fakeDesk) { atRunbook(d, f); d.press("2") }},
	{name: "route-rows", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { atRunbook(d, f); d.press("3") }},
	{name: "route-break-in", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		f.opened.OnlyScratch = "this version restores into scratch only and changes nothing live"
	}, play: func(d *driver, f *fakeDesk) { atRunbook(d, f); d.press("4") }},
	{name: "moment-break-in", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { atRunbook(d, f); d.press("4", "=09:50", "enter") }},
	{name: "moment-latest", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) { withLog(f) }, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("2", "=09:50", "enter", "home", "enter")
		d.sees("read back to")
		d.sees("LIVE    archived")
	}},
	{name: "moment-looking", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("5", "home", "down", "enter")
		d.sees("REFUSED")
	}},
	{name: "moment-look", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("5", "home", "enter")
		d.sees("read back to")
		d.press("h")
	}},
	{name: "moment-rescue", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) {
		atRunbook(d, f)
		d.press("3", "enter", "home", "enter")
		d.sees("read back to")
		d.press("h")
	}},
	{name: "runbook-problems", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) { f.opened.Problems = f.systems[1].Problems },
		play: func(d *driver, _ *fakeDesk) { d.sees("NOT USABLE YET") }},
	{name: "runbook-refused", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		f.openErr = recovery.Errorf("check the path", "read %s: permission denied", shopMD)
	}, play: func(d *driver, _ *fakeDesk) { d.sees("permission denied") }},
	{name: "moment", start: Start{Runbook: shopMD}, play: toMoment},
	{name: "moment-broken", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toMoment(d, f)
		d.press("end", "up", "enter")
		d.sees("cannot be restored")
	}},
	{name: "moment-unsure", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toMoment(d, f)
		d.press("end")
		d.sees("not known, between")
	}},
	{name: "moment-typing", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toEmptyLog(d, f)
		d.press("t", "=10 minutes ago")
		d.sees("at or before")
	}},
	{name: "moment-refused", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) { f.planErr = errRefused }, play: func(d *driver, f *fakeDesk) {
		toEmptyLog(d, f)
		d.press("t", "=2026-11-24 00:00:00+01:00", "enter", "enter")
		d.sees("REFUSED")
	}},
	{name: "moment-log", start: Start{Runbook: shopMD}, desk: withLog, play: toLog},
	{name: "moment-harm", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) { toLog(d, f); d.press("h") }},
	{name: "moment-harm-recovery", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) { withLog(f); forReal(f) }, play: func(d *driver, f *fakeDesk) { toRealLog(d, f); d.press("h") }},
	{name: "moment-zoom", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) { toLog(d, f); d.press("h", "+", "+") }},
	{name: "moment-push", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) { toLog(d, f); d.press("w", "=data") }},
	{name: "moment-reading", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		withLog(f)
		f.transactions = f.transactions[:700]
		f.stuck = &recovery.ScanProgress{Back: f.transactions[699].Time, Done: 41_000_000, Total: 70_000_000}
	}, play: func(d *driver, f *fakeDesk) {
		toMoment(d, f)
		d.press("home", "enter")
		d.sees("58 % read, to 09:14:34")
		d.sees("LIVE    archived")
		d.press("h")
	}},
	{name: "moment-drop", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		withLog(f)
		dropped(f.transactions)
	}, play: func(d *driver, f *fakeDesk) { toLog(d, f); d.press("h") }},
	{name: "moment-find", start: Start{Runbook: shopMD}, desk: withLog, play: func(d *driver, f *fakeDesk) { toLog(d, f); d.press("/", "=migration", "enter") }},
	{name: "moment-damage", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		withLog(f)
		f.liveErr = recovery.Errorf("look at the host", "connect to db1: connection refused")
		f.aroundErr = recovery.Errorf("try another copy", "segment 000000040000000300000079 is empty")
		f.rows[0].Surveys[0].Windows[0].Gaps = []recovery.Gap{{From: 0x37A400000, Object: "wal/00000004000000030000007A", Why: "missing"}}
	}, play: func(d *driver, f *fakeDesk) {
		toMoment(d, f)
		d.press("home", "enter")
		d.sees("UNREAD")
		d.sees("not reached")
		d.press("up", "up")
	}},
	{name: "plan", start: Start{Runbook: shopMD}, play: toPlan},
	{name: "plan-recovery", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) { toRealPlan(d, f); d.press("=db1/sh") }},
	{name: "plan-harm", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) { forReal(f); keepsHarm(f) }, play: toRealPlan},
	{name: "plan-recovery-refused", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) { toRealPlan(d, f); d.press("=shop", "enter"); d.sees("REFUSED") }},
	{name: "waiting-name-typed", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		waitsForName(d, f)
		d.press("=db2/shop", "enter")
		d.sees("REFUSED")
	}},
	{name: "home-recovery", desk: func(f *fakeDesk) {
		f.runs = append(f.runs, KnownRun{ID: "9d0e", System: "shop", Mode: recovery.Recovery, State: "runs: 5 Switch", Alive: true, Operator: "ops2",
			Live: "writes stopped 09:56:20, data untouched", Started: ten.Add(-10 * time.Minute), Dir: "/var/lib/comeback/runs/9d0e"})
	}, play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("down", "down"); d.sees("run 9d0e") }},
	{name: "waiting-name-other", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		waitsForName(d, f)
		d.press("esc")
		d.sees("Stop here...")
	}},
	{name: "waiting-name", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) { startReal(d, f); waitsForName(d, f) }},
	{name: "result-recovery", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		switchedBack(d, f)
		d.sees("journal head in nearby")
	}},
	{name: "run-starting", start: Start{Runbook: shopMD}, play: toRun},
	{name: "run", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); running(d, f) }},
	{name: "run-note", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		running(d, f)
		d.press("n", "=support q knows")
	}},
	{name: "run-stop", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); running(d, f); d.press("S") }},
	{name: "run-stopping", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		running(d, f)
		f.session.add(7*time.Minute, recovery.StopAsked{By: "ops1", Reason: "wrong backup"}, recovery.CleanupStarted{})
		d.sees("asked to stop")
	}},
	{name: "run-log", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		running(d, f)
		d.press("l", "/", "=redo", "enter")
	}},
	{name: "run-broken-off", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		running(d, f)
		f.session.end()
		d.sees("BROKEN OFF")
	}},
	{name: "waiting-ticks", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); ticking(d, f) }},
	{name: "waiting-ticks-reason", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		ticking(d, f)
		d.press("down", "-", "=nobody has the password")
	}},
	{name: "waiting-decision", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); failing(d, f) }},
	{name: "look", start: Start{Runbook: shopMD}, desk: looked, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		failing(d, f)
		d.press("1", "enter")
		d.sees("orders")
		d.press("enter", "=select status, count(*) from orders group by 1", "enter")
		d.sees("shipped")
	}},
	{name: "waiting-decision-restore", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		restoreFails(d, f)
		d.press("down")
	}},
	{name: "result-passed", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); passed(d, f) }},
	{name: "result-signed", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		passed(d, f)
		d.press("k")
		d.sees("FINGERPRINT")
		d.press("down", "enter")
		d.sees("SIGNED")
	}},
	{name: "result-exceptions", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); withExceptions(d, f) }},
	{name: "result-failed", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); failed(d, f) }},
	{name: "sign", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		passed(d, f)
		d.press("k")
		d.sees("FINGERPRINT")
		d.press("end")
	}},
	{name: "sign-passphrase", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		passed(d, f)
		d.press("k")
		d.sees("FINGERPRINT")
		d.press("down", "down", "enter", "=battery", "enter")
		d.sees("REFUSED")
		d.press("=correct")
	}},
	{name: "verify", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); passed(d, f); d.press("v") }},
	{name: "report", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		passed(d, f)
		d.press("r")
		d.sees("Rehearsal 12")
	}},
	{name: "run-late", attach: true, desk: sideBySide, play: func(d *driver, f *fakeDesk) { late(d, f); d.sees("running, LATE") }},
	{name: "run-recovery", attach: true, desk: func(f *fakeDesk) {
		closes(f)
		opens := recovery.NewStep("open/ticks", recovery.KindTicks, "tick 1 item", recovery.TicksArgs{Items: []string{"The maintenance page is down"}})
		opens.Stage, opens.MayPass, opens.After = 5, true, []string{"database/open"}
		f.session.plan.Steps = append(f.session.plan.Steps, opens)
		f.session.state = recovery.NewState(f.session.plan)
	}, play: func(d *driver, f *fakeDesk) {
		f.session.add(0, recovery.OutageNoted{Since: ten.Add(-8 * time.Minute), How: "estimated"}, recovery.Confirmed{Name: "db1/shop", PlanSHA256: planDigest, By: "ops1"})
		running(d, f)
	}},
	{name: "run-stop-closed", start: Start{Runbook: shopMD}, desk: closes, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		closed(d, f)
		d.press("S")
		d.sees("reopens live to its users")
	}},
	{name: "run-stop-exchanged", start: Start{Runbook: shopMD}, desk: closes, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		exchanged(d, f)
		d.press("S")
		d.sees("exchanges back and reopens live")
	}},
	{name: "run-stop-open", start: Start{Runbook: shopMD}, desk: opens, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		opened(d, f)
		d.press("S")
		d.sees("switch-back 7c31")
	}},
	{name: "waiting-decision-open", start: Start{Runbook: shopMD}, desk: opens, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		opened(d, f)
		stepFails(d, f, "open/smoke")
	}},
	{name: "stop-here", attach: true, play: func(d *driver, f *fakeDesk) {
		restoreFails(d, f)
		stopsHere(d)
		d.sees("REASON > ")
	}},
	{name: "waiting-decision-closed", start: Start{Runbook: shopMD}, desk: closes, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		closed(d, f)
		stepFails(d, f, "database/exchange")
	}},
	{name: "waiting-decision-exchanged", start: Start{Runbook: shopMD}, desk: closes, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		exchanged(d, f)
		stepFails(d, f, "database/open")
	}},
	{name: "waiting-two", attach: true, desk: twoWait, play: func(d *driver, _ *fakeDesk) { d.sees("not a failure") }},
	{name: "run-held-back", start: Start{Runbook: shopMD}, desk: forReal, play: func(d *driver, f *fakeDesk) {
		startReal(d, f)
		d.sees("p hold before 5")
		d.asked(f, 1) // for the outage, which the run notes first
		d.press("p")
		if c := d.asked(f, 2)[1]; c.Kind != recovery.DoHold {
			d.t.Errorf("p asks for %+v", c)
		}
		f.session.add(time.Minute, recovery.HeldBack{By: "ops1"})
		d.sees("held back by ops1")
	}},
	{name: "waiting-meanwhile", attach: true, desk: sideBySide, play: func(d *driver, f *fakeDesk) {
		late(d, f)
		f.session.add(25*time.Minute, recovery.StepFailed{Step: "uploads/copy", Error: "read uploads/2026/11/bag-17.jpg: changed while it was read", Hint: "try again"},
			recovery.Waiting{Step: "uploads/copy", For: "decision"})
		d.sees("CAUSE")
	}},
	{name: "home-died", desk: died, play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("end", "up"); d.sees("resume...") }},
	{name: "died", desk: died, play: toDied},
	{name: "died-secret", desk: died, play: func(d *driver, f *fakeDesk) {
		toDied(d, f)
		d.press("1", "enter", "=postgres://shop:hunter2@db1/shop", "enter", "=very sec")
	}},
	{name: "leave", attach: true, play: func(d *driver, f *fakeDesk) { running(d, f); watched(d, f); d.press("q") }},
	{name: "leave-waiting", attach: true, play: func(d *driver, f *fakeDesk) { failing(d, f); d.press("ctrl+c") }},
	{name: "run-watched", attach: true, play: func(d *driver, f *fakeDesk) { running(d, f); watched(d, f) }},
	{name: "run-watcher", attach: true, play: func(d *driver, f *fakeDesk) { running(d, f); watcher(d, f); d.press("S") }},
	{name: "hand-over", attach: true, play: func(d *driver, f *fakeDesk) { running(d, f); watched(d, f); d.press("h") }},
	{name: "take-over", attach: true, play: func(d *driver, f *fakeDesk) { running(d, f); watcher(d, f); d.press("T", "=ops2 is on a train") }},
	{name: "run-interrupted", attach: true, play: interrupted},
	{name: "run-unattended", attach: true, play: func(d *driver, f *fakeDesk) {
		f.session.add(0, recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 12, Operator: "timer", Host: "bastion", Unattended: true})
		f.session.add(time.Minute, recovery.StepStarted{Step: "database/copy", Attempt: 1})
		d.clock = ten.Add(2 * time.Minute)
		d.sees("nobody is asked")
	}},
	{name: "run-isolated", attach: true, play: func(d *driver, f *fakeDesk) {
		running(d, f)
		f.session.add(6*time.Minute, recovery.StepFinished{Step: "database/replay", Outcome: recovery.Outcome{Facts: map[string]string{recovery.FactNetwork: recovery.NoNetwork}}})
		d.sees("no network but loopback")
	}},
	{name: "waiting-watcher", attach: true, play: func(d *driver, f *fakeDesk) {
		failing(d, f)
		watcher(d, f)
		d.press("down", "enter")
		d.sees("REFUSED")
	}},
	{name: "waiting-approval", attach: true, desk: approved, play: approving},
	{name: "waiting-approval-void", attach: true, desk: approved, play: func(d *driver, f *fakeDesk) { approving(d, f); amendedMeanwhile(d, f) }},
	{name: "approve", attach: true, desk: approved, play: func(d *driver, f *fakeDesk) {
		approving(d, f)
		d.press("1", "enter")
		d.sees("WANTED")
		d.press("down", "down")
	}},
	{name: "waiting-credentials", attach: true, desk: twoCopies, play: expired},
	{name: "waiting-credentials-typing", attach: true, desk: twoCopies, play: func(d *driver, f *fakeDesk) { expired(d, f); d.press("2", "enter", "=hunter2") }},
	{name: "waiting-terminal", attach: true, desk: twoCopies, play: func(d *driver, f *fakeDesk) {
		copied(f)
		f.session.add(6*time.Minute, recovery.Waiting{Step: "check/carts", For: recovery.WaitTerminal, Cause: "psql -1 asks before it goes on"})
		d.clock = ten.Add(7 * time.Minute)
		d.sees("ELSEWHERE")
	}},
	{name: "amend-copy", attach: true, desk: twoCopies, play: func(d *driver, f *fakeDesk) {
		restoreFails(d, f)
		d.press("2", "enter")
		d.sees("FROM ANOTHER COPY")
	}},
	{name: "amend-review", attach: true, desk: twoCopies, play: func(d *driver, f *fakeDesk) {
		restoreFails(d, f)
		d.press("2", "enter", "down", "enter")
		d.sees("AMENDMENT")
	}},
	{name: "amend-moment", attach: true, desk: twoCopies, play: func(d *driver, f *fakeDesk) {
		restoreFails(d, f)
		d.press("3", "enter", "=2026-11-23T09:30", "enter")
		d.sees("REFUSED")
	}},
	{name: "amend-nearby", attach: true, desk: nearbyLog, play: func(d *driver, f *fakeDesk) {
		restoreFails(d, f)
		d.press("3", "enter")
		d.sees("the moment as it is")
		d.press("up", "up", "down")
		d.sees("> before-xid:83984")
	}},
	{name: "files", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) {
		toRun(d, f)
		running(d, f)
		d.press("f")
		d.sees("database-replay-1.log")
		d.press("down")
	}},
	{name: "files-refused", start: Start{Runbook: shopMD}, desk: func(f *fakeDesk) {
		f.filesErr = recovery.Errorf("ask ops2", "list the files of the run: permission denied")
	},
		play: func(d *driver, f *fakeDesk) { toRun(d, f); running(d, f); d.press("f"); d.sees("permission denied") }},
	{name: "people", play: func(d *driver, f *fakeDesk) { atHome(d, f); d.press("c") }},
	{name: "status", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); running(d, f); d.press("s") }},
	{name: "help", start: Start{Runbook: shopMD}, play: func(d *driver, f *fakeDesk) { toRun(d, f); running(d, f); d.press("?") }},
}

var sizes = []struct{ w, h int }{{80, 24}, {120, 40}, {200, 50}, {56, 16}}

func TestScreens(t *testing.T) {
	for _, s := range scenes {
		for _, size := range sizes {
			name := fmt.Sprintf("%s-%dx%d", s.name, size.w, size.h)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d, _ := s.show(t, Options{})
				d.size(size.w, size.h)
				golden(t, name, d.screen()+"\n")
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is missing; go test ./tui -update writes it", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the screen has changed (-want +got); if it should have, go test ./tui -update\n%s", diff)
	}
}
