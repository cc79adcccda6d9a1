package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

var (
	closed    = recovery.Resource{Kind: recovery.Fenced, ID: "db1/shop"}
	exchanged = recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
)

// switchPlan is a recovery that lets nobody into what is live, counts what it loses,
// exchanges it, and opens it.
func switchPlan() *recovery.Plan {
	plan := shopPlan(recovery.Recovery)
	live := recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop", Name: "db1/shop", Identity: recovery.Identity{"database oid": "1"}}
	plan.Targets = append(plan.Targets, live)
	plan.Confirm = live.Name
	plan.Live = []recovery.Live{{Component: "database", Target: live, Effects: recovery.Effects{
		GoesBack: []string{`database "coupons"`}, Rebuild: []string{"standby db2"}, NotUndone: []string{"e-mails sent"}}}}
	plan.Stages = append(plan.Stages, recovery.Stage{Name: "Switch"})
	before := "check/newest"
	for _, s := range []struct {
		id    string
		phase recovery.Phase
	}{{"fence", recovery.Fence}, {"count", recovery.Settle}, {"exchange", recovery.Exchange}, {"open", recovery.Open}} {
		step := recovery.NewStep("database/"+s.id, "database."+s.id, s.id+" the database", struct{}{})
		step.Stage, step.Component, step.Phase, step.After, step.Writes = 3, "database", s.phase, []string{before}, []recovery.TargetID{live.ID}
		plan.Steps, before = append(plan.Steps, step), step.ID
	}
	return plan
}

// givenBack is the run of such a plan that is stopped after a step, "fence", "count",
// "exchange" or "open", the last of which fails, and gives back what it has made of live but
// for what stays.
func givenBack(t testing.TB, last string, form int, stays ...recovery.Resource) *run {
	r := begin(t, switchPlan())
	r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "known", By: "ops1"},
		recovery.Confirmed{Name: "db1/shop", PlanSHA256: r.started().PlanSHA256, By: "ops1"})
	r.items()
	r.restore()
	r.orders(1, "48211", true)
	r.newest()
	loss := recovery.Loss{Component: "database", Copy: "nearby", Final: true, Commits: 1234,
		From: recovery.Commit{Time: noon.Add(-38 * time.Minute)}, To: recovery.Commit{Time: noon.Add(2 * time.Minute)}}
	outcomes := map[string]recovery.Outcome{
		"fence": {Says: "nobody is in db1/shop"},
		"count": {Says: "1234 commits are lost", Loss: &loss},
		"exchange": {Says: "db1/shop is the database 2 now", Identities: map[recovery.TargetID]recovery.Identity{"live/database": {"database oid": "2"}},
			Old: []recovery.Old{{Component: "database", Target: "live/database", Place: "shop_old"}}, ToDo: []string{"rebuild standby db2"}},
	}
	claims := map[string]recovery.Resource{"fence": closed, "exchange": exchanged}
	held := []recovery.Resource{scratch, cluster}
	for _, id := range []string{"fence", "count", "exchange", "open"} {
		step := "database/" + id
		r.after(time.Second, recovery.StepStarted{Step: step, Attempt: 1})
		if c, ok := claims[id]; ok {
			held = append(held, c)
			r.after(time.Second, recovery.ClaimMade{Step: step, Resource: c})
		}
		if id == "open" {
			r.after(time.Second, recovery.StepFailed{Step: step, Error: "connection refused"}, recovery.Waiting{Step: step, For: recovery.WaitDecision})
			r.after(time.Hour, recovery.Decided{Step: step, Choice: recovery.ChooseStop, By: "ops1"}, recovery.StopAsked{By: "ops1", Reason: "open the database failed"})
			break
		}
		r.after(time.Second, recovery.StepFinished{Step: step, Outcome: outcomes[id]})
		if id == last {
			r.after(time.Minute, recovery.StopAsked{By: "ops1", Reason: "a false alarm"})
			break
		}
	}
	for _, s := range r.plan.Steps[4:] {
		if last != "open" && s.ID > "database/"+last {
			r.after(0, recovery.StepSkipped{Step: s.ID, Why: "the run was stopped"})
		}
	}
	r.after(time.Second, recovery.CleanupStarted{})
	for _, c := range slices.Backward(held) {
		if slices.ContainsFunc(stays, func(s recovery.Resource) bool { return s.Kind == c.Kind }) {
			r.after(time.Second, recovery.ClaimKept{Resource: c, Why: "the server does not answer"})
			continue
		}
		r.after(time.Second, recovery.ClaimReleased{Resource: c})
	}
	r.after(time.Second, recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "open the database: connection refused", Report: form})
	return r
}

