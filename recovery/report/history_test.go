package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

func TestMake_interruptions(t *testing.T) {
	run := resumed(t)
	r, err := Make(run.dir)
	must(t, err)
	if !r.Passed || len(r.Failures) > 0 {
		t.Errorf("not passing because of %q, failures %+v", r.Against, r.Failures)
	}
	if len(r.Interrupted) != 2 {
		t.Fatalf("interruptions %+v", r.Interrupted)
	}
	first, second := r.Interrupted[0], r.Interrupted[1]
	if first.By != "ops2" || first.Rebooted || first.Took != recovery.Duration(10*time.Minute) || !slices.Equal(first.Steps, []string{"database/restore"}) {
		t.Errorf("first %+v", first)
	}
	if !second.Rebooted || second.Took != recovery.Duration(time.Hour) || !slices.Equal(second.Steps, []string{"check/orders"}) {
		t.Errorf("second %+v", second)
	}
	if len(r.CutOff) != 2 || r.CutOff[0].Checkpoint != "12 of 40 tables" || r.CutOff[0].Took != recovery.Duration(30*time.Second) || r.CutOff[1].Attempt != 1 {
		t.Errorf("cut off %+v", r.CutOff)
	}
	if len(r.Redone) != 1 || r.Redone[0].Step != "database/restore" || !strings.Contains(r.Redone[0].Why, "without fsync") {
		t.Errorf("done again %+v", r.Redone)
	}
	wait := r.Waits[1]
	if wait.For != recovery.WaitCredentials || !strings.Contains(wait.Cause, "expired") || wait.Took != recovery.Duration(2*time.Minute) {
		t.Errorf("wait %+v", wait)
	}
	var how []string
	for _, l := range r.Leases {
		how = append(how, l.From+" "+l.How+" "+l.To)
	}
	if want := []string{"ops1 took it up ops2", "ops2 taken over ops1", "ops1 handed over ops2"}; !slices.Equal(how, want) {
		t.Errorf("leases %q", how)
	}
	if r.Leases[1].Reason != "ops2 is at dinner" || len(r.Secrets) != 1 || r.Secrets[0].Name != "AWS_SESSION_TOKEN" {
		t.Errorf("leases %+v, secrets %+v", r.Leases, r.Secrets)
	}
	if len(r.Calls) != 1 || r.Calls[0].Error == "" || r.Watched == nil || *r.Watched {
		t.Errorf("calls %+v, watched %v", r.Calls, r.Watched)
	}
	if r.Stages[1].Interrupted != recovery.Duration(70*time.Minute) || r.Objectives.Exercised.Interrupted != recovery.Duration(70*time.Minute) {
		t.Errorf("stage %+v, exercised %+v", r.Stages[1], r.Objectives.Exercised)
	}
	if a := r.Artifacts[0]; !a.Unfinished || a.Step != "" {
		t.Errorf("artifact %+v", a)
	}
	if a := r.Artifacts[1]; a.Unfinished || a.Step != "database/restore" {
		t.Errorf("artifact %+v", a)
	}
}

// What an interrupted attempt left is recorded: it cannot be changed later.
func TestMake_leftArtifactChanged(t *testing.T) {
	run := resumed(t)
	run.write("artifacts/database-restore.1.log", "nothing to see")
	r, err := Make(run.dir)
	must(t, err)
	if r.Passed || !slices.ContainsFunc(r.Exceptions, func(e Exception) bool { return strings.Contains(e.What, "database-restore.1.log is not what") }) {
		t.Errorf("exceptions %+v", r.Exceptions)
	}
}

// A proof of what did not survive proves nothing.
func TestMake_goneAndNotDoneAgain(t *testing.T) {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.restore()
	r.after(time.Minute, recovery.RunResumed{BootID: "boot-2", Reason: "the host was started again", By: "ops1"},
		recovery.StepGone{Step: "database/restore", Why: "gone"}, recovery.StopAsked{By: "ops1", Reason: "no time"},
		recovery.StepSkipped{Step: "database/restore", Why: "the run was stopped"})
	r.end(recovery.ResultInterrupted, recovery.Interrupted, "stopped")
	made, err := Make(r.dir)
	must(t, err)
	if made.Moment.Components[0].Reached != nil {
		t.Errorf("reached %+v", made.Moment.Components[0].Reached)
	}
}

