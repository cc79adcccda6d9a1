package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// The functions here bring a console that began with the shop's runbook to a
// screen, as a person would.

func atHome(d *driver, _ *fakeDesk) {
	d.sees("b81e")
	d.sees("never restored")
}

// atRunbook waits until the runbook's screen knows all that it asks for.
func atRunbook(d *driver, _ *fakeDesk) {
	d.sees("checked 10:00:00")
	s := d.m.top().screen.(*runbookScreen)
	d.until("what a run needs", func() bool { return s.haveNeeds && s.haveKeys })
}

func toMoment(d *driver, f *fakeDesk) {
	atRunbook(d, f)
	d.press("6")
	d.sees("GO BACK TO WHICH MOMENT?")
}

func toPlan(d *driver, f *fakeDesk) {
	toMoment(d, f)
	d.press("home", "enter", "t", "=before-xid:81214", "enter", "enter")
	d.sees("PLAN 7c31")
}

func toRun(d *driver, f *fakeDesk) {
	toPlan(d, f)
	d.press("enter")
	d.sees("LOG ")
}

// started writes the first events of the run.
func started(f *fakeDesk) { f.session.happen(starts(f)) }

func starts(f *fakeDesk) []timed {
	return []timed{
		{0, recovery.RunStarted{Run: "7c31", System: "shop", Mode: f.session.plan.Mode, Number: 12, Operator: "ops1", Host: "bastion", PlanSHA256: planDigest}},
		{0, recovery.StepStarted{Step: "stop/ticks", Attempt: 1}}, {0, recovery.Waiting{Step: "stop/ticks", For: "ticks"}},
	}
}

// ticking has one of two items decided, by another console: this one's mark stays where it is
// until it is moved.
func ticking(d *driver, f *fakeDesk) {
	started(f)
	d.sees("0 of 2 decided")
	f.session.add(20*time.Second, recovery.Ticked{Step: "stop/ticks", Item: 0, How: recovery.TickTalkedThrough, By: "ops1"})
	d.clock = ten.Add(75 * time.Second)
	d.sees("1 of 2 decided")
	d.press("down")
}

func ticked(f *fakeDesk) {
	started(f)
	f.session.add(20*time.Second, recovery.Ticked{Step: "stop/ticks", Item: 0, How: recovery.TickTalkedThrough, By: "ops1"},
		recovery.Ticked{Step: "stop/ticks", Item: 1, How: recovery.TickDone, By: "ops1"})
	f.session.add(75*time.Second, recovery.StepFinished{Step: "stop/ticks", Outcome: recovery.Outcome{Says: "2 of 2 items decided"}})
}

func copied(f *fakeDesk) {
	ticked(f)
	f.session.add(75*time.Second, recovery.StepStarted{Step: "database/copy", Attempt: 1},
		recovery.ClaimMade{Step: "database/copy", Resource: recovery.Resource{Kind: recovery.Directory, ID: "/var/tmp/comeback/7c31/database"}},
		recovery.ClaimMade{Step: "database/copy", Resource: recovery.Resource{Kind: recovery.Cluster, ID: "/var/tmp/comeback/7c31/database/data"}})
	f.session.add(5*time.Minute, recovery.StepFinished{Step: "database/copy", Outcome: recovery.Outcome{Says: "base backup 14.2 GB copied, manifest holds"}},
		recovery.StepStarted{Step: "database/replay", Attempt: 1})
}

// running is in the middle of the replay.
func running(d *driver, f *fakeDesk) {
	copied(f)
	d.clock = ten.Add(6*time.Minute + 20*time.Second)
	d.sees("database: replay the log")
	var lines []string
	for i := range 12 {
		lines = append(lines, fmt.Sprintf("redo in progress, elapsed time: %d.00 s, current LSN: 3/%X000000, which is 0x%02x of 0x4f", 10*i, 0x50+i, i))
	}
	f.session.samples <- recovery.Sample{At: d.clock, Step: "database/replay", Phase: "replay", Done: 41 << 24, Total: 79 << 24, Unit: recovery.InLSN,
		PerSecond: 8e6, Left: recovery.Duration(75 * time.Second), Note: "at 00:53:12 of 01:41:05 UTC", Lines: lines}
	d.sees("51 %")
}

