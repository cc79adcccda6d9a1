package main

import (
	"context"
	"errors"
	"io/fs"
	"os/user"
	"path/filepath"
	"slices"
	"sync"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/filing"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/push"
	"comeback/recovery/room"
	"comeback/recovery/runner"
)

// gather looks at everything that a check judges, side by side. What cannot be
// seen is evidence, too.
func (a *app) gather(ctx context.Context, b *book, canary bool, w *waits) (check.Evidence, error) {
	e := check.Evidence{System: b.System, Runbook: b.source.SHA256, Checks: b.Checks(), Path: b.path, At: a.now(), RPO: b.RPO, RTO: b.RTO, Rehearse: b.Rehearse,
		Components: plan.Components(b.Runbook), Engines: engines(), Jobs: a.scheduled(b), Sources: map[string]check.Source{}}
	if len(b.People) > 0 {
		e.Owner = b.People[0].Role
	}
	for _, w := range b.Without {
		e.Without = append(e.Without, recovery.ComponentKind(w.Kind))
	}
	gatherPrograms(&e)
	w.on("reading what other hosts have filed")
	filed, err := a.fetchFiled(ctx, b)
	if err != nil {
		return e, err
	}
	e.Unfiled, e.Altered = filed.Unfiled, filed.Altered
	if e.Vanished, e.Rewritten, err = a.compareHeads(ctx, b); err != nil {
		return e, err
	}
	if e.Proofs, e.Signers, err = a.proofs(b.System); err != nil {
		return e, err
	}
	var wait sync.WaitGroup
	var errSurvey error
	w.on("looking at the copies and the servers")
	copies := plan.Copies(b.Runbook)
	e.Copies = make([]check.Copy, len(copies))
	wait.Go(func() {
		e.Catalogue, errSurvey = a.surveyAll(ctx, catalogue.Options{Components: e.Components, Copies: copies, Engines: e.Engines, OpenStore: opener(b.secrets), Progress: w.survey})
	})
	for i, c := range copies {
		wait.Go(func() { e.Copies[i] = a.gatherCopy(ctx, b, c, canary) })
	}
	wait.Go(func() { e.Servers = a.gatherServers(ctx, b) })
	wait.Go(func() { e.Switches = gatherSwitches(b) })
	sources := make([]check.Source, len(e.Components))
	for i, c := range e.Components {
		if c.Kind != recovery.Postgres {
			wait.Go(func() { sources[i] = a.gatherSource(ctx, b, c) })
		}
	}
	wait.Wait()
	if errSurvey != nil {
		return e, errSurvey
	}
	w.on("looking at the locks")
	for i := range e.Copies {
		wait.Go(func() { a.gatherLocks(ctx, b, &e.Copies[i], e.Catalogue, e.Engines) })
	}
	wait.Go(func() { e.Identities = gatherIdentities(ctx, b, e.Catalogue) })
	wait.Wait()
	for i, c := range e.Components {
		e.Sources[c.Name] = sources[i]
	}
	holdLog(&e)
	a.lack(b, &e)
	besideLive(b, &e)
	e.Room = a.gatherRoom(e.Catalogue)
	if a.gathered != nil {
		a.gathered(&e)
	}
	return e, ctx.Err()
}

// holdLog says how far the log comes that copies hold of each server, and of which cluster
// their newest base backups are.
func holdLog(e *check.Evidence) {
	for _, s := range e.Catalogue.Surveys {
		server, asked := e.Servers[s.Component]
		engine, _ := recovery.EngineNamed(e.Engines, s.Engine)
		ends, ok := engine.(recovery.Ender)
		if !ok || !asked {
			continue
		}
		of := s.Lineages()[0].System()
		if server.BackedUp == "" || of == server.SystemIdentifier {
			server.BackedUp = of
		}
		if of == "" || server.SystemIdentifier == "" || of == server.SystemIdentifier {
			server.Held = max(server.Held, ends.End(s))
		}
		e.Servers[s.Component] = server
	}
}

// gatherSource looks whether a component's source has changed.
func (a *app) gatherSource(ctx context.Context, b *book, c recovery.Component) check.Source {
	f, err := backup.Fingerprint(ctx, backup.Options{System: b.System, Engines: engines(), Secret: b.secrets.Expand, Redact: a.redact, Now: a.now}, c)
	return check.Source{Fingerprint: f, Err: err}
}

// gatherSwitches says of the components that a recovery switches what would refuse that, as far
// as a look sees it that changes nothing. What this user may not see, whoever recovers may.
func gatherSwitches(b *book) map[string]error {
	all := map[string]error{}
	p := recovery.Plan{Production: b.Production, Components: plan.Components(b.Runbook)}
	var seen []recovery.Live
	for _, c := range plan.Switched(b.Runbook) {
		s, _ := switcher(switched(c.Kind, c.With))
		f, ok := s.(recovery.Foreseer)
		if !ok {
			continue
		}
		l, err := f.Foresee(c, b.secrets.Expand)
		switch {
		case errors.Is(err, fs.ErrPermission):
		case err != nil:
			all[c.Name] = err
		default:
			seen, p.Targets = append(seen, l), append(p.Targets, l.Target)
		}
	}
	for _, l := range seen {
		one := p
		one.Targets = append(slices.Clone(p.Targets), recovery.Target{ID: recovery.TargetID("scratch/" + l.Component), Scratch: true, Component: l.Component, BecomesLive: true,
			Place: filepath.Join(l.Beside, "comeback-check", l.Component)})
		if _, err := execute.CheckPlan(&one); err != nil && !errors.Is(err, fs.ErrPermission) {
			all[l.Component] = err
		}
	}
	return all
}