// What was given back has lost nothing, is what it was, and leaves nothing to do; what
// could not be given back has. Reports of earlier forms stay what was signed.
func TestMake_givenBack(t *testing.T) {
	for name, c := range map[string]struct {
		last  string
		form  int
		stays []recovery.Resource
		lost  bool
		after bool
		old   bool
	}{
		"the opening fails":       {last: "open", form: recovery.ReportForm},
		"stopped when exchanged":  {last: "exchange", form: recovery.ReportForm},
		"stopped before":          {last: "count", form: recovery.ReportForm},
		"not given back":          {last: "open", form: recovery.ReportForm, stays: []recovery.Resource{exchanged}, lost: true, after: true, old: true},
		"of an earlier version":   {last: "open", form: 3, lost: true, after: true},
		"of an earlier, before":   {last: "count", form: 3, lost: true},
		"of an earlier, not back": {last: "open", form: 3, stays: []recovery.Resource{exchanged}, lost: true, after: true, old: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Make(givenBack(t, c.last, c.form, c.stays...).dir)
			must(t, err)
			rpo, text := r.Objectives.RPO, string(r.Markdown())
			if c.lost {
				if rpo.Verdict != Missed || *rpo.Achieved != recovery.Duration(40*time.Minute) || len(r.Live.Losses) != 1 || r.Live.NothingReplaced {
					t.Errorf("RPO %+v, lost %+v", rpo, r.Live.Losses)
				}
			} else if rpo.Verdict != Unknown || rpo.Achieved != nil || rpo.Says != "nothing live was replaced, so nothing was lost" || len(r.Live.Losses) > 0 || !r.Live.NothingReplaced {
				t.Errorf("RPO %+v, lost %+v", rpo, r.Live.Losses)
			}
			if got := len(r.Live.Targets[0].After) > 0; got != c.after {
				t.Errorf("the target became %v", r.Live.Targets[0].After)
			}
			if got := len(r.Live.ToDo) > 0; got != c.after {
				t.Errorf("to do %q", r.Live.ToDo)
			}
			if got := len(r.Live.Old) > 0; got != c.old {
				t.Errorf("old data %v", r.Live.Old)
			}
			for _, says := range []string{"- lost: ", "rebuild", "went back too", "not undone"} {
				if strings.Contains(text, says) != c.lost {
					t.Errorf("report.md says %q: %v", says, !c.lost)
				}
			}
		})
	}
}

// What status says is lost goes by what was replaced, too.
func TestStatus_givenBack(t *testing.T) {
	for _, last := range []string{"open", "count"} {
		for _, stays := range [][]recovery.Resource{nil, {exchanged}} {
			run := givenBack(t, last, recovery.ReportForm, stays...)
			s := run.state()
			text, nothing := recovery.Status(run.plan, &s, false, run.now), stays == nil || last == "count"
			if strings.Contains(text, "LOST    nothing: nothing live was replaced") != nothing || strings.Contains(text, "1 234 commits") == nothing {
				t.Errorf("stopped after %s, %v stays:\n%s", last, stays, text)
			}
		}
	}
}

