package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/storage"
)

// noon is the fixtures' clock at its start.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const runbookText = `---
comeback: 1
system: shop
rpo: 5m
rto: 30m
rehearse: 90d
---

# Bring the shop back
`

// run is a run in the making: a directory, its plan and its journal.
type run struct {
	t       testing.TB
	dir     string
	plan    *recovery.Plan
	journal *journal.Journal
	now     time.Time
	// edit changes an event before it is appended; nil drops it.
	edit func(recovery.Payload) []recovery.Payload
}

// shopPlan is a plan of three stages: items, a restore and two checks.
func shopPlan(mode recovery.Mode) *recovery.Plan {
	before := noon.Add(-20 * time.Minute)
	ticks := recovery.NewStep("stage1/ticks", recovery.KindTicks, "tick the items of Stop the writes",
		recovery.TicksArgs{Items: []string{"The maintenance page is up", "Payment webhooks are paused"}})
	restore := recovery.NewStep("database/restore", "dump.restore", "restore the dump", map[string]string{"database": "shop"})
	restore.Stage, restore.Component, restore.Line = 1, "database", 30
	restore.Writes, restore.Budget = []recovery.TargetID{"scratch/database"}, recovery.Duration(15*time.Minute)
	restore.Expected = recovery.Duration(4 * time.Minute)
	restore.After = []string{"stage1/ticks"}
	orders := recovery.NewStep("check/orders", recovery.KindSQLCheck, "check orders came back",
		recovery.SQLCheckArgs{Name: "orders came back", On: "database", Query: "select count(*)\n  from orders;", Expect: ">= 40000"})
	newest := recovery.NewStep("check/newest", recovery.KindSQLCheck, "check the newest order",
		recovery.SQLCheckArgs{Name: "the newest order", On: "database", Query: "select max(placed) from orders", Expect: "within 10m", Moment: before})
	for _, s := range []*recovery.Step{&orders, &newest} {
		s.Stage, s.Component, s.After, s.MayPass, s.Line = 2, "database", []string{"database/restore"}, true, 40
	}
	plan := &recovery.Plan{
		Format: 1, Run: "4f2a", System: "shop", Mode: mode, Number: 12, Created: noon.Add(-time.Minute),
		Previous: digest([]byte("report 11")),
		Runbook:  recovery.Source{Path: "/srv/runbooks/shop.md", SHA256: digest([]byte(runbookText))},
		RPO:      recovery.Duration(5 * time.Minute), RTO: recovery.Duration(30 * time.Minute),
		RehearseEvery: recovery.Duration(90 * 24 * time.Hour),
		Moment: recovery.Moment{
			Want: recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, Anchor: "database",
			Points: []recovery.Point{{
				Component: "database", Copy: "nearby", Engine: "dump", Exactness: recovery.ToBackup, Time: before, Bytes: 1 << 30,
				Says: "2026-11-23.sql.gz, dump of 11:40:00", Warnings: []string{"the dump's roles are not in the copy"},
				Backup: recovery.Backup{ID: "db/2026-11-23.sql.gz", Component: "database", Copy: "nearby", Engine: "dump", Form: "plain SQL, gzip",
					Objects: []storage.Object{{Key: "db/2026-11-23.sql.gz", Size: 1 << 30, Modified: before.Add(time.Minute), Revision: "r1", Checksum: "crc64nvme:AAAAAAAAAAA="}},
					Taken:   recovery.Span{From: before, To: before}, Details: map[string]string{"server version": "15.14", "database": "shop"}},
			}},
		},
		Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"url": {"${DATABASE_URL}"}}}},
		Copies:     []recovery.Copy{{Name: "nearby", URL: "file:///var/backups/shop"}},
		Targets:    []recovery.Target{{ID: "scratch/database", Scratch: true, Component: "database", Place: "/var/tmp/comeback/4f2a/database"}},
		Stages: []recovery.Stage{
			{Name: "Stop the writes", Owner: "platform on-call", Budget: recovery.Duration(2 * time.Minute), Line: 12},
			{Name: "Restore the database", Owner: "platform on-call", Budget: recovery.Duration(15 * time.Minute), Line: 28},
			{Name: "Check the copy", Line: 36},
		},
		Steps:  []recovery.Step{ticks, restore, orders, newest},
		People: []recovery.Person{{Role: "platform on-call", Reach: "+00 000 000"}},
	}
	if mode == recovery.Rehearsal {
		plan.NotExecuted = []recovery.NotExecuted{{Stage: "Stop the writes", What: "shell block: pause the queue", Why: "it says `# in: recovery`", Line: 18}}
	}
	return plan
}

