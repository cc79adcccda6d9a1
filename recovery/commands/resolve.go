package commands

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Resolve chooses a window that holds a time, to the second, else the newest backup
// that surely is from before it; or a backup by its id. Nothing is asked: list has
// said everything.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	switch want.Kind {
	case recovery.WantBackup:
		b, ok := s.Named(want.Backup)
		switch {
		case !ok:
			return recovery.Point{}, refusal(s.Around(time.Time{}, nowhere), "no backup %q of %s is listed in %s", want.Backup, s.Component, s.Copy)
		case b.Problem != "":
			return recovery.Point{}, refusal(s.Around(b.Taken.To, nowhere), "%s cannot be restored: %s", b.ID, b.Problem)
		}
		return point(b, b.Taken.To, want)
	case recovery.WantLatest, recovery.WantTime:
		return nearest(s, want)
	}
	return recovery.Point{}, refusal(`use "latest", a time with its offset or the id of a backup`,
		"the commands of %s know no positions of the log, so %s cannot be reached", s.Component, want.Text)
}

// nearest is the latest point that is not after what is wanted.
func nearest(s recovery.Survey, want recovery.Want) (recovery.Point, error) {
	var best *recovery.Backup
	var at time.Time
	for i := range s.Backups {
		b := &s.Backups[i]
		reach := b.Taken.To
		if w := s.WindowFrom(b.ID); w != nil && want.Kind == recovery.WantTime {
			if want.Time.Before(w.From.Time) {
				continue
			}
			if want.Time.Before(reach) {
				reach = want.Time.UTC()
			}
		}
		late := want.Kind == recovery.WantTime && reach.After(want.Time)
		if b.Problem == "" && !late && (best == nil || reach.After(at)) {
			best, at = b, reach
		}
	}
	switch {
	case best != nil:
		return point(*best, at, want)
	case len(s.Backups) == 0:
		return recovery.Point{}, refusal("run the command that lists by hand, and look into another copy", "no backup of %s is listed in %s", s.Component, s.Copy)
	}
	return recovery.Point{}, refusal(s.Around(want.Time, nowhere), "nothing that is listed of %s in %s reaches %s", s.Component, s.Copy, want.Text)
}

// nowhere is said where there is nothing to point to.
const nowhere = "choose another copy; nothing that is listed in this one can be restored"

// point is a backup, or a moment of a window.
func point(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error) {
	f, err := decodeFacts(b.Facts, b.ID)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup, Time: at, Bytes: b.Size(),
		Says: fmt.Sprintf("%s of %s (%s)", b.ID, when(at), b.Form)}
	if f.Window {
		at = at.Truncate(time.Second)
		f.To, p.Exactness, p.Time = at, recovery.ToSecond, at
		p.Says = fmt.Sprintf("%s, at %s, exact to the second", b.ID, when(at))
	} else if want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a backup is one moment: what was written between it and %s is not in it", want.Text))
	}
	p.Facts = f.encode()
	return p, nil
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func refusal(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
