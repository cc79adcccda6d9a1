package runner

import (
	"errors"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// NoteOutage records in the journal of a recovery that has ended when the outage began, by
// whom that is said, and writes its report again. Until the report is signed a person may
// still say it; afterwards, and once another run has the digest of the report as it is,
// nothing is changed: none is recorded meanwhile. A crash leaves the journal as it was, or a
// report that is older than it, which nobody can sign before this is done again.
func NoteOutage(o Options, outage recovery.OutageNoted) (s recovery.State, err error) {
	dir := o.Home.RunDir(o.Plan.Run)
	path := filepath.Join(dir, journal.Name)
	held, err := lock(path)
	if err != nil {
		return s, refused(o.Plan.Run, path, err)
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	runs, err := o.Home.lockRuns()
	if err != nil {
		return s, err
	}
	defer runs.Close()
	j, events, err := journal.Open(path, o.Plan.Runbook.SHA256)
	if err != nil {
		return s, err
	}
	s = recovery.NewState(o.Plan)
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	if err = errors.Join(samePlan(dir, events), o.mayNote(dir, s, outage)); err == nil {
		var e recovery.Event
		outage.By = o.Operator
		if e, err = recovery.NewEvent(o.Now(), outage); err == nil {
			e, err = j.Append(e)
			s = recovery.Fold(s, e)
		}
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return s, err
	}
	return s, o.finish(dir)
}

// mayNote refuses what may not be noted any more, or never.
func (o Options) mayNote(dir string, s recovery.State, outage recovery.OutageNoted) error {
	_, unsigned := os.Lstat(filepath.Join(dir, recovery.SignatureFile))
	switch {
	case s.Result == "":
		return recovery.Errorf("say it in its console, or wait until it has ended: comeback attach "+s.Run, "run %s has not ended", s.Run).WithExit(recovery.NotEnded)
	case unsigned == nil:
		return recovery.Errorf("what is known of the outage now stands beside the report, not in it", "the report of run %s is signed, and is not changed any more", s.Run).WithExit(recovery.Refused)
	case s.Mode != recovery.Recovery:
		return recovery.Errorf("leave --outage out", "run %s is a rehearsal: no outage began", s.Run).WithExit(recovery.Usage)
	case outage.Since.After(s.Ended):
		return recovery.Errorf("give the time at which it began", "the outage began after run %s had ended", s.Run).WithExit(recovery.Usage)
	}
	p, err := o.Home.Load(s.Run)
	if err != nil {
		return err
	}
	runs, err := o.Home.List()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Plan != nil && p.ReportSHA256 != "" && r.Plan.Previous == p.ReportSHA256 {
			return recovery.Errorf("sign it as it is: comeback report sign "+s.Run, "run %s follows run %s and has the digest of its report, which cannot change any more", r.ID, s.Run).WithExit(recovery.Refused)
		}
	}
	return nil
}