// An attempt without an end is an interrupted one only where there was an
// interruption.
func TestMake_attemptWithoutEnd(t *testing.T) {
	for name, test := range map[string]struct {
		between recovery.Payload
		want    bool
	}{
		"nothing between":      {recovery.Noted{Text: "hm", By: "ops1"}, false},
		"an interruption":      {recovery.RunResumed{BootID: "boot-1", By: "ops1", Reason: "its runner had died"}, true},
		"what it made is gone": {recovery.StepGone{Step: "check/newest", Why: "it came after database/restore"}, true},
		"a wait": {recovery.Waiting{Step: "check/newest", For: recovery.WaitCredentials, Cause: "expired"},
			true},
	} {
		t.Run(name, func(t *testing.T) {
			run := passed(t, func(p recovery.Payload) []recovery.Payload {
				if s, ok := p.(recovery.StepStarted); ok && s.Step == "check/newest" {
					return []recovery.Payload{s, test.between, recovery.StepStarted{Step: s.Step, Attempt: 2}}
				}
				return []recovery.Payload{p}
			})
			r, err := Make(run.dir)
			must(t, err)
			if r.Passed != test.want {
				t.Errorf("passing is %v: %q", r.Passed, r.Against)
			}
		})
	}
}

// approvedRun is a recovery that was approved, amended and approved again, and
// came back; edit changes what the journal holds of the second approval.
func approvedRun(t *testing.T, edit func(*approval, recovery.Approved) []recovery.Payload) *run {
	a := beginApproval(t)
	a.ask(1)
	a.grant()
	a.amend(a.elsewhere())
	a.ask(2)
	events := []recovery.Payload{a.approved()}
	if edit != nil {
		events = edit(a, a.approved())
	}
	a.after(time.Minute, append(events,
		recovery.StepFinished{Step: "stage2/approval", Outcome: recovery.Outcome{Says: "approved"}},
		recovery.StepStarted{Step: "database/restore", Attempt: 1},
		recovery.ClaimMade{Step: "database/restore", Resource: scratch}, recovery.ClaimMade{Step: "database/restore", Resource: cluster})...)
	a.restored(1)
	a.orders(1, "48211", true)
	a.newest()
	return a.live(recovery.ResultPassed, recovery.CameBack, "came back, 2 of 2 checks held")
}

