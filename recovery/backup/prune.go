package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// PruneOptions say which backups of a component in a copy are looked at.
type PruneOptions struct {
	Component recovery.Component
	// Engine lists them; where it is a recovery.Pruner it is asked what may go.
	Engine recovery.Engine
	Survey recovery.Survey
	Store  storage.Store
	Keep   Keep
	Zone   *time.Location
	// Proven are those who have signed runs that restored a backup and passed.
	Proven func(recovery.Backup) []Prover
	// Meant are backups of which somebody has said that they are as they are to be, also where
	// they shrank.
	Meant []recovery.Backup
	// Restored says which run of this host restores a backup, or may go on with it, as
	// why it stays; "" where none does. Nil says it of none. What runs of all hosts have
	// said in the copy counts as well.
	Restored func(recovery.Backup) string
	Now      func() time.Time
	// System, Host and Place are as in Options, where the caller holds the component: a
	// backup that was cut off under that hold keeps nothing from going.
	System, Host, Place string
}

// Pruning is what of a component's backups in a copy stays, and what may go. Only
// what comeback has taken, which its manifest beside it tells, ever goes.
type Pruning struct {
	Kept []Kept
	// Going are the backups that may be removed, with what they have stored and
	// nobody else needs; Log is what was kept for them alone.
	Going []Going
	Log   []storage.Object
	// Remarks say what stays although nothing asks for it, and why.
	Remarks []string

	store storage.Store
	now   func() time.Time
	under func(context.Context) ([]string, error)
	// chained says that a backup may need what an older one has stored.
	chained bool
}

// Going is a backup that may be removed.
type Going struct {
	Manifest recovery.Manifest
	// Objects are in the order in which they go: the first is the one that makes
	// the backup whole, so that none is ever listed that is not.
	Objects []storage.Object
	// record is the manifest; none where it stays.
	record storage.Object
}

// Bytes is how much goes.
func (p Pruning) Bytes() (n int64) {
	for _, g := range p.Going {
		for _, o := range g.Objects {
			n += o.Size
		}
	}
	for _, o := range p.Log {
		n += o.Size
	}
	return n
}

// Prune looks what may go; it removes nothing.
func Prune(ctx context.Context, o PruneOptions) (Pruning, error) {
	p := Pruning{store: o.Store, now: o.Now}
	s, err := o.see(ctx)
	if err != nil {
		return p, err
	}
	p.under = func(ctx context.Context) ([]string, error) { return o.underWay(ctx, s.own) }
	p.Kept = Retain(s.survey(), o.Keep, o.Now().In(o.Zone), o.Proven, o.Meant)
	stays, going := s.part(ctx, p.Kept)
	cut, err := s.cutOff(ctx)
	if err != nil {
		return p, err
	}
	// The newest first: a backup may need what an older one has stored.
	going = slices.SortedFunc(slices.Values(append(going, cut...)), func(a, b recovery.Manifest) int {
		return cmp.Or(b.Begun.Compare(a.Begun), cmp.Compare(b.ID, a.ID))
	})
	if why := s.undecided(); why != "" {
		p.Remarks = append(p.Remarks, why)
		return p, nil
	}
	needed := s.needed(going)
	if pruner, ok := o.Engine.(recovery.Pruner); ok {
		p.chained = true
		shared, log, err := pruner.Shared(ctx, o.Component, stays, o.Store)
		if err != nil {
			p.Remarks = append(p.Remarks, fmt.Sprintf("nothing goes: %v", err))
			return p, nil
		}
		for _, key := range shared {
			needed[key] = true
		}
		p.Log = log
	}
	p.Going, err = s.spare(ctx, keepNeeded(p.Kept, going, needed), needed)
	return p, err
}

// part tells the backups that stay, with those of others, from the ones that may go, and
// adds to the former what else keeps them.
func (s seen) part(ctx context.Context, kept []Kept) (stays []recovery.Backup, going []recovery.Manifest) {
	stays = slices.DeleteFunc(slices.Concat(s.Survey.Backups, s.others.backups), func(b recovery.Backup) bool { _, ok := s.own[b.ID]; return ok }) // others made them
	for i := range kept {
		k := &kept[i]
		if why := s.restores(k.Backup); why != "" {
			k.Why = append(k.Why, why)
		}
		if len(k.Why) == 0 {
			if why := locked(ctx, s.PruneOptions, s.own[k.ID]); why != "" {
				k.Why = append(k.Why, why)
			}
		}
		if len(k.Why) > 0 {
			stays = append(stays, k.Backup)
			continue
		}
		going = append(going, s.own[k.ID])
	}
	return stays, going
}

// restores says which run restores a backup; empty where none does.
func (s seen) restores(b recovery.Backup) string {
	if why := s.held[b.ID]; why != "" || s.Restored == nil {
		return why
	}
	return s.Restored(b)
}

// keepNeeded leaves out of what may go the backups that those which stay are incremental to.
func keepNeeded(kept []Kept, going []recovery.Manifest, needed map[string]bool) []recovery.Manifest {
	return slices.DeleteFunc(going, func(m recovery.Manifest) bool {
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.ID == m.ID })
		if i < 0 || !needed[lastOf(m)] {
			return false
		}
		kept[i].Why = append(kept[i].Why, "a backup that stays needs it")
		return true
	})
}

// spare finds what of the backups that may go is there and nobody needs.
func (s seen) spare(ctx context.Context, going []recovery.Manifest, needed map[string]bool) (all []Going, err error) {
	for _, m := range going {
		g := Going{Manifest: m, record: s.records[m.ID]}
		lent := false // some of it to one that stays: its manifest tells whose it is until that goes
		for _, obj := range slices.Backward(m.Objects) {
			if obj.Key == m.Names {
				continue
			}
			found, err := s.Store.Stat(ctx, obj.Key)
			switch {
			case errors.Is(err, storage.ErrNotExist):
			case err != nil:
				return all, err
			case needed[obj.Key]:
				lent = true
			default:
				g.Objects = append(g.Objects, found)
			}
		}
		if lent {
			g.record = storage.Object{}
		}
		if !lent || len(g.Objects) > 0 {
			all = append(all, g)
		}
	}
	return all, nil
}

// lastOf is the object that makes a backup whole: the one that was stored last, but
// for the map of names that comes after it.
func lastOf(m recovery.Manifest) string {
	for _, o := range slices.Backward(m.Objects) {
		if o.Key != m.Names {
			return o.Key
		}
	}
	return m.ID
}

// locked says why the copy would not let a backup go; empty where it would.
func locked(ctx context.Context, o PruneOptions, m recovery.Manifest) string {
	locker, ok := storage.As[storage.Locker](o.Store)
	if !ok {
		return ""
	}
	for _, obj := range m.Objects {
		found, err := o.Store.Stat(ctx, obj.Key)
		if err != nil {
			continue
		}
		r, err := locker.Retention(ctx, found)
		switch {
		case err != nil:
			continue // a place without locks, or one that does not tell: the removal will
		case r.Hold:
			return "it is held in the copy, without an end"
		case r.Until.After(o.Now()):
			return "it is locked in the copy until " + r.Until.UTC().Format("2006-01-02 15:04 MST")
		}
	}
	return ""
}