// What was given back of one component has lost nothing where another one could not be given
// back: only that one counts.
func TestMake_givenBackInPart(t *testing.T) {
	for form, told := range map[int]bool{3: false, recovery.ReportForm: true} {
		plan := switchPlan()
		live := recovery.Target{ID: "live/files", Component: "files", Place: "web1:/srv/files", Name: "web1/files", Identity: recovery.Identity{"inode": "1"}}
		plan.Targets = append(plan.Targets, live)
		plan.Live = append(plan.Live, recovery.Live{Component: "files", Target: live, Effects: recovery.Effects{Rebuild: []string{"thumbnails"}}})
		for id, phase := range map[string]recovery.Phase{"files/count": recovery.Settle, "files/exchange": recovery.Exchange} {
			step := recovery.NewStep(id, "files.step", id, struct{}{})
			step.Stage, step.Component, step.Phase, step.Writes = 3, "files", phase, []recovery.TargetID{live.ID}
			plan.Steps = append(plan.Steps, step)
		}
		swapped := recovery.Resource{Kind: recovery.Exchanged + " of files", ID: "web1/files"}
		r := begin(t, plan)
		r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-10 * time.Minute), How: "known", By: "ops1"})
		r.items()
		r.restore()
		r.orders(1, "48211", true)
		r.newest()
		do := func(step string, o recovery.Outcome, claims ...recovery.Resource) {
			r.after(time.Second, recovery.StepStarted{Step: step, Attempt: 1})
			for _, c := range claims {
				r.after(time.Second, recovery.ClaimMade{Step: step, Resource: c})
			}
			r.after(time.Second, recovery.StepFinished{Step: step, Outcome: o})
		}
		lost := func(component string, hours time.Duration) recovery.Outcome {
			return recovery.Outcome{Loss: &recovery.Loss{Component: component, Copy: "nearby", Final: true, Commits: 7, From: recovery.Commit{Time: noon.Add(-hours * time.Hour)}, To: recovery.Commit{Time: noon}}}
		}
		do("database/fence", recovery.Outcome{}, closed)
		do("database/count", lost("database", 1))
		do("files/count", lost("files", 5))
		do("database/exchange", recovery.Outcome{}, exchanged)
		do("files/exchange", recovery.Outcome{}, swapped)
		r.after(time.Minute, recovery.StopAsked{By: "ops1", Reason: "a false alarm"}, recovery.StepSkipped{Step: "database/open", Why: "the run was stopped"}, recovery.CleanupStarted{},
			recovery.ClaimReleased{Resource: swapped}, recovery.ClaimKept{Resource: exchanged, Why: "the server does not answer"})
		r.after(time.Second, recovery.RunEnded{Result: recovery.ResultInterrupted, Exit: recovery.WithExceptions, Says: "stopped", Report: form})
		report, err := Make(r.dir)
		must(t, err)
		text, rpo, worst := string(report.Markdown()), report.Objectives.RPO, time.Hour
		if !told {
			worst = 5 * time.Hour
		}
		if len(report.Live.Losses) == 1 != told || report.Live.NothingReplaced || rpo.Achieved == nil || *rpo.Achieved != recovery.Duration(worst) {
			t.Errorf("form %d: RPO %+v, lost %+v", form, rpo, report.Live.Losses)
		}
		if strings.Contains(text, "thumbnails") == told || !strings.Contains(text, "standby db2") || strings.Contains(text, "nothing live of `files` was replaced") != told {
			t.Errorf("form %d: effects\n%s", form, text)
		}
		s := r.state()
		status := recovery.Status(r.plan, &s, false, r.now)
		if got := strings.Count(status, "LOST "); told && (got != 1 || r.plan.LostNothing(&s) || len(r.plan.Lost(&s)) != 1) {
			t.Errorf("status tells of %d losses, and %q\n%s", got, r.plan.Lost(&s), status)
		}
	}
}

// state is what the run's events fold to.
func (r *run) state() recovery.State {
	r.t.Helper()
	events, _, err := readJournal(r.dir, r.plan.Runbook.SHA256)
	must(r.t, err)
	s := recovery.NewState(r.plan)
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	return s
}
