package tui

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/report"
)

// The screen says of the time that a recovery took what its signed report says.
func TestObjectives_asTheReport(t *testing.T) {
	done := func(f *fakeDesk, at time.Duration, steps ...string) {
		for _, id := range steps {
			f.session.add(at, recovery.StepStarted{Step: id, Attempt: 1}, recovery.StepFinished{Step: id, Outcome: recovery.Outcome{Says: "done"}})
		}
	}
	before := []string{"stop/ticks", "database/copy", "database/replay", "database/prove", "check/orders"}
	opens := func(f *fakeDesk, at time.Duration) {
		done(f, at, "database/exchange", "database/open", "database/protect")
	}
	ends := func(f *fakeDesk, at time.Duration, result recovery.Result, form int) {
		f.session.add(at, recovery.CleanupStarted{}, recovery.RunEnded{Result: result, Report: form})
	}
	leavesOut := func(f *fakeDesk) {
		done(f, 8*time.Minute, before...)
		skip, err := recovery.Amend(f.session.state.PlanSHA256, recovery.Amended{Says: "skip carts are there", Why: "there were none before", By: "ops1", Skip: []string{"check/carts"}})
		if err != nil {
			t.Fatal(err)
		}
		f.session.add(9*time.Minute, skip)
		opens(f, 10*time.Minute)
	}
	for name, c := range map[string]struct {
		play    func(*fakeDesk)
		verdict string
		says    string
		aside   string
	}{
		"all is done": {func(f *fakeDesk) {
			done(f, 8*time.Minute, append(before, "check/carts")...)
			opens(f, 12*time.Minute)
			ends(f, 13*time.Minute, recovery.ResultPassed, recovery.ReportForm)
		}, report.Met, "20m00, from 09:52:00 (known) to 10:12:00, all decided", "down 20m00 RTO 30m met"},
		"passed over at last": {func(f *fakeDesk) {
			done(f, 8*time.Minute, before...)
			opens(f, 10*time.Minute)
			f.session.add(11*time.Minute, recovery.StepStarted{Step: "check/carts", Attempt: 1}, recovery.StepFailed{Step: "check/carts", Error: "no rows"},
				recovery.Waiting{Step: "check/carts", For: recovery.WaitDecision})
			f.session.add(25*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseContinue, Reason: "they are rebuilt", By: "ops1"})
			ends(f, 26*time.Minute, recovery.ResultExceptions, recovery.ReportForm)
		}, report.Missed, "MISSED: 33m00, from 09:52:00 (known) to 10:25:00, all decided", "down 33m00 RTO 30m MISSED"},
		"stopped while it waited": {func(f *fakeDesk) {
			f.session.add(time.Minute, recovery.StepStarted{Step: "stop/ticks", Attempt: 1}, recovery.Waiting{Step: "stop/ticks", For: recovery.WaitTicks})
			f.session.add(4*time.Minute, recovery.StopAsked{By: "ops1", Reason: "a false alarm"})
			for i := range f.session.plan.Steps {
				f.session.add(4*time.Minute, recovery.StepSkipped{Step: f.session.plan.Steps[i].ID, Why: "the run was stopped"})
			}
			ends(f, 5*time.Minute, recovery.ResultInterrupted, recovery.ReportForm)
		}, report.Unknown, "unknown: not every step was done", "down 13m00 RTO 30m not reached"},
		"the clock was put back": {func(f *fakeDesk) {
			done(f, 8*time.Minute, append(before, "check/carts")...)
			opens(f, 2*time.Minute)
			ends(f, 3*time.Minute, recovery.ResultExceptions, recovery.ReportForm)
		}, report.Unknown, "unknown: the clock was put back by 6m00 between events 14 and 15", "down 16m00 RTO 30m unknown"},
		"the clock was put back while somebody decided": {func(f *fakeDesk) {
			done(f, 8*time.Minute, before...)
			f.session.add(8*time.Minute, recovery.StepStarted{Step: "check/carts", Attempt: 1}, recovery.StepFailed{Step: "check/carts", Error: "no rows"},
				recovery.Waiting{Step: "check/carts", For: recovery.WaitDecision})
			f.session.add(2*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseContinue, Reason: "they are rebuilt", By: "ops1"})
			opens(f, 3*time.Minute)
			ends(f, 4*time.Minute, recovery.ResultExceptions, recovery.ReportForm)
		}, report.Unknown, "unknown: the clock was put back by 6m00 between events 15 and 16", "down 16m00 RTO 30m unknown"},
		"left out by an amendment": {func(f *fakeDesk) {
			leavesOut(f)
			ends(f, 11*time.Minute, recovery.ResultExceptions, recovery.ReportForm)
		}, report.Met, "18m00, from 09:52:00 (known) to 10:10:00, all decided", "down 18m00 RTO 30m met"},
		"left out, in a run of an earlier version": {func(f *fakeDesk) {
			leavesOut(f)
			ends(f, 11*time.Minute, recovery.ResultExceptions, 2)
		}, report.Unknown, "unknown: not every step was done", "down 19m00 RTO 30m unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			desk := shopDesk()
			forReal(desk)
			runbook := []byte("# shop\n")
			p := desk.session.plan
			p.Runbook.SHA256 = sum(runbook)
			plan := prepared(p)
			desk.session.add(0, recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: plan.Digest, RunbookSHA256: p.Runbook.SHA256},
				recovery.OutageNoted{Since: ten.Add(-8 * time.Minute), How: outageKnown})
			c.play(desk)

			a := folded(p, func(f *fakeDesk) { f.session.events = desk.session.events })
			var text strings.Builder
			for _, l := range a.objectives(zone, 200) {
				for _, part := range l {
					text.WriteString(part.text)
				}
			}
			if !strings.Contains(text.String(), c.says) {
				t.Errorf("the screen does not say %q: %q", c.says, text.String())
			}
			if aside := a.timing(ten.Add(time.Hour)); aside != c.aside {
				t.Errorf("line 1 says %q, want %q", aside, c.aside)
			}

			r, err := report.Make(runDirectory(t, plan.Bytes, runbook, desk.session.events))
			if err != nil {
				t.Fatal(err)
			}
			stagesAsTheReport(t, a, r)
			rto := r.Objectives.RTO
			if rto.Verdict != c.verdict {
				t.Errorf("the report says %q, want %q", rto.Verdict, c.verdict)
			}
			if rto.Verdict == report.Unknown && c.says != "unknown: "+rto.Says {
				t.Errorf("the report says %q", rto.Says)
			}
			if rto.Achieved != nil && !strings.Contains(c.says, elapsed(time.Duration(*rto.Achieved))) {
				t.Errorf("the report says %s", time.Duration(*rto.Achieved))
			}
		})
	}
}

