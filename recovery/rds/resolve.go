package rds

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// archived is how often the service stores the log: a moment can be gone to about that
// long after it.
const archived = 5 * time.Minute

// Resolve chooses the second of a window, else the newest snapshot that is from before
// it, or a snapshot by its id. Nothing is asked: the survey has the window's ends. A
// moment that the service has not stored yet is refused with the time at which it will
// have.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	switch want.Kind {
	case recovery.WantBackup:
		b, ok := s.Named(want.Backup)
		switch {
		case !ok:
			return recovery.Point{}, refused(s.Around(time.Time{}, nowhere), "RDS lists no backup %q of %s", want.Backup, s.Component)
		case b.Problem != "":
			return recovery.Point{}, refused(s.Around(b.Taken.To, nowhere), "%s cannot be restored: %s", b.ID, b.Problem)
		}
		return point(b, b.Taken.To, want)
	case recovery.WantLatest, recovery.WantTime:
		return nearest(s, want)
	}
	return recovery.Point{}, refused(`use "latest", a time with its offset or the id of a snapshot`,
		"RDS tells no positions of the log of %s, so %s cannot be reached", s.Component, want.Text)
}

// nearest is the latest point that is not after what is wanted.
func nearest(s recovery.Survey, want recovery.Want) (recovery.Point, error) {
	var best *recovery.Backup
	var at time.Time
	for i := range s.Backups {
		b := &s.Backups[i]
		if b.Problem != "" {
			continue
		}
		reach := b.Taken.To
		if w := s.WindowFrom(b.ID); w != nil && want.Kind == recovery.WantTime {
			if want.Time.Before(w.From.Time) {
				continue
			}
			f, err := decodeFacts(b.Facts, b.ID)
			if err != nil {
				return recovery.Point{}, err
			}
			switch {
			case !want.Time.Before(reach.Add(time.Second)) && f.Moves:
				return recovery.Point{}, refused(fmt.Sprintf("wait until about %s, when the service will have stored the log until then, or say --to latest, which is %s", when(want.Time.Add(archived)), when(reach)),
					"%s cannot be restored yet: RDS has the log of %s until %s", want.Text, f.Source, when(reach))
			case want.Time.Before(reach):
				reach = want.Time.UTC().Truncate(time.Second)
			}
		}
		late := want.Kind == recovery.WantTime && reach.After(want.Time)
		if !late && (best == nil || reach.After(at)) {
			best, at = b, reach
		}
	}
	switch {
	case best != nil:
		return point(*best, at, want)
	case len(s.Backups) == 0:
		return recovery.Point{}, refused("set the backup retention of the source to a day or more, or take a snapshot", "RDS has no backup of %s", s.Component)
	}
	return recovery.Point{}, refused(s.Around(want.Time, nowhere), "no backup that RDS has of %s reaches %s", s.Component, want.Text)
}

// nowhere is said where there is nothing to point to.
const nowhere = "set the backup retention of the source to a day or more, or take a snapshot: nothing that is listed can be restored"

// point is a snapshot, or a moment of a window, with what a restore of it costs.
func point(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error) {
	f, err := decodeFacts(b.Facts, b.ID)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup, Time: at, Bytes: b.Size(),
		Says: fmt.Sprintf("%s of %s (%s)", b.ID, when(at), b.Form)}
	if f.Snapshot == "" {
		f.To, p.Exactness = at, recovery.ToSecond
		p.Says = fmt.Sprintf("%s %s at %s, exact to the second", f.what(), f.Source, when(at))
	} else if want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a snapshot is one moment: what was written between it and %s is not in it", want.Text))
	}
	p.Warnings = append(p.Warnings, fmt.Sprintf("a new %s is made in RDS, %s, which costs %s until it is deleted", f.what(), f.Shape.says(), f.price()))
	p.Facts = f.encode()
	return p, nil
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func refused(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
