package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/runner"
	"comeback/storage"
)

// The times of what a run says in the copies that it restores from: how long a copy may
// take, how often it is looked whether the moment was amended, and how often it is said
// again.
const (
	restoringTime   = 10 * time.Second
	restoringLooked = time.Minute
	restoringAgain  = time.Hour
)

// restoring says in copies what a run restores from them, so that no retention removes
// it meanwhile, from whatever host.
type restoring struct {
	app     *app
	options runner.Options
	by      string
	// said is what each copy was told last, and when all were.
	said map[string][]string
	at   time.Time
}

func (a *app) newRestoring(o runner.Options) *restoring {
	by := sha256.Sum256([]byte(o.Host + "\n" + o.Home.Dir))
	return &restoring{app: a, options: o, by: hex.EncodeToString(by[:4]), said: map[string][]string{}}
}

// say says it where it is new, or was said a while ago. It gives the copies that could
// not be told.
func (r *restoring) say(ctx context.Context, points []recovery.Point) map[string]error {
	now, p := r.app.now(), r.options.Plan
	of := map[string][]string{}
	for _, pt := range points {
		if pt.Backup.ID != "" {
			of[pt.Copy] = append(of[pt.Copy], pt.Backup.ID)
		}
	}
	if maps.EqualFunc(of, r.said, slices.Equal) && now.Sub(r.at) < restoringAgain {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, restoringTime)
	defer cancel()
	failed := backup.InEach(ctx, r.copies(of), r.options.OpenStore, func(ctx context.Context, name string, s storage.Store) error {
		return backup.KeepRestoring(ctx, s, backup.Restoring{System: p.System, Run: p.Run, Host: r.options.Host, Backups: of[name], Until: now.UTC().Add(backup.RestoringLasts)}, r.by)
	})
	// What it restored from before it was amended stays until its lease has ended: the
	// step that reads it may be at work.
	if r.said = of; len(failed) == 0 {
		r.at = now
	}
	return failed
}

func (r *restoring) copies(of map[string][]string) []recovery.Copy {
	return slices.DeleteFunc(slices.Clone(r.options.Plan.Copies), func(c recovery.Copy) bool { return len(of[c.Name]) == 0 })
}

// follow says it again until the run has ended, and takes it back then.
func (r *restoring) follow(ctx context.Context, run *runner.Run) {
	look := time.NewTicker(restoringLooked)
	defer look.Stop()
	for {
		select {
		case <-run.Done():
			r.end(ctx)
			return
		case <-look.C:
			if s, err := run.State(ctx); err == nil {
				r.say(ctx, s.Moment.Points) // what cannot be told now is tried again
			}
		}
	}
}

// end takes it back. Where a copy does not let it go, it ends by itself.
func (r *restoring) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restoringTime)
	defer cancel()
	backup.InEach(ctx, r.options.Plan.Copies, r.options.OpenStore, func(ctx context.Context, _ string, s storage.Store) error {
		return backup.EndRestoring(ctx, s, r.options.Plan.System, r.options.Plan.Run, r.by)
	})
}

// remarks say which copies could not be told. A rehearsal can be had again.
func (r *restoring) remarks(failed map[string]error) (all []string) {
	if r.options.Plan.Mode == recovery.Rehearsal {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Sprintf("%s could not be told that this run restores from it: let no comeback retain --remove run there before it has ended: %v", name, failed[name]))
	}
	return all
}

// deadKept is how long what a run of this host restores is kept after its runner has
// died, and nobody has resumed or stopped it.
const deadKept = 7 * 24 * time.Hour

// restoredHere are the backups that runs of a system on this host restore, or may go on
// with, with the run in words.
func (a *app) restoredHere(system string) (func(recovery.Backup) string, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	runs, err := home.List()
	if err != nil {
		return nil, err
	}
	of := map[string]string{}
	for _, p := range runs {
		if p.Plan == nil || p.Plan.System != system || p.State.Result != "" {
			continue
		}
		last := p.Plan.Created
		if p.State.At.After(last) {
			last = p.State.At
		}
		if !p.Alive && a.now().Sub(last) > deadKept {
			continue
		}
		for _, pt := range p.State.Moment.Points {
			of[pt.Component+" "+pt.Backup.ID] = fmt.Sprintf("run %s restores it", p.ID)
			if !p.Alive {
				of[pt.Component+" "+pt.Backup.ID] = fmt.Sprintf("run %s, which has not ended, restores it: comeback resume %s, or comeback stop %s", p.ID, p.ID, p.ID)
			}
		}
	}
	return func(b recovery.Backup) string { return of[b.Component+" "+b.ID] }, nil
}
