package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// sideBySide is a rehearsal in which two checks wait for a person for the same hour: one is
// passed over, or the run is stopped while both wait.
func sideBySide(t testing.TB, stopped bool, form int) *run {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	r.restore()
	r.orders(1, "0", false)
	r.after(time.Second, recovery.StepStarted{Step: "check/newest", Attempt: 1})
	r.after(time.Second, recovery.StepFailed{Step: "check/newest", Error: "no rows"}, recovery.Waiting{Step: "check/newest", For: recovery.WaitDecision})
	r.after(20*time.Minute, recovery.RunResumed{PID: 4712, BootID: "boot-1", Reason: "its runner had died", By: "ops1"})
	r.after(40*time.Minute, recovery.Noted{Text: "we look", By: "ops1"})
	ended := recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "2 exceptions", Report: form}
	if stopped {
		r.after(0, recovery.StopAsked{By: "ops1", Reason: "enough"})
		ended.Result, ended.Exit, ended.Says = recovery.ResultInterrupted, recovery.Interrupted, "stopped: enough"
	} else {
		for _, step := range []string{"check/orders", "check/newest"} {
			r.after(0, recovery.Decided{Step: step, Choice: recovery.ChooseContinue, Reason: "they were cleared", By: "ops1"})
		}
	}
	r.after(time.Second, recovery.CleanupStarted{})
	r.after(10*time.Minute, recovery.ClaimReleased{Resource: cluster}, recovery.ClaimReleased{Resource: scratch})
	r.after(time.Second, ended)
	return r
}

// People cannot have been waited for, nor the run have been left alone, for longer than what
// that is said of took.
func TestMake_waited(t *testing.T) {
	runs := map[string]func() *run{
		"passed over":      func() *run { return sideBySide(t, false, recovery.ReportForm) },
		"stopped":          func() *run { return sideBySide(t, true, recovery.ReportForm) },
		"stopped at open":  func() *run { return givenBack(t, "open", recovery.ReportForm) },
		"stopped when not": func() *run { return givenBack(t, "count", recovery.ReportForm) },
	}
	for name, build := range map[string]func(testing.TB) *run{"exceptions": withExceptions, "resumed": resumed, "amended": amended, "failed": failed} {
		runs[name] = func() *run { return build(t).asOfNow() }
	}
	for name, build := range runs {
		t.Run(name, func(t *testing.T) {
			r, err := Make(build().dir)
			must(t, err)
			if r.Format != recovery.ReportForm {
				t.Fatalf("the form is %d", r.Format)
			}
			for _, s := range r.Stages {
				if s.Waited > s.Took || s.Interrupted > s.Took {
					t.Errorf("stage %s took %s, waited %s, was interrupted %s", s.Name, took(s.Took), took(s.Waited), took(s.Interrupted))
				}
			}
			for _, s := range r.Steps {
				if s.Waited > s.Took || s.Interrupted > s.Took {
					t.Errorf("step %s took %s, waited %s, was interrupted %s", s.ID, took(s.Took), took(s.Waited), took(s.Interrupted))
				}
			}
			if e := r.Objectives.Exercised; e != nil && (e.Waited > e.Took || e.Interrupted > e.Took || e.Took > between(r.Times.Started, r.Times.Ended)) {
				t.Errorf("it took %s, waited %s, was interrupted %s", took(e.Took), took(e.Waited), took(e.Interrupted))
			}
		})
	}
	hour := recovery.Duration(time.Hour)
	for _, stopped := range []bool{false, true} {
		r, err := Make(sideBySide(t, stopped, recovery.ReportForm).dir)
		must(t, err)
		newest := r.Steps[slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == "check/newest" })]
		checks := r.Stages[2]
		if newest.Waited != hour || newest.Took != hour+recovery.Duration(time.Second) || checks.Waited != hour+recovery.Duration(2*time.Second) || checks.Interrupted != hour/3 {
			t.Errorf("stopped %v: it waited %s of %s, its stage %s of %s, interrupted %s", stopped, took(newest.Waited), took(newest.Took), took(checks.Waited), took(checks.Took), took(checks.Interrupted))
		}
		if e := r.Objectives.Exercised; e.Waited != hour+recovery.Duration(52*time.Second) || e.Interrupted != hour/3 {
			t.Errorf("stopped %v: in all it waited %s, was interrupted %s", stopped, took(e.Waited), took(e.Interrupted))
		}
		earlier, err := Make(sideBySide(t, stopped, 3).dir)
		must(t, err)
		if s := earlier.Stages[2]; s.Waited <= s.Took {
			t.Errorf("stopped %v: the stage of an earlier form took %s and waited %s", stopped, took(s.Took), took(s.Waited))
		}
	}
}

// asOfNow is the run as this version would have ended it.
func (r *run) asOfNow() *run {
	r.t.Helper()
	events, _, err := readJournal(r.dir, r.plan.Runbook.SHA256)
	must(r.t, err)
	path := filepath.Join(r.dir, journalFile)
	must(r.t, r.journal.Close())
	must(r.t, os.Remove(path))
	r.journal, err = journal.Create(path, r.plan.Runbook.SHA256)
	must(r.t, err)
	for _, e := range events {
		if p, ok := e.Payload(); ok {
			if end, ok := p.(recovery.RunEnded); ok {
				end.Report = recovery.ReportForm
				e, err = recovery.NewEvent(e.At, end)
				must(r.t, err)
			}
		}
		_, err := r.journal.Append(e)
		must(r.t, err)
	}
	return r
}

