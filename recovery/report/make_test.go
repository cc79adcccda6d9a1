package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q is not one sentence", err)
	}
}

// Each row spoils one thing in a run that passes. The report must not pass, and
// must say why.
func TestReport_Passed(t *testing.T) {
	drop := func(match func(recovery.Payload) bool) func(recovery.Payload) []recovery.Payload {
		return func(p recovery.Payload) []recovery.Payload {
			if match(p) {
				return nil
			}
			return []recovery.Payload{p}
		}
	}
	insteadOf := func(match func(recovery.Payload) bool, others ...recovery.Payload) func(recovery.Payload) []recovery.Payload {
		return func(p recovery.Payload) []recovery.Payload {
			if match(p) {
				return others
			}
			return []recovery.Payload{p}
		}
	}
	finished := func(step string) func(recovery.Payload) bool {
		return func(p recovery.Payload) bool { f, ok := p.(recovery.StepFinished); return ok && f.Step == step }
	}
	restored := func(change func(*recovery.Outcome)) func(recovery.Payload) []recovery.Payload {
		return func(p recovery.Payload) []recovery.Payload {
			if f, ok := p.(recovery.StepFinished); ok && f.Step == "database/restore" {
				change(&f.Outcome)
				return []recovery.Payload{f}
			}
			return []recovery.Payload{p}
		}
	}
	ended := func(p recovery.Payload) bool { _, ok := p.(recovery.RunEnded); return ok }
	tests := map[string]struct {
		edit  func(recovery.Payload) []recovery.Payload
		spoil func(*run)
		want  string
	}{
		"a check was skipped": {edit: insteadOf(finished("check/newest"), recovery.StepSkipped{Step: "check/newest", Why: "no address"}),
			want: "not checked: check the newest order"},
		"a check never ended": {edit: drop(finished("check/newest")), want: "not checked: check the newest order"},
		"a check told nothing": {edit: insteadOf(finished("check/newest"), recovery.StepFinished{Step: "check/newest"}),
			want: "not checked: check the newest order"},
		"a check ended well without holding": {edit: insteadOf(finished("check/newest"), recovery.StepFinished{Step: "check/newest",
			Outcome: recovery.Outcome{Check: &recovery.CheckResult{Found: "nothing", Expected: "within 10m"}}}), want: "the check did not hold"},
		"a check was passed over": {edit: insteadOf(finished("check/newest"), recovery.StepFailed{Step: "check/newest", Error: "too old"},
			recovery.Decided{Step: "check/newest", Choice: recovery.ChooseContinue, Reason: "known", By: "ops1"}), want: "check the newest order: too old"},
		"a step never ended": {edit: drop(finished("database/restore")), want: "not done: restore the dump"},
		"no proof of the moment": {edit: restored(func(o *recovery.Outcome) { o.Reached = nil }),
			want: "not checked: that database stands at its moment"},
		"a step has an exception": {edit: restored(func(o *recovery.Outcome) { o.Exceptions = []string{"2 rows were refused"} }),
			want: "2 rows were refused"},
		"an address was live": {edit: restored(func(o *recovery.Outcome) { o.Bindings[0].Scratch = false }), want: "not confined to scratch"},
		"an item is not done": {edit: insteadOf(func(p recovery.Payload) bool { k, ok := p.(recovery.Ticked); return ok && k.Item == 1 },
			recovery.Ticked{Step: "stage1/ticks", Item: 1, How: recovery.TickNotDone, By: "ops1", Note: "no access"}), want: "not done: Payment webhooks"},
		"an item is not decided": {edit: drop(func(p recovery.Payload) bool { k, ok := p.(recovery.Ticked); return ok && k.Item == 1 }),
			want: "not done: Payment webhooks"},
		"a claim was not given back": {edit: drop(func(p recovery.Payload) bool {
			c, ok := p.(recovery.ClaimReleased)
			return ok && c.Resource.ID == scratch.ID
		}),
			want: "directory /var/tmp/comeback/4f2a/database is still there"},
		"a claim was kept on purpose": {edit: insteadOf(func(p recovery.Payload) bool {
			c, ok := p.(recovery.ClaimReleased)
			return ok && c.Resource.ID == scratch.ID
		}, recovery.ClaimKept{Resource: scratch, Why: "kept as asked", OnPurpose: true}), want: "is still there"},
		"others have changed what was to be given back": {edit: insteadOf(func(p recovery.Payload) bool {
			c, ok := p.(recovery.ClaimReleased)
			return ok && c.Resource.ID == scratch.ID
		}, recovery.ClaimReleased{Resource: scratch, Spared: "left as somebody else has written it"}), want: "left as somebody else has written it"},
		"an event is unknown": {edit: func(p recovery.Payload) []recovery.Payload {
			if finished("check/newest")(p) {
				return []recovery.Payload{unheardOf{}, p}
			}
			return []recovery.Payload{p}
		}, want: "teleported/1"},
		"something happened after the end": {spoil: func(r *run) {
			r.after(time.Hour, recovery.StepStarted{Step: "check/newest", Attempt: 2}, recovery.StepFinished{Step: "check/newest", Outcome: recovery.Outcome{
				Check: &recovery.CheckResult{Held: true}}})
		}, want: "after the run's end"},
		"it started twice":     {spoil: func(r *run) { r.after(0, r.started()) }, want: "in a run that has started"},
		"it ended otherwise":   {edit: insteadOf(ended, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: 5, Says: "x"}), want: `ended as "exceptions"`},
		"it ended with a code": {edit: insteadOf(ended, recovery.RunEnded{Result: recovery.ResultPassed, Exit: 5}), want: "exit 5"},
		"it has not ended":     {edit: drop(ended), want: "has not ended"},
		"an artifact changed": {spoil: func(r *run) { r.write("artifacts/database-restore.log", "nothing to see") },
			want: "artifacts/database-restore.log is not what its step recorded"},
		"an artifact is gone": {spoil: func(r *run) { must(t, os.Remove(filepath.Join(r.dir, "artifacts/database-restore.log"))) },
			want: "artifacts/database-restore.log is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run := passed(t, test.edit)
			if test.spoil != nil {
				test.spoil(run)
			}
			r, err := Make(run.dir)
			must(t, err)
			if r.Passed {
				t.Fatal("it passes")
			}
			if !slices.ContainsFunc(r.Against, func(why string) bool { return strings.Contains(why, test.want) }) {
				t.Errorf("%q does not say %q", r.Against, test.want)
			}
			if strings.Contains(r.Headline, "HELD") {
				t.Errorf("headline %q", r.Headline)
			}
		})
	}
	t.Run("nothing is spoilt", func(t *testing.T) {
		r, err := Make(passed(t, nil).dir)
		must(t, err)
		if !r.Passed || len(r.Against) > 0 || r.Headline != "REHEARSED, EVERY CHECK HELD" {
			t.Errorf("%s: %q", r.Headline, r.Against)
		}
	})
	t.Run("a check that the plan left out", func(t *testing.T) {
		plan := shopPlan(recovery.Rehearsal)
		plan.NotExecuted = append(plan.NotExecuted, recovery.NotExecuted{Stage: "Check the copy", What: "uploads have their files", Why: "no address", Check: true})
		r, err := Make(passedPlan(t, plan, nil).dir)
		must(t, err)
		if r.Passed {
			t.Error("it passes")
		}
	})
	t.Run("a runbook without checks says so", func(t *testing.T) {
		plan := shopPlan(recovery.Rehearsal)
		plan.Steps = plan.Steps[:2]
		r, err := Make(passedPlan(t, plan, drop(func(p recovery.Payload) bool {
			s, ok := p.(recovery.StepStarted)
			return finished("check/orders")(p) || finished("check/newest")(p) || ok && strings.HasPrefix(s.Step, "check/")
		})).dir)
		must(t, err)
		if !r.Passed || !strings.Contains(r.Headline, "NO CHECK") {
			t.Errorf("%s: %q", r.Headline, r.Against)
		}
	})
}

