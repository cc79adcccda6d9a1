package runner

import (
	"errors"
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
		s, err = o.note(dir, j, s, outage)
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return s, err
	}
	return s, o.finish(dir)
}

// note appends what is said of the outage. It looks for a signature at the last moment: all
// runs may have been read meanwhile, and who signs on another host of a shared state, or
// with an earlier version, does not wait for our lock.
func (o Options) note(dir string, j *journal.Journal, s recovery.State, outage recovery.OutageNoted) (recovery.State, error) {
	outage.By = o.Operator
	e, err := recovery.NewEvent(o.Now(), outage)
	if err == nil {
		err = unsigned(dir, s.Run)
	}
	if err == nil {
		if e, err = j.Append(e); err == nil {
			s = recovery.Fold(s, e)
		}
	}
	return s, err
}

// unsigned refuses to change what is signed.
func unsigned(dir, run string) error {
	if !exists(filepath.Join(dir, recovery.SignatureFile)) {
		return nil
	}
	return recovery.Errorf("what is known of the outage now stands beside the report, not in it", "the report of run %s is signed, and is not changed any more", run).WithExit(recovery.Refused)
}

// mayNote refuses what may not be noted any more, or never.
func (o Options) mayNote(dir string, s recovery.State, outage recovery.OutageNoted) error {
	signed := unsigned(dir, s.Run)
	switch {
	case s.Result == "":
		return recovery.Errorf("say it in its console, or wait until it has ended: comeback attach "+s.Run, "run %s has not ended", s.Run).WithExit(recovery.NotEnded)
	case signed != nil:
		return signed
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
