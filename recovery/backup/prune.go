package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// ParseKeep reads what a component's `retain` asks for: "14 daily", "8 weekly",
// "12 monthly". Nothing keeps everything.
func ParseKeep(words []string) (Keep, error) {
	var k Keep
	for _, w := range words {
		f := strings.Fields(w)
		n, err := 0, error(nil)
		if len(f) == 2 {
			n, err = strconv.Atoi(f[0])
		}
		rule := map[string]*int{"daily": &k.Daily, "weekly": &k.Weekly, "monthly": &k.Monthly}
		if len(f) != 2 || err != nil || n < 1 || n > 10_000 || rule[f[1]] == nil || *rule[f[1]] != 0 {
			return Keep{}, recovery.Errorf("write it like `retain: [14 daily, 8 weekly, 12 monthly]`", "%q does not say how many backups are kept", w).WithExit(recovery.Usage)
		}
		*rule[f[1]] = n
	}
	return k, nil
}

// CheckKeep says what is wrong with one value of a component's `retain`.
func CheckKeep(word string) error {
	if _, err := ParseKeep([]string{word}); err != nil {
		return recovery.Errorf(recovery.HintOf(err), "does not say how many backups are kept").WithExit(recovery.Usage)
	}
	return nil
}

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
	held, err := restored(ctx, o.Store, o.Now())
	if err != nil {
		return p, err
	}
	own, records, shared, err := recordsOf(ctx, o.Store, o.System, o.Component, o.Survey.Engine)
	if err != nil {
		return p, err
	}
	others, err := o.beside(ctx, shared)
	if err != nil {
		return p, err
	}
	p.under = func(ctx context.Context) ([]string, error) { return o.underWay(ctx, own) }
	under, err := p.under(ctx)
	if err != nil {
		return p, err
	}
	s := o.Survey
	s.Backups = slices.DeleteFunc(slices.Clone(o.Survey.Backups), func(b recovery.Backup) bool { _, ok := own[b.ID]; return !ok })
	for i, b := range s.Backups { // a survey opens the newest alone
		if told := own[b.ID].Exceptions; len(told) > 0 && b.Details[recovery.DetailExceptions] == "" {
			s.Backups[i].Details = maps.Clone(b.Details)
			if b.Details == nil {
				s.Backups[i].Details = map[string]string{}
			}
			s.Backups[i].Details[recovery.DetailExceptions] = strings.Join(told, "; ")
		}
	}
	p.Kept = Retain(s, o.Keep, o.Zone, o.Proven)
	stays := slices.DeleteFunc(slices.Concat(o.Survey.Backups, others.backups), func(b recovery.Backup) bool { _, ok := own[b.ID]; return ok }) // others made them
	var going []recovery.Manifest
	for i := range p.Kept {
		k := &p.Kept[i]
		if why := held[k.ID]; why != "" {
			k.Why = append(k.Why, why)
		} else if o.Restored != nil {
			if why := o.Restored(k.Backup); why != "" {
				k.Why = append(k.Why, why)
			}
		}
		if len(k.Why) == 0 {
			if why := locked(ctx, o, own[k.ID]); why != "" {
				k.Why = append(k.Why, why)
			}
		}
		if len(k.Why) > 0 {
			stays = append(stays, k.Backup)
			continue
		}
		going = append(going, own[k.ID])
	}
	// What an interrupted removal has left is no backup any more.
	for id, m := range own {
		listed := slices.ContainsFunc(o.Survey.Backups, func(b recovery.Backup) bool { return b.ID == id })
		if !listed && len(m.Objects) > 0 {
			if _, err := o.Store.Stat(ctx, lastOf(m)); errors.Is(err, storage.ErrNotExist) {
				going = append(going, m)
			} else if err != nil {
				return p, err
			}
		}
	}
	// The newest first: a backup may need what an older one has stored.
	slices.SortFunc(going, func(a, b recovery.Manifest) int { return cmp.Or(b.Begun.Compare(a.Begun), cmp.Compare(b.ID, a.ID)) })
	if len(under) > 0 {
		p.Remarks = append(p.Remarks, fmt.Sprintf("a backup is under way, or was cut off, at %s: nothing goes before it has ended", under[0]))
		return p, nil
	}
	if others.Unread > 0 { // another system may need what it would not be known to have stored
		p.Remarks = append(p.Remarks, fmt.Sprintf("nothing goes: whose backups the copy holds is not known, %s may not be read: %v",
			recovery.FormatCount(int64(others.Unread), "manifest"), others.Err))
		return p, nil
	}
	needed := map[string]bool{}
	for key := range others.Named() {
		needed[key] = true
	}
	for _, m := range own {
		if !slices.ContainsFunc(going, func(g recovery.Manifest) bool { return g.ID == m.ID }) {
			for _, obj := range m.Objects {
				needed[obj.Key] = true
			}
		}
	}
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
	going = slices.DeleteFunc(going, func(m recovery.Manifest) bool {
		i := slices.IndexFunc(p.Kept, func(k Kept) bool { return k.ID == m.ID })
		if i >= 0 && needed[lastOf(m)] { // one that is kept is incremental to it
			p.Kept[i].Why = append(p.Kept[i].Why, "a backup that stays needs it")
			return true
		}
		return false
	})
	for _, m := range going {
		g := Going{Manifest: m, record: records[m.ID]}
		lent := false // some of it to one that stays: its manifest tells whose it is until that goes
		for _, obj := range slices.Backward(m.Objects) {
			if obj.Key == m.Names {
				continue
			}
			found, err := o.Store.Stat(ctx, obj.Key)
			switch {
			case errors.Is(err, storage.ErrNotExist):
			case err != nil:
				return p, err
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
			p.Going = append(p.Going, g)
		}
	}
	return p, nil
}