// gatherServers asks the live servers.
func (a *app) gatherServers(ctx context.Context, b *book) map[string]check.Server {
	servers := a.askLive(ctx, b)
	defer servers.close()
	all := map[string]check.Server{}
	for name, l := range servers {
		s := check.Server{Err: l.err, Archiver: l.Archiver, Free: -1}
		if s.Err == nil {
			s.Keeping, s.Err = postgres.ReadKeeping(ctx, l.conn)
		}
		if f, ok := walfile.Parse(s.Archived); ok && f.Kind == walfile.Segment && s.SegmentSize > 0 {
			s.ArchivedLSN = walfile.Start(f.Number(s.SegmentSize), s.SegmentSize)
		}
		// Only where the server's directory is this host's can its disk be seen.
		if hasCluster(s.DataDirectory) {
			if free, _, err := room.Free(filepath.Join(s.DataDirectory, "pg_wal")); err == nil {
				s.Free = free
			}
		}
		all[name] = s
	}
	return all
}

// gatherRoom is what the newest backups take, and what is free in scratch.
func (a *app) gatherRoom(cat catalogue.Catalogue) *check.Room {
	place, err := a.scratch("", "COMEBACK_SCRATCH")
	if err != nil {
		return nil
	}
	r := &check.Room{Place: place}
	if r.Free, _, err = room.Free(place); err != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range cat.Entries("") { // the newest first
		if b := e.Backup; b.Problem == "" && !seen[b.Component] {
			seen[b.Component] = true
			r.Needs += b.Amount()
		}
	}
	return r
}

// lack adds what the spools of this host still hold for the copies, and what was
// received and not pushed.
func (a *app) lack(b *book, e *check.Evidence) {
	for _, c := range postgresOf(b) {
		e.Received = append(e.Received, a.received(b, c)...)
		for _, spool := range a.spoolsOf(b, c) {
			backlogs, err := push.Backlogs(spool)
			if err != nil {
				e.Spools = append(e.Spools, check.Spool{Component: c.Name, Dir: spool, Err: err})
			}
			free, _, errRoom := room.Free(spool)
			for _, l := range backlogs {
				if _, named := b.Copy(l.Copy); !named {
					e.Spools = append(e.Spools, check.Spool{Component: c.Name, Dir: spool, Copy: l.Copy, Lacking: check.Lacking{Files: l.Files, Bytes: l.Bytes, Since: l.Since}})
				}
				for i := range e.Copies {
					if in := &e.Copies[i].Lacking; e.Copies[i].Name == l.Copy && l.Files > 0 {
						if in.Files == 0 || l.Since.Before(in.Since) {
							in.Since = l.Since
						}
						in.Files, in.Bytes = in.Files+l.Files, in.Bytes+l.Bytes
						if errRoom == nil && (in.Free == nil || free < *in.Free) {
							in.Free = &free
						}
					}
				}
			}
		}
	}
}

// spoolsOf are the places in which the log of a component may wait: the state of
// whoever looks, the one that all share, and that of the server's user, who pushes.
func (a *app) spoolsOf(b *book, c recovery.Component) []string {
	var spools []string
	own, err := a.spoolOf(b, c, "")
	if err == nil {
		spools = append(spools, own)
	}
	states := []string{runner.SharedState}
	if owner, err := postgres.ServerUser(); err == nil {
		if u, err := user.Lookup(owner.Name); err == nil {
			states = append(states, filepath.Join(u.HomeDir, ".local/state/comeback"))
		}
	}
	for _, state := range states {
		if spool := filepath.Join(state, "spool", filepath.Base(own)); own != "" && !slices.Contains(spools, spool) {
			spools = append(spools, spool)
		}
	}
	return spools
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

// gatherPrograms says with what this host would restore.
func gatherPrograms(e *check.Evidence) {
	e.Program, _ = build()
	e.Programs = map[int]string{}
	for _, t := range postgres.Installed() {
		e.Majors = append(e.Majors, t.Major)
		e.Programs[t.Major] = t.Version
	}
}

// backupProofs tells of backups by what they are proven, as far as this host knows: runs
// of other hosts are those that were fetched before. nil where that cannot be told.
func (a *app) backupProofs(b *book) func(recovery.Backup) recovery.ProofStanding {
	e := check.Evidence{Runbook: b.source.SHA256, Checks: b.Checks()}
	var err error
	if e.Proofs, _, err = a.proofs(b.System); err != nil {
		return nil
	}
	gatherPrograms(&e)
	return func(k recovery.Backup) recovery.ProofStanding { return check.OfBackup(e, k) }
}
