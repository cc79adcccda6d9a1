package main

import (
	"context"
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/check/gather"
	"comeback/recovery/filing"
	"comeback/storage"
)

// gather looks at everything that a check judges, at the runs of the system and then at what
// there is. What cannot be seen is evidence, too.
func (a *app) gather(ctx context.Context, b *book, canary bool, w *waits) (check.Evidence, error) {
	o, err := a.looks(b, canary, w)
	if err != nil {
		return check.Evidence{}, err
	}
	w.on("reading what other hosts have filed")
	filed, err := a.fetchFiled(ctx, b)
	if err != nil {
		return check.Evidence{}, err
	}
	vanished, rewritten, err := a.compareHeads(ctx, b)
	if err != nil {
		return check.Evidence{}, err
	}
	proofs, signers, err := a.proofs(b.System)
	if err != nil {
		return check.Evidence{}, err
	}
	e, err := gather.Look(ctx, o)
	e.Path, e.Jobs = b.path, a.scheduled(b)
	e.Unfiled, e.Altered, e.Vanished, e.Rewritten = filed.Unfiled, filed.Altered, vanished, rewritten
	e.Proofs, e.Signers = proofs, signers
	if err == nil && a.gathered != nil {
		a.gathered(&e)
	}
	return e, err
}

// looks is what a look at a system is given of this host.
func (a *app) looks(b *book, canary bool, w *waits) (gather.Options, error) {
	home, err := a.home()
	if err != nil {
		return gather.Options{}, err
	}
	scratch, _ := a.scratch("", "COMEBACK_SCRATCH") // without one no room is seen
	signature, unsigned := b.signature()
	v, c := build()
	return gather.Options{Runbook: b.Runbook, Kept: backup.Keeping{System: b.System, Text: b.bytes, Signature: signature, Changed: changed(b.path)},
		SHA256: b.source.SHA256, Unsigned: unsigned, InCopy: inCopy(b.path), Canary: canary, At: a.now(), Now: a.now, Home: home, Scratch: scratch,
		Version: v, Build: v + " " + c, Engines: engines(), Switcher: func(c recovery.Component) (recovery.Switcher, bool) { return switcher(switched(c.Kind, c.With)) },
		Open: opener(b.secrets), Survey: a.surveyAll, Skew: a.skew, Expand: b.secrets.Expand, Redact: a.redact, Within: directoryWithin, Waits: w.on, Progress: w.survey}, nil
}

// skew is how far the clock of a copy is ahead of this host's; nil where it has none.
func (a *app) skew(ctx context.Context, store storage.Store) (*time.Duration, error) {
	skew, err := storage.Skew(ctx, store, a.now)
	if skew != nil && a.skewed != nil {
		*skew = a.skewed(*skew)
	}
	return skew, err
}

// changed is when a runbook of this host was changed last; zero where that is not known.
func changed(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// proofs are the runs of a system that ended, the newest first, and the file that lists
// whose signatures count.
func (a *app) proofs(system string) ([]check.Proof, string, error) {
	home, err := a.home()
	if err != nil {
		return nil, "", err
	}
	runs, err := filing.Runs(home)
	if err != nil {
		return nil, "", err
	}
	t, err := a.trust(home, runs)
	if err != nil {
		return nil, "", err
	}
	return t.Proofs(runs, system), a.signersOf(home).File, nil
}

// backupProofs tells of backups by what they are proven, as far as this host knows: runs
// of other hosts are those that were fetched before. nil where that cannot be told.
func (a *app) backupProofs(b *book) func(recovery.Backup) recovery.ProofStanding {
	e := check.Evidence{At: a.now(), Runbook: b.source.SHA256, Checks: b.Checks()}
	var err error
	if e.Proofs, _, err = a.proofs(b.System); err != nil {
		return nil
	}
	v, _ := build()
	gather.Programs(&e, v)
	return func(k recovery.Backup) recovery.ProofStanding { return check.OfBackup(e, k) }
}
