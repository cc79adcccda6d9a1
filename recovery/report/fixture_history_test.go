package report

import (
	"testing"
	"time"

	"comeback/recovery"
)

// resumed is a rehearsal that was interrupted twice, the second time by a
// reboot, waited for credentials, changed hands, and held.
func resumed(t testing.TB) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})
	r.after(30*time.Second, recovery.StepCheckpoint{Step: "database/restore", Text: "12 of 40 tables"})
	left := r.artifact("database-restore.1.log", "12:01:00.000 COPY\n")
	r.after(10*time.Minute, recovery.RunResumed{PID: 4712, BootID: "boot-1", Reason: "its runner had died", Version: "v0.2.0",
		By: "ops2", Artifacts: []recovery.Artifact{left}}, recovery.StepStarted{Step: "database/restore", Attempt: 2})
	r.after(20*time.Second, recovery.Waiting{Step: "database/restore", For: recovery.WaitCredentials,
		Cause: "open s3://backups/db: credentials expired: The provided token has expired.", Hint: "log in again",
		Artifacts: []recovery.Artifact{r.artifact("database-restore.2.log", "12:12:00.000 COPY\n")}},
		recovery.Notified{About: "shop 4f2a waits for credentials", Error: "/usr/local/bin/page: exit status 1"})
	r.after(2*time.Minute, recovery.LeaseTaken{By: "ops1", From: "ops2", Reason: "ops2 is at dinner"},
		recovery.SecretGiven{Name: "AWS_SESSION_TOKEN", By: "ops1"},
		recovery.Decided{Step: "database/restore", Choice: recovery.ChooseRetry, By: "ops1"},
		recovery.StepStarted{Step: "database/restore", Attempt: 3})
	r.restored(3)
	r.after(time.Second, recovery.StepStarted{Step: "check/orders", Attempt: 1}, recovery.LeaseHanded{By: "ops1", To: "ops2"})
	r.after(time.Hour, recovery.RunResumed{PID: 311, BootID: "boot-2", Reason: "the host was started again", Version: "v0.2.0", By: "ops2"},
		recovery.StepGone{Step: "database/restore", Why: "it did not survive the interruption: the scratch cluster was built without fsync"},
		recovery.StepStarted{Step: "database/restore", Attempt: 4})
	r.restored(4)
	r.orders(2, "48211", true)
	r.newest()
	return r.end(recovery.ResultPassed, recovery.CameBack, allHeld)
}

// restored ends an attempt at the second stage.
func (r *run) restored(attempt int) {
	r.after(90*time.Second, recovery.StepFinished{Step: "database/restore", Outcome: recovery.Outcome{
		Says:     "restored 1.07 GB into shop",
		Bindings: []recovery.Binding{{Component: "database", URL: "postgres:///shop?host=/tmp/cb-4f2a", Scratch: true}},
		Reached: &recovery.Reached{Component: "database", Time: noon.Add(-20 * time.Minute),
			Evidence: []string{"the dump is complete: its last line says so"}},
		Artifacts: []recovery.Artifact{r.artifact("database-restore.log", "attempt "+string(rune('0'+attempt))+"\n")},
	}})
}

// approvedPlan is a recovery into a live target that a second person approves.
func approvedPlan(key string) *recovery.Plan {
	plan := shopPlan(recovery.Recovery)
	plan.Copies = append(plan.Copies, recovery.Copy{Name: "offsite", URL: "s3://shop-backups-offsite/shop", Region: "eu-central-1"})
	plan.Targets = append(plan.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop"})
	plan.People = append(plan.People, recovery.Person{Role: "approver", Reach: "#incidents", Key: key})
	plan.Steps[1].Writes = append(plan.Steps[1].Writes, "live/database")
	approval := recovery.NewStep("stage2/approval", recovery.KindApproval, "wait for the approval of approver",
		recovery.ApprovalArgs{Role: "approver", Key: key})
	approval.Stage, approval.MayPass, approval.After = 1, true, []string{"stage1/ticks"}
	plan.Steps[1].After = append(plan.Steps[1].After, approval.ID)
	plan.Steps = append(plan.Steps[:1:1], append([]recovery.Step{approval}, plan.Steps[1:]...)...)
	return plan
}

// approval is the run of such a plan up to the wait for its approver, and what
// it needs to go on.
type approval struct {
	*run
	key, digest string
}

func beginApproval(t testing.TB) *approval {
	t.Helper()
	path := makeKey(t, "-t", "ed25519")
	r := begin(t, approvedPlan(publicKey(t, path+".pub")))
	r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "known"})
	r.items()
	return &approval{run: r, key: path, digest: r.started().PlanSHA256}
}

func (a *approval) ask(attempt int) {
	a.after(time.Second, recovery.StepStarted{Step: "stage2/approval", Attempt: attempt},
		recovery.Waiting{Step: "stage2/approval", For: recovery.WaitApproval})
}