func TestMake_filesThatDoNotBelongTogether(t *testing.T) {
	tests := map[string]struct {
		spoil func(*run)
		want  []string
	}{
		"another runbook": {func(r *run) { r.write(RunbookFile, runbookText+"\n") }, []string{RunbookFile, "not the runbook"}},
		"another plan": {func(r *run) {
			b, err := os.ReadFile(filepath.Join(r.dir, PlanFile))
			must(t, err)
			r.write(PlanFile, strings.Replace(string(b), `"number": 12`, `"number": 13`, 1))
		}, []string{PlanFile, "not the plan"}},
		"a plan that is no JSON":    {func(r *run) { r.write(PlanFile, "{") }, []string{PlanFile}},
		"a plan of a later version": {func(r *run) { r.write(PlanFile, `{"comeback_plan":2}`) }, []string{PlanFile, "format 2"}},
		"no journal":                {func(r *run) { must(t, os.Remove(filepath.Join(r.dir, journalFile))) }, []string{journalFile, "missing"}},
		"an empty journal":          {func(r *run) { r.write(journalFile, "") }, []string{journalFile, "started"}},
		"a journal with a hole": {func(r *run) {
			b, err := os.ReadFile(filepath.Join(r.dir, journalFile))
			must(t, err)
			lines := strings.SplitAfter(string(b), "\n")
			r.write(journalFile, strings.Join(slices.Delete(lines, 4, 5), ""))
		}, []string{journalFile, "line 5"}},
		"a torn journal": {func(r *run) {
			b, err := os.ReadFile(filepath.Join(r.dir, journalFile))
			must(t, err)
			r.write(journalFile, string(b[:len(b)-5]))
		}, []string{journalFile, "torn"}},
		"a link for an artifact":        {func(r *run) { must(t, os.Symlink("/etc/passwd", filepath.Join(r.dir, "artifacts/x"))) }, []string{"artifacts/x"}},
		"an artifact with a line break": {func(r *run) { r.write("artifacts/a\nb", "") }, []string{"name that SHA256SUMS cannot hold"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := passed(t, nil)
			test.spoil(r)
			_, err := Make(r.dir)
			wantError(t, err, test.want...)
			if recovery.HintOf(err) == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

func TestMake_objectives(t *testing.T) {
	t.Run("a rehearsal measures no RTO", func(t *testing.T) {
		r, err := Make(passed(t, nil).dir)
		must(t, err)
		o := r.Objectives
		if o.RTO.Achieved != nil || o.RTO.Verdict != NotMeasured || o.Exercised == nil || o.Exercised.Took != recovery.Duration(4*time.Minute+27*time.Second) {
			t.Errorf("%+v, exercised %+v", o.RTO, o.Exercised)
		}
		if !strings.Contains(o.RPO.Says, "19m00 old") {
			t.Errorf("RPO says %q", o.RPO.Says)
		}
		if r.Stages[0].How != string(TalkedThrough) || r.Stages[1].How != string(Exercised) || r.Stages[0].Omitted != 1 {
			t.Errorf("stages %+v", r.Stages)
		}
		if want := noon.Add(90*24*time.Hour + 4*time.Minute + 31*time.Second); !r.NextRehearsal.At.Equal(want) {
			t.Errorf("next rehearsal %v, want %v", r.NextRehearsal.At, want)
		}
	})
	t.Run("a step that says what stood in is no exercise", func(t *testing.T) {
		run := passed(t, func(p recovery.Payload) []recovery.Payload {
			if f, ok := p.(recovery.StepFinished); ok && f.Step == "database/restore" {
				f.Outcome.Facts[recovery.FactStandIn] = "a smaller machine"
				p = f
			}
			return []recovery.Payload{p}
		})
		r, err := Make(run.dir)
		must(t, err)
		if r.Stages[1].How != string(OnStandIn) {
			t.Errorf("stage %+v", r.Stages[1])
		}
	})
	t.Run("a recovery counts from the outage", func(t *testing.T) {
		r, err := Make(forReal(t).dir)
		must(t, err)
		rto := r.Objectives.RTO
		if rto.Achieved == nil || *rto.Achieved != recovery.Duration(14*time.Minute+27*time.Second) || rto.Verdict != Met {
			t.Errorf("%+v", rto)
		}
		if r.Objectives.RPO.Verdict != Unknown || r.Objectives.RPO.Achieved != nil || r.Objectives.Exercised != nil {
			t.Errorf("%+v", r.Objectives)
		}
	})
	t.Run("an outage after the end is no met objective", func(t *testing.T) {
		run := forReal(t)
		run.after(time.Hour, recovery.OutageNoted{Since: run.now.Add(time.Minute), How: "estimated"})
		r, err := Make(run.dir)
		must(t, err)
		if rto := r.Objectives.RTO; rto.Achieved != nil || rto.Verdict != Unknown || !strings.Contains(rto.Says, "begins after the system was open") {
			t.Errorf("%+v", rto)
		}
	})
	t.Run("lost commits whose times go backwards by more than a moment tell no span", func(t *testing.T) {
		for span, want := range map[time.Duration]string{-time.Minute: Unknown, -20 * time.Microsecond: Met, time.Minute: Met} {
			plan := shopPlan(recovery.Recovery)
			plan.Live = []recovery.Live{{Component: "database"}}
			plan.Steps[1].Phase = recovery.Exchange
			loss := recovery.Loss{Component: "database", Final: true, Commits: 2, From: recovery.Commit{Time: noon.Add(-span)}, To: recovery.Commit{Time: noon}}
			run := passedPlan(t, plan, func(p recovery.Payload) []recovery.Payload {
				if f, ok := p.(recovery.StepFinished); ok && f.Step == "database/restore" {
					f.Outcome.Loss = &loss
					p = f
				}
				return []recovery.Payload{p}
			})
			r, err := Make(run.dir)
			must(t, err)
			if rpo := r.Objectives.RPO; rpo.Verdict != want || strings.Contains(rpo.Says, "clock was put back") != (want == Unknown) || rpo.Achieved != nil && *rpo.Achieved != recovery.Duration(max(0, span)) {
				t.Errorf("%s: %+v", span, rpo)
			}
		}
	})
	t.Run("a recovery beside the live system has opened nothing", func(t *testing.T) {
		run := passedPlan(t, shopPlan(recovery.Recovery), func(p recovery.Payload) []recovery.Payload {
			if _, ok := p.(recovery.RunStarted); ok {
				return []recovery.Payload{p, recovery.OutageNoted{Since: noon.Add(-time.Hour), How: "known"}}
			}
			return []recovery.Payload{p}
		})
		r, err := Make(run.dir)
		must(t, err)
		if rto := r.Objectives.RTO; rto.Achieved != nil || rto.Verdict != Unknown || !strings.Contains(rto.Says, "live target") {
			t.Errorf("%+v", rto)
		}
	})
	t.Run("a run that failed makes the next rehearsal due", func(t *testing.T) {
		r, err := Make(failed(t).dir)
		must(t, err)
		if !r.NextRehearsal.At.Equal(r.Times.Ended) {
			t.Errorf("%+v", r.NextRehearsal)
		}
	})
	t.Run("the outage can be amended after the end", func(t *testing.T) {
		run := forReal(t)
		run.after(time.Hour, recovery.OutageNoted{Since: noon.Add(-30 * time.Minute), How: "known"})
		r, err := Make(run.dir)
		must(t, err)
		if !r.Passed || r.Objectives.RTO.Verdict != Missed {
			t.Errorf("%q, %+v", r.Against, r.Objectives.RTO)
		}
	})
}

func TestMake_history(t *testing.T) {
	r, err := Make(withExceptions(t).dir)
	must(t, err)
	if len(r.Failures) != 2 || r.Failures[0].Check.Found != "0" || r.Failures[1].Attempt != 2 {
		t.Errorf("failures %+v", r.Failures)
	}
	if len(r.Decisions) != 2 || r.Decisions[1].Choice != recovery.ChooseContinue {
		t.Errorf("decisions %+v", r.Decisions)
	}
	if len(r.Waits) != 3 || r.Waits[1].Took != recovery.Duration(40*time.Second) {
		t.Errorf("waits %+v", r.Waits)
	}
	if len(r.Exceptions) != 2 || r.Exceptions[0].By != "ops1" || r.Exceptions[1].Number != 2 {
		t.Errorf("exceptions %+v", r.Exceptions)
	}
	r, err = Make(interrupted(t).dir)
	must(t, err)
	if len(r.Interrupted) != 1 || r.Interrupted[0].Took != recovery.Duration(10*time.Minute) || !r.Interrupted[0].Rebooted {
		t.Errorf("interruptions %+v", r.Interrupted)
	}
	if len(r.Artifacts) != 1 || r.Artifacts[0].Step != "" {
		t.Errorf("artifacts %+v", r.Artifacts)
	}
}