func TestMake_approvals(t *testing.T) {
	t.Run("holds", func(t *testing.T) {
		r, err := Make(approvedRun(t, nil).dir)
		must(t, err)
		if !r.Passed || len(r.Approvals) != 2 || len(r.Amendments) != 1 {
			t.Fatalf("%q, approvals %+v, amendments %+v", r.Against, r.Approvals, r.Amendments)
		}
		first, second, change := r.Approvals[0], r.Approvals[1], r.Amendments[0]
		if !first.Verified || !first.Voided.Equal(change.At) || !second.Verified || !second.Voided.IsZero() {
			t.Errorf("first %+v, second %+v", first, second)
		}
		if first.PlanSHA256 != r.Plan.SHA256 || change.Before != first.PlanSHA256 || change.After != second.PlanSHA256 || !change.Follows {
			t.Errorf("amendment %+v of the plan %s", change, r.Plan.SHA256)
		}
		if i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == "database/restore" }); r.Steps[i].Says != "restore the dump from offsite" {
			t.Errorf("step %+v", r.Steps[i])
		}
		if c := r.Moment.Components[0]; c.Backup.Copy != "offsite" || c.Backup.Place != "s3://shop-backups-offsite/shop" {
			t.Errorf("moment %+v", c)
		}
	})
	type edit = func(*approval, recovery.Approved) []recovery.Payload
	for name, test := range map[string]struct {
		edit edit
		want string
	}{
		"nobody signed": {func(*approval, recovery.Approved) []recovery.Payload { return nil },
			"an amendment changed the plan after it was signed"},
		"another key": {func(a *approval, p recovery.Approved) []recovery.Payload {
			p.Signature = approve(a.t, makeKey(a.t, "-t", "ed25519"), a.digest)
			return []recovery.Payload{p}
		}, "the approver's key is SHA256:"},
		"another key that the journal names": {func(a *approval, p recovery.Approved) []recovery.Payload {
			p.Fingerprint = "SHA256:other"
			return []recovery.Payload{p}
		}, "the journal names SHA256:other"},
		"the plan before": {func(a *approval, p recovery.Approved) []recovery.Payload {
			p.PlanSHA256 = a.started().PlanSHA256
			p.Signature = approve(a.t, a.key, p.PlanSHA256)
			return []recovery.Payload{p}
		}, "it is of the plan"},
		"the signature of the plan before": {func(a *approval, p recovery.Approved) []recovery.Payload {
			p.Signature = approve(a.t, a.key, a.started().PlanSHA256)
			return []recovery.Payload{p}
		}, "is not over the digest"},
		"another role": {func(a *approval, p recovery.Approved) []recovery.Payload {
			p.Role = "platform on-call"
			return []recovery.Payload{p}
		}, `plan.json names no key of "platform on-call"`},
		"an approver that an amendment chose": {func(a *approval, p recovery.Approved) []recovery.Payload {
			path := makeKey(a.t, "-t", "ed25519")
			step, _ := a.plan.Step("stage2/approval")
			mine := recovery.NewStep(step.ID, step.Kind, step.Says, recovery.ApprovalArgs{Role: "approver", Key: publicKey(a.t, path+".pub")})
			mine.Stage, mine.After = step.Stage, step.After
			a.amend(recovery.Amended{Says: "approve it myself", By: "ops1", Steps: []recovery.Step{mine}})
			a.ask(3)
			a.key = path
			return []recovery.Payload{a.approved()}
		}, "the approver's key is SHA256:"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Make(approvedRun(t, test.edit).dir)
			must(t, err)
			if r.Passed || !slices.ContainsFunc(r.Exceptions, func(e Exception) bool {
				return e.What == "no valid approval of approver stands behind the plan" && strings.Contains(e.Why, test.want)
			}) {
				t.Errorf("exceptions %+v", r.Exceptions)
			}
		})
	}
	t.Run("break-glass", func(t *testing.T) {
		r, err := Make(amended(t).dir)
		must(t, err)
		if e := r.Exceptions[0]; e.What != "went on without the approval of approver" || !strings.Contains(e.Why, "break-glass") || e.By != "ops1" {
			t.Errorf("exceptions %+v", r.Exceptions)
		}
		if e := r.Exceptions[1]; e.What != "left out: check the newest order" || e.By != "ops1" || e.Why != "the shop had no order that day" {
			t.Errorf("exceptions %+v", r.Exceptions)
		}
	})
	t.Run("a rehearsal talks it through", func(t *testing.T) {
		plan := approvedPlan("ssh-ed25519 AAAA")
		plan.Mode, plan.Targets = recovery.Rehearsal, plan.Targets[:1]
		r, err := Make(passedPlan(t, plan, func(p recovery.Payload) []recovery.Payload {
			if s, ok := p.(recovery.StepStarted); ok && s.Step == "database/restore" {
				return []recovery.Payload{recovery.StepStarted{Step: "stage2/approval", Attempt: 1},
					recovery.StepFinished{Step: "stage2/approval", Outcome: recovery.Outcome{Says: "talked through by ops1"}}, p}
			}
			return []recovery.Payload{p}
		}).dir)
		must(t, err)
		if !r.Passed || r.Stages[1].How != "exercised 1, talked through 1" {
			t.Errorf("%q, %+v", r.Against, r.Stages[1])
		}
	})
}

func TestMake_brokenChainOfAmendments(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*recovery.Amended)
		want  string
	}{
		"another change under the same digest": {func(a *recovery.Amended) { a.Why = "because" }, "it comes to the plan"},
		"another plan before":                  {func(a *recovery.Amended) { a.Before = aPlan }, "it is of the plan " + aPlan},
		"another digest":                       {func(a *recovery.Amended) { a.PlanSHA256 = aPlan }, "and names " + aPlan},
	} {
		t.Run(name, func(t *testing.T) {
			run := passed(t, nil)
			change, err := recovery.Amend(run.started().PlanSHA256, recovery.Amended{Says: "note it", By: "ops1"})
			must(t, err)
			test.spoil(&change)
			r, err := Make(passed(t, func(p recovery.Payload) []recovery.Payload {
				if _, ok := p.(recovery.CleanupStarted); ok {
					return []recovery.Payload{change, p}
				}
				return []recovery.Payload{p}
			}).dir)
			must(t, err)
			if r.Passed || r.Amendments[0].Follows || !slices.ContainsFunc(r.Exceptions, func(e Exception) bool {
				return e.What == "the amendment note it does not follow from the plan" && strings.Contains(e.Why, test.want)
			}) {
				t.Errorf("exceptions %+v", r.Exceptions)
			}
		})
	}
}