// A copy that told of nothing for two hours may have been at work for as long: how long
// nobody ran the run is at most what is told.
func TestMarkdown_atMost(t *testing.T) {
	for form, want := range map[int]bool{3: false, recovery.ReportForm: true} {
		r, err := Make(sideBySide(t, false, form).dir)
		must(t, err)
		text := string(r.Markdown())
		if strings.Contains(text, "of it at most 20m00 interrupted") != want || strings.Contains(text, "waiting for people, at most 20m00 interrupted") != want || strings.Contains(text, "waiting for people, 20m00 interrupted") == want {
			t.Errorf("form %d: %s", form, text)
		}
	}
}

// Where the clock was put back no time is known, and the report does not pass.
func TestMake_clockPutBack(t *testing.T) {
	says := "the clock was put back by 1h00m between events "
	for name, c := range map[string]struct {
		mode recovery.Mode
		form int
		by   time.Duration
		told bool
	}{
		"a recovery":              {recovery.Recovery, recovery.ReportForm, time.Hour, true},
		"a rehearsal":             {recovery.Rehearsal, recovery.ReportForm, time.Hour, true},
		"adjusted":                {recovery.Recovery, recovery.ReportForm, time.Second, false},
		"of an earlier version":   {recovery.Recovery, 3, time.Hour, false},
		"a rehearsal, of earlier": {recovery.Rehearsal, 3, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			plan := shopPlan(c.mode)
			if c.mode == recovery.Recovery {
				plan.Targets = append(plan.Targets, recovery.Target{ID: "live/database", Component: "database", Place: "db1:/srv/pg/shop"})
				plan.Steps[1].Writes = append(plan.Steps[1].Writes, "live/database")
			}
			r := begin(t, plan)
			r.after(0, r.started(), recovery.OutageNoted{Since: noon.Add(-2 * time.Hour), How: "known", By: "ops1"})
			r.items()
			r.restore()
			r.now = r.now.Add(-c.by - time.Second) // after adds the second
			r.orders(1, "48211", true)
			r.newest()
			r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimReleased{Resource: cluster}, recovery.ClaimReleased{Resource: scratch})
			r.after(time.Second, recovery.RunEnded{Result: recovery.ResultPassed, Says: "came back", Report: c.form})
			r.after(-2*time.Hour, recovery.Noted{Text: "the clock is right now", By: "ops1"})
			report, err := Make(r.dir)
			must(t, err)
			if got := slices.ContainsFunc(report.Exceptions, func(e Exception) bool { return strings.HasPrefix(e.What, says) }); got != c.told || report.Passed && c.told || len(report.Exceptions) > 1 {
				t.Errorf("exceptions %+v, passing %v", report.Exceptions, report.Passed)
			}
			if rto := report.Objectives.RTO; c.mode == recovery.Recovery && (strings.HasPrefix(rto.Says, says) != c.told || (rto.Achieved == nil) != c.told) {
				t.Errorf("RTO %+v", rto)
			}
			if e := report.Objectives.Exercised; e != nil && (strings.HasPrefix(e.Unknown, says) != c.told || (e.Took == 0) != c.told || strings.Contains(string(report.Markdown()), "| exercised time | – | unknown |") != c.told) {
				t.Errorf("exercised %+v", e)
			}
		})
	}
}

// A step of the clock that an event tells leaves times unknown in either direction; the report
// of a run that an earlier version has ended is as that made it.
func TestMake_clockStepped(t *testing.T) {
	for _, by := range []time.Duration{2 * time.Hour, -30 * time.Second} {
		for form, told := range map[int]bool{4: false, recovery.ReportForm: true} {
			report, err := Make(steppedBy(t, by, form).dir)
			must(t, err)
			says := recovery.ClockStepped{By: recovery.Duration(by)}.Says() + " between events "
			if report.Format != form || len(report.Exceptions) != 1 || report.Passed || strings.HasPrefix(report.Exceptions[0].What, says) != told || (len(report.Unknown) == 0) != told {
				t.Errorf("form %d, made as %d: exceptions %+v, unknown %q", form, report.Format, report.Exceptions, report.Unknown)
			}
			if e := report.Objectives.Exercised; strings.HasPrefix(e.Unknown, says) != told || (e.Took == 0) != told {
				t.Errorf("form %d: exercised %+v", form, e)
			}
		}
	}
}