func replayed(f *fakeDesk) {
	copied(f)
	f.session.add(8*time.Minute, recovery.StepFinished{Step: "database/replay", Outcome: recovery.Outcome{Says: "replayed to 3/7A21F0C8",
		Bindings: []recovery.Binding{{Component: "database", URL: "postgres:///shop?host=/var/tmp/comeback/7c31/database", Scratch: true}},
		Reached: &recovery.Reached{Component: "database", Time: time.Date(2026, 11, 23, 2, 41, 5, 907e6, zone), LSN: 0x37A21F0C8, XID: 81213, Timeline: 4,
			Evidence: []string{"the server says: recovery stopping before WAL location 3/7A21F0C8", "pg_xact_status(81213) is committed, 81214 is in progress"}}}},
		recovery.StepStarted{Step: "database/prove", Attempt: 1})
	f.session.add(8*time.Minute+4*time.Second, recovery.StepFinished{Step: "database/prove", Outcome: recovery.Outcome{Says: "stopped exactly there",
		Exceptions: []string{}}})
	f.session.add(8*time.Minute+5*time.Second, recovery.StepStarted{Step: "check/orders", Attempt: 1})
}

func check(name string, held bool, expected, found string) recovery.Outcome {
	return recovery.Outcome{Says: name, Check: &recovery.CheckResult{Name: name, Held: held, Query: "select count(*) from " + strings.Fields(name)[0], Expected: expected, Found: found}}
}

// failing waits for a decision about a check.
func failing(d *driver, f *fakeDesk) {
	checkFails(f)
	d.clock = ten.Add(9 * time.Minute)
	d.sees("CAUSE")
}

func checkFails(f *fakeDesk) {
	replayed(f)
	f.session.add(8*time.Minute+6*time.Second, recovery.StepFinished{Step: "check/orders", Outcome: check("orders came back", true, ">= 40000", "48211")},
		recovery.StepStarted{Step: "check/carts", Attempt: 1},
		recovery.StepFailed{Step: "check/carts", Error: `ERROR: relation "carts" does not exist (SQLSTATE 42P01)`, Hint: "the moment may lie after the migration; compare with the one before",
			Outcome: check("carts are there", false, ">= 1", "no result")},
		recovery.Waiting{Step: "check/carts", For: "decision"})
}

// restoreFails waits for a decision about a restore, which cannot be passed.
func restoreFails(d *driver, f *fakeDesk) {
	copied(f)
	f.session.add(6*time.Minute, recovery.StepFailed{Step: "database/replay", Error: "WAL segment 00000004000000030000005C is missing in nearby, between 00000004000000030000005B and 00000004000000030000005D",
		Hint: "choose a moment before 01:50:44, or put the segment back"}, recovery.Waiting{Step: "database/replay", For: "decision"})
	d.clock = ten.Add(7 * time.Minute)
	d.sees("CAUSE")
}

func cleaned(f *fakeDesk, at time.Duration, ended recovery.RunEnded) {
	f.session.add(at, recovery.CleanupStarted{},
		recovery.ClaimReleased{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "/var/tmp/comeback/7c31/database/data"}},
		recovery.ClaimReleased{Resource: recovery.Resource{Kind: recovery.Directory, ID: "/var/tmp/comeback/7c31/database"}}, ended)
	f.session.end()
}

func passed(d *driver, f *fakeDesk) {
	replayed(f)
	f.session.add(8*time.Minute+6*time.Second, recovery.StepFinished{Step: "check/orders", Outcome: check("orders came back", true, ">= 40000", "48211")},
		recovery.StepStarted{Step: "check/carts", Attempt: 1})
	f.session.add(8*time.Minute+7*time.Second, recovery.StepFinished{Step: "check/carts", Outcome: check("carts are there", true, ">= 1", "310")})
	cleaned(f, 8*time.Minute+9*time.Second, recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.CameBack, Says: "every check held"})
	d.clock = ten.Add(9 * time.Minute)
	d.sees("EVERY CHECK HELD")
}

func withExceptions(d *driver, f *fakeDesk) {
	checkFails(f)
	f.session.add(9*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseContinue, Reason: "carts are rebuilt from the sessions", By: "ops1"})
	cleaned(f, 9*time.Minute+2*time.Second, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "1 check was passed over"})
	d.clock = ten.Add(10 * time.Minute)
	d.sees("WITH EXCEPTIONS")
}