// begin writes a run's directory up to its first event.
func begin(t testing.TB, plan *recovery.Plan) *run {
	t.Helper()
	r := &run{t: t, dir: filepath.Join(t.TempDir(), plan.Run), plan: plan, now: noon}
	must(t, os.MkdirAll(filepath.Join(r.dir, ArtifactsDir), 0o700))
	b, err := json.MarshalIndent(plan, "", "  ")
	must(t, err)
	r.write(PlanFile, string(b)+"\n")
	r.write(RunbookFile, runbookText)
	r.journal, err = journal.Create(filepath.Join(r.dir, journal.Name), plan.Runbook.SHA256)
	must(t, err)
	t.Cleanup(func() { r.journal.Close() })
	return r
}

func (r *run) started() recovery.RunStarted {
	b, err := os.ReadFile(filepath.Join(r.dir, PlanFile))
	must(r.t, err)
	return recovery.RunStarted{
		Run: r.plan.Run, System: r.plan.System, Mode: r.plan.Mode, Number: r.plan.Number,
		PlanSHA256: digest(b), RunbookSHA256: r.plan.Runbook.SHA256, Version: "v0.1.0",
		Operator: "ops1", Host: "bastion", BootID: "boot-1", PID: 4711,
		Asserted: map[string]string{"SUDO_USER": "ops1", "SSH_CONNECTION": "192.0.2.7 50022 192.0.2.1 22"},
	}
}

// after appends events, the first of them that much later than the one before.
func (r *run) after(d time.Duration, payloads ...recovery.Payload) {
	r.t.Helper()
	r.now = r.now.Add(d)
	for _, p := range payloads {
		edited := []recovery.Payload{p}
		if r.edit != nil {
			edited = r.edit(p)
		}
		for _, p := range edited {
			e, err := recovery.NewEvent(r.now, p)
			must(r.t, err)
			_, err = r.journal.Append(e)
			must(r.t, err)
		}
	}
}

// unheardOf is an event of a version to come.
type unheardOf struct {
	What string `json:"what"`
}

func (unheardOf) EventType() string { return "teleported/1" }

func (r *run) write(name, content string) {
	r.t.Helper()
	must(r.t, os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600))
}

// artifact writes a file that a step keeps.
func (r *run) artifact(name, content string) recovery.Artifact {
	r.t.Helper()
	r.write(filepath.Join(ArtifactsDir, name), content)
	return recovery.Artifact{Name: name, Size: int64(len(content)), SHA256: digest([]byte(content))}
}

var (
	scratch = recovery.Resource{Kind: recovery.Directory, ID: "/var/tmp/comeback/4f2a/database"}
	cluster = recovery.Resource{Kind: recovery.Cluster, ID: "/var/tmp/comeback/4f2a/database/data", Details: map[string]string{"socket": "/tmp/cb-4f2a"}}
)

// items decides the first stage.
func (r *run) items() {
	r.after(time.Second, recovery.StepStarted{Step: "stage1/ticks", Attempt: 1}, recovery.Waiting{Step: "stage1/ticks", For: "ticks"})
	how := recovery.TickDone
	if r.plan.Mode == recovery.Rehearsal {
		how = recovery.TickTalkedThrough
	}
	r.after(30*time.Second, recovery.Ticked{Step: "stage1/ticks", Item: 0, How: recovery.TickDone, By: "ops1"})
	r.after(20*time.Second, recovery.Ticked{Step: "stage1/ticks", Item: 1, How: how, By: "ops1", Note: "the vendor's page was shown"},
		recovery.StepFinished{Step: "stage1/ticks", Outcome: recovery.Outcome{Says: "2 items decided"}})
}