// underWay are the names of backups that may need what is to go.
func (o PruneOptions) underWay(ctx context.Context, own map[string]recovery.Manifest) (names []string, err error) {
	all, err := Unfinished(ctx, o.Store)
	by := holder{place: o.Place, system: o.System}
	if o.Place != "" {
		by.host = o.Host
	}
	for _, b := range all {
		if b.disturbs(o.Component.Name, own, by, o.Now()) {
			names = append(names, b.Prefix)
		}
	}
	return names, err
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

// recordsOf reads the manifests of a component's backups by an engine, those of a system
// alone: others may have a component of that name in the same copy. Those of older versions
// that say no system are its own where there is no other. It is shared where others were
// seen.
func recordsOf(ctx context.Context, s storage.Store, system string, c recovery.Component, engine string) (own map[string]recovery.Manifest, objects map[string]storage.Object, shared bool, err error) {
	all, err := listManifests(ctx, s, c.Name)
	if err != nil {
		return nil, nil, false, err
	}
	var read []recovery.Manifest
	of := map[string]storage.Object{}
	for r := range readManifests(ctx, s, all) {
		if r.err != nil && stored(r.err) {
			return nil, nil, false, r.err
		}
		if r.err == nil {
			read, of[r.ID] = append(read, r.Manifest), r.object
		}
	}
	own, objects = map[string]recovery.Manifest{}, map[string]storage.Object{}
	mine := Own(read, system, c.Claims.Formerly...)
	for _, m := range mine {
		if m.Engine == engine {
			own[m.ID], objects[m.ID] = m, of[m.ID]
		}
	}
	return own, objects, len(mine) < len(read), nil
}

// others are the other systems of a copy, and their backups where this engine would see
// them: older versions kept them apart by nothing, so that they may share what they need.
type others struct {
	neighbours.Found
	backups []recovery.Backup
}

// beside looks for other systems in the copy, and reads all manifests where one was seen.
func (o PruneOptions) beside(ctx context.Context, seen bool) (n others, err error) {
	look := neighbours.In
	if seen {
		look = neighbours.Read
	}
	if n.Found, err = look(ctx, o.Store, o.System, o.Component.Claims.Formerly...); err != nil || len(n.Systems()) == 0 {
		return n, err
	}
	c := o.Component
	c.Claims.System = ""
	s, err := o.Engine.Survey(ctx, c, recovery.Copy{Name: o.Survey.Copy}, neighbours.See(c, o.Store))
	n.backups = slices.DeleteFunc(s.Backups, func(b recovery.Backup) bool {
		_, ok := o.Survey.Named(b.ID)
		return ok
	})
	return n, err
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

// Remove removes what may go, the newest backup first and each from the object that
// makes it whole; its manifest goes last, so that a removal that was cut off is found
// and finished by the next one, and stays while one that is kept needs an object of it. What the copy refuses is told, and stays, and so does
// what it may need.
func (p Pruning) Remove(ctx context.Context) (removed int, refused []error) {
	if len(p.Going) == 0 && len(p.Log) == 0 {
		return 0, nil
	}
	if under, err := p.under(ctx); err != nil || len(under) > 0 { // it may need what was to go
		if err == nil {
			err = recovery.Errorf("ask again when it has ended", "a backup has begun at %s meanwhile: nothing was removed", under[0])
		}
		return 0, []error{err}
	}
	for _, g := range p.Going {
		// A run may have begun since it was looked, or since the last one went.
		held, err := restored(ctx, p.store, p.now())
		if why := held[g.Manifest.ID]; err == nil && why != "" {
			err = recovery.Errorf("ask again when it has ended", "%s meanwhile", why)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("remove %s: %w", g.Manifest.ID, err))
			continue
		}
		if len(refused) > 0 && p.chained {
			refused = append(refused, fmt.Errorf("remove %s: what was not removed may need it", g.Manifest.ID))
			continue
		}
		all := slices.Clone(g.Objects)
		if g.record.Key != "" {
			all = append(all, g.record)
		}
		if err := p.removeAll(ctx, all); err != nil {
			refused = append(refused, fmt.Errorf("remove %s: %w", g.Manifest.ID, err))
			continue
		}
		removed++
	}
	if len(refused) == 0 { // a backup that stays may need its log
		if err := p.removeAll(ctx, p.Log); err != nil {
			refused = append(refused, fmt.Errorf("remove the log before the oldest backup: %w", err))
		}
	}
	return removed, refused
}

func (p Pruning) removeAll(ctx context.Context, objects []storage.Object) error {
	for _, o := range objects {
		if err := remove(ctx, p.store, o.Key); err != nil {
			return err
		}
	}
	return nil
}