// The screen says of what a recovery lost what its signed report says.
func TestObjectives_lostAsTheReport(t *testing.T) {
	database := func(lost time.Duration, commits int64) *recovery.Loss {
		from := ten.Add(-2 * time.Hour)
		return &recovery.Loss{Component: "database", Commits: commits, From: recovery.Commit{Time: from}, To: recovery.Commit{Time: from.Add(lost)}, Final: true}
	}
	uploads := func(lost time.Duration) *recovery.Loss {
		since := ten.Add(-2 * time.Hour)
		return &recovery.Loss{Component: "uploads", Files: &recovery.FilesLoss{Since: since, Newest: since.Add(lost), Added: 3}, Final: true}
	}
	open := database(time.Minute, 12)
	open.Final = false
	partly := database(time.Minute, 12)
	partly.AtLeast = true
	for name, c := range map[string]struct {
		losses  []*recovery.Loss
		verdict string
		says    string // by the screen
		k       look
		tells   string // by the report
	}{
		"met":                             {[]*recovery.Loss{database(time.Minute, 12), uploads(2 * time.Minute)}, report.Met, "2m00 of uploads, from 08:00:00 to 08:02:00, 3 files", good, "12 commits"},
		"missed":                          {[]*recovery.Loss{database(time.Hour, 389), uploads(0)}, report.Missed, "MISSED: 1h00m of database, from 08:00:00 to 09:00:00, 389 commits", bad, "389 commits"},
		"the server's clock was put back": {[]*recovery.Loss{database(-10*time.Minute, 41), uploads(0)}, report.Unknown, "unknown: the clock of database was put back, so that the last of 41 commits", warn, "its clock was put back"},
		"put back, and the other missed":  {[]*recovery.Loss{database(-10*time.Minute, 41), uploads(time.Hour)}, report.Missed, "MISSED: 1h00m of uploads, from 08:00:00 to 09:00:00, 3 files; AT LEAST, the clock of database was put back", bad, "its clock was put back"},
		"one is not counted":              {[]*recovery.Loss{database(time.Minute, 12)}, report.Unknown, "1m00 of database, from 08:00:00 to 08:01:00, 12 commits; AT LEAST, nothing counted what uploads lost", warn, "uploads: nothing counted what was lost"},
		"one is not counted, one missed":  {[]*recovery.Loss{database(time.Hour, 389)}, report.Missed, "MISSED: 1h00m of database, from 08:00:00 to 09:00:00, 389 commits; AT LEAST, nothing counted what uploads lost", bad, "uploads: nothing counted what was lost"},
		"none is counted":                 {nil, report.Unknown, "unknown: nothing counted what database lost; nothing counted what uploads lost", warn, "nothing counted what was lost"},
		"not final":                       {[]*recovery.Loss{open, uploads(0)}, report.Unknown, "1m00 of database, from 08:00:00 to 08:01:00, 12 commits; AT LEAST, it was not final when it was counted", warn, "was not final"},
		"partly read":                     {[]*recovery.Loss{partly, uploads(0)}, report.Unknown, "AT LEAST, not of all that database lost it is known when it was written", warn, "at least 12 commits"},
	} {
		t.Run(name, func(t *testing.T) {
			desk := shopDesk()
			forReal(desk)
			runbook := []byte("# shop\n")
			p := desk.session.plan
			p.RPO = recovery.Duration(5 * time.Minute)
			p.Live = append(p.Live, recovery.Live{Component: "uploads"})
			p.Runbook.SHA256 = sum(runbook)
			plan := prepared(p)
			desk.session.add(0, recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: plan.Digest, RunbookSHA256: p.Runbook.SHA256})
			for i, step := range []string{"database/exchange", "database/open"} {
				outcome := recovery.Outcome{Says: "done"}
				if i < len(c.losses) {
					outcome.Loss = c.losses[i]
				}
				desk.session.add(time.Minute, recovery.StepStarted{Step: step, Attempt: 1}, recovery.StepFinished{Step: step, Outcome: outcome})
			}
			desk.session.add(2*time.Minute, recovery.CleanupStarted{}, recovery.RunEnded{Result: recovery.ResultExceptions, Report: recovery.ReportForm})

			text, k := folded(p, func(f *fakeDesk) { f.session.events = desk.session.events }).achievedRPO(ten.Location())
			if !strings.Contains(text, c.says) || k != c.k {
				t.Errorf("the screen says %q, and not %q; or not as it should look", text, c.says)
			}
			r, err := report.Make(runDirectory(t, plan.Bytes, runbook, desk.session.events))
			if err != nil {
				t.Fatal(err)
			}
			rpo := r.Objectives.RPO
			if rpo.Verdict != c.verdict || !strings.Contains(rpo.Says, c.tells) {
				t.Errorf("the report says %s: %q", rpo.Verdict, rpo.Says)
			}
			if (rpo.Verdict == report.Missed) != strings.HasPrefix(text, "MISSED: ") || (rpo.Verdict == report.Met) != (k == good) {
				t.Errorf("the screen says %q, the report %s: %q", text, rpo.Verdict, rpo.Says)
			}
		})
	}
}

