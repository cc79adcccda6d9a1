package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// source is what a report is made from: everything in a run's directory but the
// report itself.
type source struct {
	plan      *recovery.Plan
	state     recovery.State
	history   history
	artifacts []Artifact
}

// Make folds a run's directory to its report: plan, journal, runbook and
// artifacts, nothing else. The report of a run that goes on is made too, for
// looking at; its Result is empty. It fails where the files do not belong
// together, naming the one that does not.
func Make(dir string) (*Report, error) {
	planBytes, err := readDocument(dir, PlanFile)
	if err != nil {
		return nil, err
	}
	var plan recovery.Plan
	if err := json.Unmarshal(planBytes, &plan); err != nil {
		return nil, recovery.Errorf("get the file as it was written", "read %s: %w", PlanFile, err)
	}
	if plan.Format != 1 {
		return nil, recovery.Errorf("use the version of comeback that made the plan",
			"%s has the format %d, and this version reads 1", PlanFile, plan.Format)
	}
	runbookSum, _, err := digestFile(dir, RunbookFile)
	if err != nil {
		return nil, err
	}
	if runbookSum != plan.Runbook.SHA256 {
		return nil, mixed("%s is not the runbook that %s was made from", RunbookFile, PlanFile)
	}
	events, head, err := readJournal(dir, runbookSum)
	if err != nil {
		return nil, err
	}
	s := source{plan: &plan, state: recovery.NewState(&plan), history: newHistory(plan.People)}
	for _, e := range events {
		s.state = recovery.Fold(s.state, e)
		s.history.add(e, &s.state)
	}
	switch {
	case s.state.Started.IsZero():
		return nil, recovery.Errorf("give the directory of a run that has started", "%s does not say that the run started", journalFile)
	case s.history.started != digest(planBytes):
		return nil, mixed("%s is not the plan that %s was written for", PlanFile, journalFile)
	case s.state.RunbookSHA256 != runbookSum:
		return nil, mixed("%s is not the runbook that %s was written for", RunbookFile, journalFile)
	}
	if s.artifacts, err = s.readArtifacts(dir); err != nil {
		return nil, err
	}
	r := s.report()
	r.Runbook = Document{File: RunbookFile, Path: plan.Runbook.Path, SHA256: runbookSum}
	r.Plan = Document{File: PlanFile, SHA256: digest(planBytes)}
	r.Journal = Chain{File: journalFile, Genesis: journal.Genesis(runbookSum), Entries: len(events), Head: head}
	return r, nil
}

func mixed(format string, args ...any) error {
	return recovery.Errorf("get the whole directory of the run, with every file as it was written", format, args...)
}

// readJournal verifies the chain and gives its head.
func readJournal(dir, runbook string) ([]recovery.Event, string, error) {
	f, err := openRegular(dir, journalFile)
	if err != nil {
		return nil, "", err
	}
	f.Close()
	path := filepath.Join(dir, journalFile)
	events, err := journal.Read(path, runbook)
	// A torn last line was never acknowledged; while the run has not ended it
	// is no damage.
	if errors.Is(err, journal.ErrTorn) {
		return nil, "", recovery.Errorf("resume or stop the run: that mends the journal", "%w", err)
	}
	if err != nil {
		return nil, "", recovery.Errorf("get the journal as it was written, or treat the run as unproven", "%w", err)
	}
	head, _, err := journal.Head(path)
	if err != nil {
		return nil, "", err
	}
	return events, head, nil
}

// format is that of the run's report: until it has ended the one that it would have now.
func (s *source) format() int {
	if s.state.Result == "" {
		return s.state.NextReportForm()
	}
	return max(1, s.state.ReportForm)
}

// report builds what the documents' digests do not give.
func (s *source) report() *Report {
	r := &Report{
		Format: s.format(), System: s.state.System, Run: s.state.Run, Number: s.state.Number, Mode: s.state.Mode,
		Result: s.state.Result, Exit: s.state.Exit, Says: s.state.Says, GivesBack: s.plan.GivesBack != nil, Previous: s.plan.Previous,
		Scenario: s.scenario(),
		Who: Who{
			Operator: s.state.Operator, Host: s.state.Host, BootID: s.history.boot, Environment: s.state.Asserted,
			Unattended: s.history.unattended,
			Proven:     "nothing above: only the signature of " + SumsFile + " proves who stands behind this report",
			People:     s.plan.People,
		},
		Targets: list(s.plan.Targets), Copies: list(s.plan.Copies), Artifacts: list(s.artifacts),
		Waits: s.history.waits, Decisions: s.history.decisions, Failures: s.history.failures, Interrupted: s.history.breaks,
		CutOff: s.history.cutOff, Redone: s.history.redone, Leases: s.history.leases, Amendments: s.history.amendments,
		Approvals: s.history.approvals, Secrets: s.history.secrets, Calls: s.history.calls, Watched: s.history.watched,
		Earlier: s.plan.Earlier,
		Unknown: append(append([]string{}, s.state.Unknown...), s.history.strange...),
	}
	for _, n := range s.state.Notes {
		r.Notes = append(r.Notes, Note{At: n.At.UTC(), Text: n.Text, By: n.By})
	}
	if r.Format >= tellsDecided {
		r.Outages = s.history.outages
		s.unmeasure(r)
	}
	r.Moment = s.moment()
	r.Stages, r.Steps, r.Ticks, r.Remarks = s.stages(), s.steps(), s.ticks(), s.remarks()
	r.Checks = s.checks()
	r.NotDone = s.notDone(r)
	r.Cleanup, r.Live = s.cleanup(), s.live()
	r.Isolation, r.Versions = s.isolation(), s.versions()
	r.Times = s.times(r)
	r.Objectives = s.objectives(r)
	r.Exceptions = s.exceptions(r)
	r.Against = s.against(r)
	r.Passed = len(r.Against) == 0
	r.Headline = s.headline(r)
	r.NextRehearsal = s.due(r)
	return r
}

// scenario says what was asked for and what that came to.
func (s *source) scenario() string {
	asked := s.state.Moment.Want.Text
	if resolved := s.state.Moment.String(); resolved != asked {
		return strings.TrimSpace(asked + " → " + resolved)
	}
	return asked
}

// due says when the next rehearsal is due. A run that did not come through
// shows nothing, so it does not move the date.
func (s *source) due(r *Report) Due {
	every := time.Duration(s.plan.RehearseEvery)
	switch {
	case !r.Ended():
		return Due{Says: "unknown: the run has not ended"}
	case s.plan.GivesBack != nil:
		return Due{Says: "as before: this run restores nothing"}
	case r.Result != recovery.ResultPassed && r.Result != recovery.ResultExceptions:
		return Due{At: r.Times.Ended, Says: "at once: this run did not come through"}
	case every <= 0:
		return Due{Says: "not set: the runbook has no rehearse"}
	}
	return Due{At: r.Times.Ended.Add(every), Says: "every " + days(every) + ", as the runbook asks"}
}

// days writes an interval as runbooks do, "90d", where it is whole days.
func days(d time.Duration) string {
	if n := d / (24 * time.Hour); n*24*time.Hour == d {
		return fmt.Sprintf("%dd", n)
	}
	return recovery.FormatSpan(d)
}

// list makes a nil list an empty one, which JSON shows as [].
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
