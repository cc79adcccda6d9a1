package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// seen is what a copy holds of a component's backups, and what else there keeps any of them.
type seen struct {
	PruneOptions
	// own are the manifests of what comeback has taken, by the backups' ids, records the
	// objects that they are.
	own     map[string]recovery.Manifest
	records map[string]storage.Object
	others  others
	// held says by the id of a backup which run restores it, by what runs of all hosts have
	// said; under are the backups that are under way.
	held  map[string]string
	under []string
}

// see reads what a copy holds.
func (o PruneOptions) see(ctx context.Context) (s seen, err error) {
	s.PruneOptions = o
	if s.held, err = restored(ctx, o.Store, o.Now()); err != nil {
		return s, err
	}
	shared := false
	if s.own, s.records, shared, err = recordsOf(ctx, o.Store, o.System, o.Component, o.Survey.Engine); err != nil {
		return s, err
	}
	if s.others, err = o.beside(ctx, shared); err != nil {
		return s, err
	}
	s.under, err = o.underWay(ctx, s.own)
	return s, err
}

// survey is that of comeback's own backups, held against their manifests, with the exceptions
// of all: a survey opens the newest alone, and of most forms no more than their beginning. They
// were whole when their manifests were written, so that what keeps one from being restored has
// come since, and may pass: a file that was touched while it was read.
func (s seen) survey() recovery.Survey {
	own := s.Survey
	own.Backups = slices.DeleteFunc(slices.Clone(s.Survey.Backups), func(b recovery.Backup) bool { _, ok := s.own[b.ID]; return !ok })
	for i, b := range own.Backups {
		b = s.Survey.AsStored(s.Engine, b, s.own[b.ID])
		b.Damaged = b.Problem != "" && !b.Left
		own.Backups[i] = b
		if told := s.own[b.ID].Exceptions; len(told) > 0 && b.Details[recovery.DetailExceptions] == "" {
			own.Backups[i].Details = maps.Clone(b.Details)
			if b.Details == nil {
				own.Backups[i].Details = map[string]string{}
			}
			own.Backups[i].Details[recovery.DetailExceptions] = strings.Join(told, "; ")
		}
	}
	return own
}

// cutOff are the backups of which an interrupted removal has left something: they are none
// any more.
func (s seen) cutOff(ctx context.Context) (going []recovery.Manifest, err error) {
	for id, m := range s.own {
		listed := slices.ContainsFunc(s.Survey.Backups, func(b recovery.Backup) bool { return b.ID == id })
		if listed || len(m.Objects) == 0 {
			continue
		}
		if _, err := s.Store.Stat(ctx, lastOf(m)); errors.Is(err, storage.ErrNotExist) {
			going = append(going, m)
		} else if err != nil {
			return nil, err
		}
	}
	return going, nil
}

// undecided says why nothing may go now, whatever is kept; empty where something may.
func (s seen) undecided() string {
	switch {
	case len(s.under) > 0:
		return fmt.Sprintf("a backup is under way, or was cut off, at %s: nothing goes before it has ended", s.under[0])
	case s.others.Unread > 0: // another system may need what it would not be known to have stored
		return fmt.Sprintf("nothing goes: whose backups the copy holds is not known, %s may not be read: %v",
			recovery.FormatCount(int64(s.others.Unread), "manifest"), s.others.Err)
	}
	return ""
}

// needed are the keys of what others have stored, and of what the backups have that do not go.
func (s seen) needed(going []recovery.Manifest) map[string]bool {
	needed := map[string]bool{}
	for key := range s.others.Named() {
		needed[key] = true
	}
	for _, m := range s.own {
		if !slices.ContainsFunc(going, func(g recovery.Manifest) bool { return g.ID == m.ID }) {
			for _, obj := range m.Objects {
				needed[obj.Key] = true
			}
		}
	}
	return needed
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