// restore does the second stage.
func (r *run) restore() {
	r.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})
	r.after(2*time.Minute, recovery.StepCheckpoint{Step: "database/restore", Text: "data is in, indexes follow"})
	r.after(90*time.Second, recovery.StepFinished{Step: "database/restore", Outcome: recovery.Outcome{
		Says:     "restored 1.07 GB into shop",
		Facts:    map[string]string{"server version": "15.14", "system identifier": "7301448812345678901", recovery.FactIsolation: "no TCP port, archiving off"},
		Bindings: []recovery.Binding{{Component: "database", URL: "postgres:///shop?host=/tmp/cb-4f2a", Scratch: true}},
		Reached: &recovery.Reached{Component: "database", Time: noon.Add(-20 * time.Minute),
			Evidence: []string{"the dump is complete: its last line says so", "SHA-256 of the stream equals the object's"}},
		Remarks:   []string{"role shop_app was created without login"},
		Artifacts: []recovery.Artifact{r.artifact("database-restore.log", "12:00:52.000 CREATE TABLE\n")},
	}})
}

func (r *run) orders(attempt int, found string, held bool) {
	r.after(time.Second, recovery.StepStarted{Step: "check/orders", Attempt: attempt})
	result := recovery.Outcome{Says: "orders came back: " + found,
		Check: &recovery.CheckResult{Name: "orders came back", Held: held, Query: "select count(*)\n  from orders;", Expected: ">= 40000", Found: found}}
	if held {
		r.after(2*time.Second, recovery.StepFinished{Step: "check/orders", Outcome: result})
		return
	}
	r.after(2*time.Second, recovery.StepFailed{Step: "check/orders", Error: "found " + found + ", expected >= 40000",
		Hint: "look at the copy", Exit: recovery.Failed, Outcome: result}, recovery.Waiting{Step: "check/orders", For: "decision"})
}

func (r *run) newest() {
	r.after(time.Second, recovery.StepStarted{Step: "check/newest", Attempt: 1})
	r.after(time.Second, recovery.StepFinished{Step: "check/newest", Outcome: recovery.Outcome{Says: "the newest order: held",
		Check: &recovery.CheckResult{Name: "the newest order", Held: true, Expected: "within 10m", Found: "2026-11-23 11:39:58+00"}}})
}

// end gives back the claims and closes the journal.
func (r *run) end(result recovery.Result, exit recovery.Exit, says string) *run {
	r.after(time.Second, recovery.CleanupStarted{})
	r.after(2*time.Second, recovery.ClaimReleased{Resource: cluster}, recovery.ClaimReleased{Resource: scratch})
	r.after(time.Second, recovery.RunEnded{Result: result, Exit: exit, Says: says})
	return r
}

const allHeld = "every step done, 2 of 2 checks held, everything cleaned up"

// passed is a rehearsal in which everything held; edit may change its events.
func passed(t testing.TB, edit func(recovery.Payload) []recovery.Payload) *run {
	return passedPlan(t, shopPlan(recovery.Rehearsal), edit)
}

func passedPlan(t testing.TB, plan *recovery.Plan, edit func(recovery.Payload) []recovery.Payload) *run {
	r := begin(t, plan)
	r.edit = edit
	r.after(0, r.started())
	r.items()
	r.restore()
	r.orders(1, "48211", true)
	r.newest()
	return r.end(recovery.ResultPassed, recovery.CameBack, allHeld)
}

func withExceptions(t testing.TB) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.restore()
	r.orders(1, "0", false)
	r.after(40*time.Second, recovery.Noted{Text: "the replica lags, try again", By: "ops1"},
		recovery.Decided{Step: "check/orders", Choice: recovery.ChooseRetry, By: "ops1"})
	r.orders(2, "39990", false)
	r.after(time.Minute, recovery.Decided{Step: "check/orders", Choice: recovery.ChooseContinue, Reason: "10 test orders were cleared | see OPS-12", By: "ops1"})
	r.newest()
	r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimReleased{Resource: cluster},
		recovery.ClaimKept{Resource: scratch, Why: "remove directory: device or resource busy"})
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "2 exceptions"})
	return r
}