// stagesAsTheReport holds what stages took on the screen of a result against its report: what is
// unknown there is unknown here.
func stagesAsTheReport(t *testing.T, a *attached, r *report.Report) {
	t.Helper()
	var screen strings.Builder
	for _, l := range (&resultScreen{run: a}).times(200) {
		screen.WriteString(l.words() + "\n")
	}
	unknown := 0
	for i, st := range a.state.Stages {
		if st.Started.IsZero() || st.Decided.IsZero() {
			continue
		}
		spent, back := a.state.StageSpent(i, ten.Add(time.Hour))
		if (back != nil) != (r.Stages[i].Unknown != "") || back != nil && r.Stages[i].Unknown != back.Says() || back == nil && time.Duration(r.Stages[i].Took) != spent {
			t.Errorf("stage %d took %s, %v, and in the report %s, %q", i+1, spent, back, time.Duration(r.Stages[i].Took), r.Stages[i].Unknown)
		}
		if back != nil {
			unknown++
		}
	}
	if rows := strings.Count(screen.String(), " "+unknownSpan+" "); rows != unknown {
		t.Errorf("%d stages are unknown, and the screen says so of %d:\n%s", unknown, rows, screen.String())
	}
	if says := strings.Count(screen.String(), unknownSpan+": the clock was put back by "); says != len(a.state.ClockSteps) {
		t.Errorf("the screen says of %d steps back of the clock why nothing is known:\n%s", says, screen.String())
	}
}

