package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"comeback/recovery"
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

// RestoresOptions say whose restores are told, and to which copies.
type RestoresOptions struct {
	Plan *recovery.Plan
	// Host is whose run it is, and State its state directory there, which tells runs of the
	// same ID apart.
	Host, State string
	OpenStore   func(context.Context, recovery.Copy) (storage.Store, error)
	Now         func() time.Time
}

// Restores says in copies what a run restores from them, so that no retention removes
// it meanwhile, from whatever host. It is not for several goroutines at once.
type Restores struct {
	o  RestoresOptions
	by string
	// said is what each copy was told last, at when all were; zero where one could not be.
	said map[string][]string
	at   time.Time
	// leased is until when each copy leaves alone what it was told of, by IDs.
	leased map[string]map[string]time.Time
}

// NewRestores says nothing yet.
func NewRestores(o RestoresOptions) *Restores {
	by := sha256.Sum256([]byte(o.Host + "\n" + o.State))
	return &Restores{o: o, by: hex.EncodeToString(by[:4]), said: map[string][]string{}, leased: map[string]map[string]time.Time{}}
}

// Say says it where it is new, or was said a while ago. It gives the copies that could
// not be told.
func (r *Restores) Say(ctx context.Context, points []recovery.Point) map[string]error {
	now, p := r.o.Now(), r.o.Plan
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
	until := now.UTC().Add(RestoringLasts)
	all := r.lease(of, now, until)
	failed := InEach(ctx, r.copies(of), r.o.OpenStore, func(ctx context.Context, name string, s storage.Store) error {
		return KeepRestoring(ctx, s, Restoring{System: p.System, Run: p.Run, Host: r.o.Host, Backups: all[name], Until: until}, r.by)
	})
	r.said, r.at = of, now
	if len(failed) > 0 {
		r.at = time.Time{}
	}
	return failed
}

// lease gives what each copy is to leave alone: what the run restores from it now, and what it
// did before it was amended, until that lease has ended. The step that reads it may be at work.
func (r *Restores) lease(of map[string][]string, now, until time.Time) map[string][]string {
	all := map[string][]string{}
	for name, ids := range of {
		if r.leased[name] == nil {
			r.leased[name] = map[string]time.Time{}
		}
		for _, id := range ids {
			r.leased[name][id] = until
		}
		maps.DeleteFunc(r.leased[name], func(_ string, until time.Time) bool { return !until.After(now) })
		all[name] = slices.Sorted(maps.Keys(r.leased[name]))
	}
	return all
}

func (r *Restores) copies(of map[string][]string) []recovery.Copy {
	return slices.DeleteFunc(slices.Clone(r.o.Plan.Copies), func(c recovery.Copy) bool { return len(of[c.Name]) == 0 })
}

// restoringRun is a run that restores.
type restoringRun interface {
	Done() <-chan struct{}
	State(ctx context.Context) (recovery.State, error)
}

// Follow says it again until the run has ended, and takes it back then.
func (r *Restores) Follow(ctx context.Context, run restoringRun) {
	look := time.NewTicker(restoringLooked)
	defer look.Stop()
	for {
		select {
		case <-run.Done():
			r.End(ctx)
			return
		case <-look.C:
			if s, err := run.State(ctx); err == nil {
				r.Say(ctx, s.Moment.Points) // what cannot be told now is tried again
			}
		}
	}
}

// End takes it back. Where a copy does not let it go, it ends by itself.
func (r *Restores) End(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restoringTime)
	defer cancel()
	InEach(ctx, r.o.Plan.Copies, r.o.OpenStore, func(ctx context.Context, _ string, s storage.Store) error {
		return EndRestoring(ctx, s, r.o.Plan.System, r.o.Plan.Run, r.by)
	})
}

// Remarks say which copies could not be told. A rehearsal can be had again.
func (r *Restores) Remarks(failed map[string]error) (all []string) {
	if r.o.Plan.Mode == recovery.Rehearsal {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Sprintf("%s could not be told that this run restores from it: let no comeback retain --remove run there before it has ended: %v", name, failed[name]))
	}
	return all
}