func failed(d *driver, f *fakeDesk) {
	restoreFails(d, f)
	f.session.add(8*time.Minute, recovery.Decided{Step: "database/replay", Choice: recovery.ChooseStop, By: "ops1"})
	f.session.add(8*time.Minute, recovery.CleanupStarted{},
		recovery.ClaimReleased{Resource: recovery.Resource{Kind: recovery.Cluster, ID: "/var/tmp/comeback/7c31/database/data"}},
		recovery.ClaimKept{Resource: recovery.Resource{Kind: recovery.Directory, ID: "/var/tmp/comeback/7c31/database"}, Why: "device or resource busy"},
		recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "a segment of the log is missing"})
	f.session.end()
	d.clock = ten.Add(9 * time.Minute)
	d.sees("FAILED   run")
}

// sideBySide adds a step that runs beside the restore of the database.
func sideBySide(f *fakeDesk) {
	step := recovery.NewStep("uploads/copy", "files.copy", "copy the uploads", struct{}{})
	step.Stage, step.Component, step.After = 2, "uploads", []string{"stop/ticks"}
	f.session.plan.Steps = append(f.session.plan.Steps, step)
	f.session.state = recovery.NewState(f.session.plan)
}

// late is a restore that has passed its budget, beside one that has not.
func late(d *driver, f *fakeDesk) {
	ticked(f)
	f.session.add(75*time.Second, recovery.StepStarted{Step: "database/copy", Attempt: 1})
	f.session.add(22*time.Minute, recovery.StepStarted{Step: "uploads/copy", Attempt: 1})
	d.clock = ten.Add(25 * time.Minute)
	d.sees("uploads: copy the uploads")
	f.session.samples <- recovery.Sample{At: d.clock.Add(-time.Second), Step: "database/copy", Phase: "copy", Done: 9_100_000_000, Unit: recovery.InBytes, PerSecond: 6.2e6}
	f.session.samples <- recovery.Sample{At: d.clock, Step: "uploads/copy", Phase: "files", Done: 11790, Total: 18402, Unit: recovery.InItems, PerSecond: 65, Left: recovery.Duration(102 * time.Second)}
	d.sees("64 %")
}

// died is a desk whose first run has lost its runner.
func died(f *fakeDesk) {
	f.runs[0].State, f.runs[0].Alive, f.runs[0].Died = "died 02:57, resume it", false, true
	f.missing = []Need{{Name: "DATABASE_URL", Where: "the vault, path shop/db"}, {Name: "BACKUP_KEY"}}
}

func toDied(d *driver, f *fakeDesk) {
	atHome(d, f)
	d.press("end", "up", "enter")
	d.sees("SECRETS   DATABASE_URL")
}

// watched says who looks at the run besides its commander.
func watched(d *driver, f *fakeDesk) {
	f.session.samples <- recovery.Sample{At: d.clock, Here: []recovery.Watcher{
		{Operator: "ops1", Terminal: "console", Since: ten}, {Operator: "ops2", Terminal: "console", Since: ten.Add(2 * time.Minute)},
		{Operator: "lead", Terminal: "plain", Since: ten.Add(5 * time.Minute)}, {Operator: "ops2", Terminal: "plain", Since: ten.Add(6 * time.Minute)},
	}}
	d.sees("2 watch")
}

// watcher gives the command to ops2, who has gone away.
func watcher(d *driver, f *fakeDesk) {
	f.session.add(6*time.Minute, recovery.LeaseHanded{By: "ops1", To: "ops2"})
	f.session.samples <- recovery.Sample{At: d.clock, Here: []recovery.Watcher{{Operator: "ops1", Terminal: "console", Since: ten}}}
	d.sees("ops2 is away")
}

// interrupted was resumed after the runner's death, amended, and does a step
// again.
func interrupted(d *driver, f *fakeDesk) {
	copied(f)
	f.session.add(6*time.Minute, recovery.RunResumed{PID: 4711, Reason: "runner died", By: "ops1"},
		recovery.StepGone{Step: "database/copy", Why: "the directory of the server is not there any more"})
	skip, err := recovery.Amend(f.session.state.PlanSHA256, recovery.Amended{Says: "skip carts are there", Why: "there were none before", By: "ops1", Skip: []string{"check/carts"}})
	if err != nil {
		panic(err)
	}
	f.session.add(6*time.Minute+5*time.Second, skip, recovery.StepStarted{Step: "database/replay", Attempt: 2})
	d.clock = ten.Add(6*time.Minute + 20*time.Second)
	d.sees("INTERRUPTED")
}