// Where the clock was put back inside of a stage, neither what it took is known, nor what any
// step did in which it was; later rehearsals are not compared with the run, nor do they expect
// anything of it. Whatever does not hold the step back is known.
func TestMake_clockPutBackInAStage(t *testing.T) {
	for _, inside := range []string{"database/restore", "check/orders", "between checks", "a wait", "an interruption"} {
		for form, told := range map[int]bool{3: false, recovery.ReportForm: true} {
			plan := shopPlan(recovery.Rehearsal)
			plan.Earlier = []recovery.Earlier{{Run: "1c2d", At: noon.AddDate(0, -3, 0), Took: recovery.Duration(10 * time.Minute), RTO: plan.RTO}}
			r := begin(t, plan)
			back := func(here string) {
				if inside == here {
					r.now = r.now.Add(-time.Hour)
				}
			}
			r.after(0, r.started())
			r.items()
			r.edit = func(p recovery.Payload) []recovery.Payload {
				if _, ok := p.(recovery.StepCheckpoint); ok {
					back("database/restore")
				}
				return []recovery.Payload{p}
			}
			r.restore()
			r.edit = nil
			r.after(time.Second, recovery.StepStarted{Step: "check/orders", Attempt: 1})
			back("check/orders")
			r.after(time.Second, recovery.StepFailed{Step: "check/orders", Error: "found 0"}, recovery.Waiting{Step: "check/orders", For: recovery.WaitDecision})
			back("an interruption")
			r.after(time.Minute, recovery.RunResumed{PID: 4712, BootID: "boot-1", Reason: "its runner had died", By: "ops1"})
			r.after(time.Second, recovery.Noted{Text: "we look", By: "ops1"})
			back("a wait")
			r.after(time.Minute, recovery.Decided{Step: "check/orders", Choice: recovery.ChooseContinue, Reason: "they were cleared", By: "ops1"})
			back("between checks")
			r.newest()
			r.after(time.Second, recovery.CleanupStarted{}, recovery.ClaimReleased{Resource: cluster}, recovery.ClaimReleased{Resource: scratch})
			r.after(time.Second, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "exceptions", Report: form})
			report, err := Make(r.dir)
			must(t, err)
			text := string(report.Markdown())
			if told && strings.Contains(text, "| 0% of ") || strings.Contains(text, "What this one took is not known: the clock was put back by ") != told {
				t.Errorf("%s, form %d: the trend\n%s", inside, form, text)
			}
			if len(Rehearsals([]*Report{report})) > 0 == told {
				t.Errorf("%s, form %d: a later plan compares itself with %+v", inside, form, Rehearsals([]*Report{report}))
			}
			if !told {
				continue
			}
			for digit := range 10 {
				if strings.Contains(text, fmt.Sprintf(" -%d", digit)) {
					t.Errorf("%s: something took less than nothing\n%s", inside, text)
				}
			}
			for i, s := range report.Stages {
				holds := i == 1 && inside == "database/restore" || i == 2 && inside != "database/restore"
				if (s.Unknown != "") != holds || holds && s.Took+s.Waited+s.Interrupted != 0 || !holds && s.Took <= 0 {
					t.Errorf("%s: stage %s took %s, unknown because %q", inside, s.Name, took(s.Took), s.Unknown)
				}
			}
			for _, s := range report.Steps {
				holds := s.ID == inside || s.ID == "check/orders" && (inside == "a wait" || inside == "an interruption")
				if (s.Unknown != "") != holds || holds && s.Took+s.Waited+s.Interrupted != 0 || !holds && s.Took <= 0 {
					t.Errorf("%s: step %s took %s, unknown because %q", inside, s.ID, took(s.Took), s.Unknown)
				}
			}
			for _, w := range report.Waits {
				holds := w.Step == "check/orders" && (inside == "a wait" || inside == "an interruption")
				if (w.Unknown != "") != holds || (w.Took == 0) != holds {
					t.Errorf("%s: a wait in %s took %s, unknown because %q", inside, w.Step, took(w.Took), w.Unknown)
				}
			}
			if b := report.Interrupted[0]; (b.Unknown != "") != (inside == "an interruption") || b.Took < 0 {
				t.Errorf("%s: the interruption took %s, unknown because %q", inside, took(b.Took), b.Unknown)
			}
		}
	}
}

// Everything that was said of when the outage began is told, by whom and when.
func TestMarkdown_outages(t *testing.T) {
	for form, want := range map[int]int{3: 0, recovery.ReportForm: 3} {
		r := givenBack(t, "count", form)
		r.after(time.Minute, recovery.OutageNoted{How: "unknown", By: "ops3"})
		r.after(time.Minute, recovery.OutageNoted{Since: noon.Add(-3 * time.Minute), How: "estimated", By: "ops2"})
		report, err := Make(r.dir)
		must(t, err)
		if len(report.Outages) != want || !report.Times.Outage.Equal(noon.Add(-3*time.Minute)) {
			t.Errorf("form %d: %+v", form, report.Outages)
		}
		text := string(report.Markdown())
		for _, row := range []string{
			"| 2026-11-23 12:00:00 UTC | 2026-11-23 11:50:00 UTC | known | `ops1` |",
			", after the run had ended | unknown | unknown | `ops3` |",
			", after the run had ended | 2026-11-23 11:57:00 UTC | estimated | `ops2` |",
		} {
			if strings.Contains(text, row) != (want > 0) {
				t.Errorf("form %d: %q: %v\n%s", form, row, want == 0, text)
			}
		}
	}
}