// What an ended run has given back is not told as lost, nor as left to do.
func TestResult_givenBack(t *testing.T) {
	exchange := recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	for name, ends := range map[string]recovery.Payload{
		"given back": recovery.ClaimReleased{Resource: exchange},
		"stuck":      recovery.ClaimKept{Resource: exchange, Why: "the server does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			desk := shopDesk()
			forReal(desk)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			startReal(d, desk)
			restored(desk)
			desk.session.add(9*time.Minute, recovery.StepStarted{Step: "database/exchange", Attempt: 1}, recovery.ClaimMade{Step: "database/exchange", Resource: exchange},
				recovery.StepFinished{Step: "database/exchange", Outcome: recovery.Outcome{Says: "exchanged", ToDo: []string{"merge 41 orders"},
					Loss: &recovery.Loss{Component: "database", Commits: 389, From: recovery.Commit{Time: ten.Add(-7 * time.Hour)}, To: recovery.Commit{Time: ten.Add(-6 * time.Hour)}, Final: true}}})
			stepFails(d, desk, "database/open")
			desk.session.add(10*time.Minute, recovery.Decided{Step: "database/open", Choice: recovery.ChooseStop, By: "ops1"}, recovery.StopAsked{By: "ops1", Reason: "let users in failed"},
				recovery.CleanupStarted{}, ends)
			cleaned(desk, 11*time.Minute, recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "let users in: connection refused", Report: recovery.ReportForm})
			d.clock = ten.Add(12 * time.Minute)
			d.sees("FAILED")
			d.sees("RPO")
			screen := strings.Join(strings.Fields(d.screen()), " ")
			for _, says := range []string{"merge 41 orders", "389 commits", "LOST"} {
				if strings.Contains(screen, says) != (name == "stuck") {
					t.Errorf("it says %q: %v\n%s", says, name != "stuck", d.screen())
				}
			}
			if strings.Contains(screen, "nothing live was replaced, so nothing was lost") != (name == "given back") {
				t.Errorf("the RPO:\n%s", d.screen())
			}
		})
	}
}

func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}

// runDirectory is what a run leaves for its report.
func runDirectory(t *testing.T, plan, runbook []byte, events []recovery.Event) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{report.PlanFile: plan, report.RunbookFile: runbook} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, report.ArtifactsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Create(filepath.Join(dir, journal.Name), sum(runbook))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, e := range events {
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
