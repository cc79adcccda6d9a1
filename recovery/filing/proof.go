package filing

import (
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/runbooks"
)

// Proofs are the runs of a system that ended, seen from what they prove, the newest first.
func (t Trust) Proofs(runs []runner.Past, system string) []check.Proof {
	var all []check.Proof
	for _, p := range runs {
		if ended(p, system) {
			all = append(all, t.proof(p))
		}
	}
	slices.SortStableFunc(all, func(x, y check.Proof) int { return y.At.Compare(x.At) })
	return all
}

// Provers gives the signers of those proofs that restored a backup.
func Provers(proofs []check.Proof) func(recovery.Backup) []backup.Prover {
	return func(k recovery.Backup) (signers []backup.Prover) {
		for _, p := range proofs {
			if !slices.ContainsFunc(p.Points, func(pt recovery.Point) bool {
				return pt.Copy == k.Copy && pt.Backup.ID == k.ID && pt.Component == k.Component
			}) {
				continue
			}
			switch {
			case p.Restored():
				signers = append(signers, backup.Prover{Signer: backup.Known, Unchecked: p.Unchecked})
			case p.Lacks() == recovery.LacksSigner:
				signers = append(signers, backup.Prover{Signer: p.Stranger.Fingerprint, Unchecked: p.Unchecked})
			}
		}
		return signers
	}
}

// ended reports whether a run is one of a system that restores, and has ended: only such a
// run can prove anything.
func ended(p runner.Past, system string) bool {
	return p.Problem == nil && p.Plan != nil && p.Plan.System == system && p.Plan.Restores() && p.State.Result != ""
}

// Closest is the newest run of a system that proves something now; where there is none, the
// newest that comes closest to it of those that brought anything back. Runs are the newest
// first.
func (t Trust) Closest(runs []runner.Past, system string, now time.Time) (closest check.Proof, ok bool) {
	var of runner.Past
	for _, p := range runs {
		if !ended(p, system) {
			continue
		}
		c := t.worth(p).AsOf(now)
		if slices.ContainsFunc(c.Points, func(pt recovery.Point) bool { return c.Brought(pt.Component) }) && (!ok || c.Closer(closest)) {
			closest, of, ok = c, p, true
		}
		if c.Proves() {
			break
		}
	}
	if !ok {
		return closest, false
	}
	if r, err := report.Read(of.Dir); err == nil {
		closest.Took, closest.Untimed = measured(r.Objectives, of.State.Mode)
	}
	return closest, true
}

// worth is whether a run proves what it restored, or what it lacks. A signature counts where
// it is good, every file is as it was signed, and the reader knows whose it is.
func (t Trust) worth(p runner.Past) check.Proof {
	c := check.Proof{Run: p.ID, Mode: p.State.Mode, At: p.State.Ended, Passed: p.State.Result == recovery.ResultPassed, Points: p.State.Moment.Points,
		Runbook: p.State.RunbookSHA256, Untimed: true}
	if w := p.State.Moment.Want; w.Kind == recovery.WantBackup && w.Table == "" {
		c.Chosen = p.State.Moment.Anchor
	}
	held, _ := p.State.Checks()
	c.Unchecked = held == 0
	for _, r := range p.State.Reached() {
		c.Came = append(c.Came, r.Component)
	}
	if c.Passed && p.Signed || !t.Here(p) {
		v, err := t.Verify(p)
		c.Signed, c.Passed = err == nil && v.Known(), c.Passed && (err == nil || t.Here(p))
		switch {
		case c.Signed:
		case err == nil || !t.Here(p):
			c.Stranger = t.stranger(p, v)
		default:
			c.Altered = true
		}
	}
	return c
}

// proof is a run seen from what it proves, with what that is compared with.
func (t Trust) proof(p runner.Past) check.Proof {
	c := t.worth(p)
	c.Programs = map[string]string{}
	c.Program, _, _ = strings.Cut(p.State.Version, " ") // its commit
	for _, s := range p.State.Steps {
		for _, bound := range s.Outcome.Bindings {
			if v := s.Outcome.Facts[recovery.ServerVersion]; v != "" {
				c.Programs[bound.Component] = v
			}
		}
	}
	if book, err := p.Runbook(); err == nil {
		rb, _ := runbooks.Parse(report.RunbookFile, book)
		c.Checks = rb.Checks()
	}
	r, err := report.Read(p.Dir)
	if err != nil {
		return c
	}
	c.Took, c.Untimed = measured(r.Objectives, p.State.Mode)
	for _, s := range r.Stages {
		if s.Steps == 0 && s.Omitted == 0 {
			continue // prose
		}
		c.Stages = append(c.Stages, check.Stage{Name: s.Name, Took: time.Duration(max(0, s.Took-s.Interrupted)), Talked: strings.Contains(s.How, string(report.TalkedThrough)),
			StoodIn: strings.Contains(s.How, string(report.OnStandIn)), Omitted: s.Omitted > 0 || strings.Contains(s.How, string(report.NotExecuted))})
	}
	return c
}

// measured is how long a run took to come back, as its report has it: of a recovery the time
// until the system was open, and nothing of what protects it again; of a rehearsal what it
// exercised, without the time in which nobody ran it. Untimed says that it measured neither.
func measured(o report.Objectives, mode recovery.Mode) (took time.Duration, untimed bool) {
	switch {
	case mode == recovery.Recovery && o.RTO.Achieved != nil:
		return time.Duration(*o.RTO.Achieved), false
	case mode != recovery.Recovery && o.Exercised != nil && o.Exercised.Unknown == "":
		return time.Duration(max(0, o.Exercised.Took-o.Exercised.Interrupted)), false
	}
	return 0, true
}
