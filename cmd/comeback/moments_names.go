package main

import (
	"context"
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/verify"
)

// namesFor are the names with which a component's log is read: the live server's,
// and behind them those of the copies that runs of the same system have restored
// and that still stand, paused before the harm or open: what was dropped since has
// its name there. The error says why the live server gives none; the names are
// those of the copies then, if any.
func (a *app) namesFor(ctx context.Context, b *book, component string, live *liveServer, s recovery.Survey) (recovery.Names, error) {
	names, why := live.names(ctx, s)
	return a.besideRestored(ctx, b, component, s, names), why
}

// besideRestored puts the names of restored copies behind those of the live
// server, which may be nil.
func (a *app) besideRestored(ctx context.Context, b *book, component string, s recovery.Survey, names recovery.Names) recovery.Names {
	sources := []recovery.Names{names}
	for _, m := range a.restoredNames(ctx, b, component, s) {
		sources = append(sources, scan.Dated(m))
	}
	if len(sources) == 1 {
		return names
	}
	return scan.Merge(sources...)
}

// restoredNames asks the copies that runs have restored, those of the newest run
// first. One that does not answer, because it is being restored or has just gone,
// names nothing.
func (a *app) restoredNames(ctx context.Context, b *book, component string, s recovery.Survey) (all []*scan.Map) {
	home, err := a.home()
	if err != nil {
		return nil // there are no runs then
	}
	runs, err := home.List()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	for _, r := range runs {
		if r.Problem != nil || r.State.System != b.System {
			continue
		}
		bound, err := restoredCopy(r, component)
		if err != nil {
			continue
		}
		if m, err := copyNames(ctx, bound.URL); err == nil && ofCluster(m.System, s) {
			all = append(all, m)
		}
	}
	return all
}

// copyNames asks a restored copy.
func copyNames(ctx context.Context, url string) (*scan.Map, error) {
	conn, err := verify.Connect(ctx, url, namesTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return scan.ReadNames(ctx, conn)
}

// ofCluster reports whether a system identifier is that of a survey's backups, as
// far as they tell.
func ofCluster(system string, s recovery.Survey) bool {
	return !slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool {
		theirs := b.Details[recovery.SystemIdentifier]
		return theirs != "" && theirs != system
	})
}