// approved is what a signature by the approver makes the journal hold.
func (a *approval) approved() recovery.Approved {
	return recovery.Approved{Step: "stage2/approval", Role: "approver", Fingerprint: fingerprint(a.t, a.key),
		PlanSHA256: a.digest, Signature: approve(a.t, a.key, a.digest), By: "ops1"}
}

func (a *approval) grant() {
	a.after(time.Minute, a.approved(),
		recovery.StepFinished{Step: "stage2/approval", Outcome: recovery.Outcome{Says: "approved by approver"}})
}

// amend changes the plan.
func (a *approval) amend(change recovery.Amended) {
	a.t.Helper()
	change, err := recovery.Amend(a.digest, change)
	must(a.t, err)
	a.digest = change.PlanSHA256
	a.after(time.Minute, change)
}

// elsewhere restores from another copy, to a moment that is there.
func (a *approval) elsewhere() recovery.Amended {
	moment := a.plan.Moment
	moment.Points = append([]recovery.Point(nil), moment.Points...)
	moment.Points[0].Copy, moment.Points[0].Says = "offsite", "2026-11-23.sql.gz in offsite, dump of 11:40:00"
	step, _ := a.plan.Step("database/restore")
	step.Says = "restore the dump from offsite"
	return recovery.Amended{Says: "restore database from offsite", Why: "nearby is damaged", By: "ops1", Moment: &moment,
		Steps: []recovery.Step{step}}
}

// live ends a recovery whose claims are what came back.
func (a *approval) live(result recovery.Result, exit recovery.Exit, says string) *run {
	a.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimKept{Resource: cluster, Why: "it is live now", OnPurpose: true},
		recovery.ClaimKept{Resource: scratch, Why: "it is live now", OnPurpose: true})
	a.after(time.Second, recovery.RunEnded{Result: result, Exit: exit, Says: says, Watched: true})
	return a.run
}

// amended is a recovery that was approved, amended, approved again, amended
// once more, and went on without the approver.
func amended(t testing.TB) *run {
	a := beginApproval(t)
	a.ask(1)
	a.grant()
	a.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})
	a.after(time.Minute, recovery.StepFailed{Step: "database/restore", Error: "read db/2026-11-23.sql.gz: is damaged", Hint: "take another copy", Exit: recovery.Failed},
		recovery.Waiting{Step: "database/restore", For: recovery.WaitDecision})
	a.amend(a.elsewhere())
	a.ask(2)
	a.grant()
	a.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 2})
	a.restored(2)
	a.orders(1, "48211", true)
	a.amend(recovery.Amended{Says: "leave out the newest order", Why: "the shop had no order that day", By: "ops1", Skip: []string{"check/newest"}})
	a.ask(3)
	a.after(time.Minute, recovery.Decided{Step: "stage2/approval", Choice: recovery.ChooseContinue, Reason: "break-glass: the approver cannot be reached", By: "ops1"})
	return a.live(recovery.ResultExceptions, recovery.WithExceptions, "2 exceptions")
}

// heldBack is a recovery, with a report of the form 4, whose name was typed, that somebody
// held back from changing live, and whose name was typed once more.
func heldBack(t testing.TB) *run {
	plan := shopPlan(recovery.Recovery)
	plan.Targets = append(plan.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop"})
	plan.Steps[1].Writes = append(plan.Steps[1].Writes, "live/database")
	r := begin(t, plan)
	r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "estimated"}, recovery.Confirmed{Name: "db1/shop", By: "ops1"})
	r.items()
	r.after(time.Second, recovery.HeldBack{By: "ops2"})
	r.after(time.Minute, recovery.Waiting{Step: "database/restore", For: recovery.WaitName})
	r.after(4*time.Minute, recovery.Confirmed{Name: "db1/shop", By: "ops2"})
	r.restore()
	r.orders(1, "48211", true)
	r.newest()
	r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimKept{Resource: cluster, Why: "it is live now", OnPurpose: true},
		recovery.ClaimKept{Resource: scratch, Why: "it is live now", OnPurpose: true})
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.CameBack, Says: "came back, 2 of 2 checks held", Report: 4})
	return r
}

// clockStepped is a rehearsal, with a report of the form 5, whose clock was put back by two hours.
func clockStepped(t testing.TB) *run { return steppedBy(t, -2*time.Hour, 5) }

// steppedBy is a rehearsal whose clock is set between the restore and the checks.
func steppedBy(t testing.TB, by time.Duration, form int) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.restore()
	r.after(by+time.Minute, recovery.ClockStepped{By: recovery.Duration(by)})
	r.orders(1, "48211", true)
	r.newest()
	r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimReleased{Resource: cluster}, recovery.ClaimReleased{Resource: scratch})
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "1 exception", Report: form})
	return r
}