func failed(t testing.TB) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})
	r.after(time.Minute, recovery.StepFailed{Step: "database/restore", Error: `ERROR:  extension "postgis" is not available`,
		Hint: "apt-get install postgresql-15-postgis-3", Exit: recovery.Failed},
		recovery.StopAsked{By: "comeback", Reason: "restore the dump failed and nobody is there to decide"},
		recovery.StepSkipped{Step: "check/orders", Why: "a step before it failed"}, recovery.StepSkipped{Step: "check/newest", Why: "a step before it failed"})
	return r.end(recovery.ResultFailed, recovery.Failed, `restore the dump: ERROR:  extension "postgis" is not available`)
}

func interrupted(t testing.TB) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.after(time.Second, recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})
	r.after(30*time.Second, recovery.StepCheckpoint{Step: "database/restore", Text: "12 of 40 tables"})
	r.artifact("database-restore.log", "12:01:00.000 COPY\n") // its step never told of it
	r.after(10*time.Minute, recovery.RunResumed{PID: 4712, BootID: "boot-2", Reason: "the runner had died"},
		recovery.StepStarted{Step: "database/restore", Attempt: 2})
	r.after(20*time.Second, recovery.StopAsked{By: "ops1", Reason: "out of time"},
		recovery.StepFailed{Step: "database/restore", Error: "stopped before it had ended", Exit: recovery.Interrupted},
		recovery.StepSkipped{Step: "check/orders", Why: "the run was stopped: out of time"},
		recovery.StepSkipped{Step: "check/newest", Why: "the run was stopped: out of time"})
	return r.end(recovery.ResultInterrupted, recovery.Interrupted, "stopped: out of time")
}

func unknownEvent(t testing.TB) *run {
	return passed(t, func(p recovery.Payload) []recovery.Payload {
		if s, ok := p.(recovery.StepStarted); ok && s.Step == "check/orders" {
			return []recovery.Payload{unheardOf{"another moment"}, p}
		}
		return []recovery.Payload{p}
	})
}

// forReal is a recovery that writes to a live target.
func forReal(t testing.TB) *run {
	plan := shopPlan(recovery.Recovery)
	plan.Targets = append(plan.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop"})
	plan.Steps[1].Writes = append(plan.Steps[1].Writes, "live/database")
	r := begin(t, plan)
	r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "estimated"})
	r.items()
	r.restore()
	r.orders(1, "48211", true)
	r.newest()
	r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimKept{Resource: cluster, Why: "it is live now", OnPurpose: true},
		recovery.ClaimKept{Resource: scratch, Why: "it is live now", OnPurpose: true})
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.CameBack, Says: "came back, 2 of 2 checks held"})
	return r
}

// protectedLater is a recovery, with a report of the form 4, that backs up again what has been open for
// an hour and a half by then.
func protectedLater(t testing.TB) *run {
	plan := shopPlan(recovery.Recovery)
	plan.Targets = append(plan.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop"})
	plan.Steps[1].Writes = append(plan.Steps[1].Writes, "live/database")
	plan.Stages = append(plan.Stages, recovery.Stage{Name: "Protect again"})
	protect := recovery.NewStep("protect/database", "backup.take", "take a new base backup of database", map[string]string{"component": "database"})
	protect.Stage, protect.Phase, protect.MayPass, protect.After = 3, recovery.Protect, true, []string{"check/orders", "check/newest"}
	plan.Steps = append(plan.Steps, protect)
	r := begin(t, plan)
	r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "known"})
	r.items()
	r.restore()
	r.orders(1, "48211", true)
	r.newest()
	r.after(time.Second, recovery.StepStarted{Step: "protect/database", Attempt: 1})
	r.after(90*time.Minute, recovery.StepFinished{Step: "protect/database", Outcome: recovery.Outcome{Says: "the base backup base/20261123T133000Z, 12.1 GB, is whole in nearby"}})
	r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimKept{Resource: cluster, Why: "it is live now", OnPurpose: true},
		recovery.ClaimKept{Resource: scratch, Why: "it is live now", OnPurpose: true})
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.CameBack, Says: "came back, 2 of 2 checks held", Report: 4})
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