// approverKey is a public key, approverPrint its fingerprint.
const (
	approverKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQ+AIZ/n3f7EUaiRMwoGmdTzU5kTQJ+4luyflbEEKSn lead"
	approverPrint = "SHA256:gK6TYwK0lBBCJiZWsObouG8j/mIBWMda8tjzpbxRsLI"
)

// approved is a desk whose plan wants an approval before its checks.
func approved(f *fakeDesk) {
	plan := f.session.plan
	step := recovery.NewStep("check/approval", recovery.KindApproval, "approval by lead", recovery.ApprovalArgs{Role: "lead", Key: approverKey})
	step.Stage, step.MayPass = 4, true
	plan.Steps = append(plan.Steps, step)
	plan.People = []recovery.Person{{Role: "lead", Reach: "#incidents", Key: approverKey}}
	f.session.state = recovery.NewState(plan)
	f.keys[1].Fingerprint = approverPrint
}

const planDigest = "5e0b77a1c93d0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796"

func approving(d *driver, f *fakeDesk) {
	f.session.add(0, recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 12, Operator: "ops1", Host: "bastion", PlanSHA256: planDigest})
	f.session.add(5*time.Minute, recovery.StepStarted{Step: "check/approval", Attempt: 1}, recovery.Waiting{Step: "check/approval", For: recovery.WaitApproval},
		recovery.Notified{About: "approval by lead"})
	d.clock = ten.Add(6 * time.Minute)
	d.sees("WAITS FOR lead")
}

// amendedMeanwhile voids an approval that was there.
func amendedMeanwhile(d *driver, f *fakeDesk) {
	f.session.add(5*time.Minute, recovery.Approved{Step: "check/approval", Role: "lead", Fingerprint: approverPrint, PlanSHA256: planDigest, By: "lead"})
	a, err := recovery.Amend(planDigest, recovery.Amended{Says: "restore uploads from offsite", By: "ops1"})
	if err != nil {
		panic(err)
	}
	f.session.add(6*time.Minute, a)
	d.sees("VOID")
}

// twoCopies is a desk whose plan knows a second copy, and what a secret is for.
func twoCopies(f *fakeDesk) {
	plan := f.session.plan
	plan.Copies = []recovery.Copy{{Name: "nearby"}, {Name: "offsite"}}
	plan.Needs = map[string]string{"OFFSITE_KEY": "from the vault, path shop/offsite"}
	f.session.state = recovery.NewState(plan)
}

// nearbyLog has a log around the moment of the run.
func nearbyLog(f *fakeDesk) {
	f.transactions = logOf(30, 20*time.Second, harmed)
	kept, lost := f.transactions[16], f.transactions[15]
	point := &f.session.plan.Moment.Points[0]
	point.Timeline, point.Time, point.Kept, point.Lost, point.Stop = 4, kept.Time, kept.Commit, lost.Commit, lost.LSN
	twoCopies(f)
}

// expired waits for credentials in the middle of the copy.
func expired(d *driver, f *fakeDesk) {
	ticked(f)
	f.session.add(75*time.Second, recovery.StepStarted{Step: "database/copy", Attempt: 1})
	f.session.add(2*time.Minute, recovery.Waiting{Step: "database/copy", For: recovery.WaitCredentials,
		Cause: "ExpiredToken: The provided token has expired.", Hint: "aws sso login --profile backups, or set OFFSITE_KEY; then try again"})
	d.clock = ten.Add(3 * time.Minute)
	d.sees("not a failure")
}

// talking is a run whose block about the carts talks with a person.
func talking(f *fakeDesk) {
	plan := f.session.plan
	carts := &plan.Steps[len(plan.Steps)-1]
	block := recovery.NewStep(carts.ID, recovery.KindShell, "ask for the carts", recovery.ShellArgs{Name: "ask for the carts", Terminal: true})
	block.Stage, block.After, block.MayPass = carts.Stage, carts.After, true
	*carts = block
	f.session.state = recovery.NewState(plan)
	copied(f)
	f.session.add(6*time.Minute, recovery.StepStarted{Step: "check/carts", Attempt: 1},
		recovery.Waiting{Step: "check/carts", For: recovery.WaitTerminal, Cause: "it talks with a person"})
}
