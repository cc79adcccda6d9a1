package rds

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// archived is how often the service stores the log: a moment can be gone to about that
// long after it.
const archived = 5 * time.Minute

// Resolve chooses the second of a window, else the newest snapshot that is from before
// it, or a snapshot by its id. A moment that the service has not stored yet is refused with
// the time at which it will have.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	return provider.Chooser{In: "RDS", Point: point, Beyond: beyond,
		Nothing: "set the backup retention of the source to a day or more, or take a snapshot",
		Nowhere: "set the backup retention of the source to a day or more, or take a snapshot: nothing that is listed can be restored"}.Resolve(s, want)
}

// beyond refuses a moment that a window's end will have come to.
func beyond(b recovery.Backup, end time.Time, want recovery.Want) error {
	f, err := provider.Decode[facts](b.Facts, b.ID)
	if err != nil || !f.Moves || want.Time.Before(end.Add(time.Second)) {
		return err
	}
	return provider.Refused(fmt.Sprintf("wait until about %s, when the service will have stored the log until then, or say --to latest, which is %s", provider.When(want.Time.Add(archived)), provider.When(end)),
		"%s cannot be restored yet: RDS has the log of %s until %s", want.Text, f.Source, provider.When(end))
}

// point is a snapshot, or a moment of a window, with what a restore of it costs.
func point(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error) {
	f, err := provider.Decode[facts](b.Facts, b.ID)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup, Time: at, Bytes: b.Size(),
		Says: fmt.Sprintf("%s of %s (%s)", b.ID, provider.When(at), b.Form)}
	if f.Snapshot == "" {
		at = at.Truncate(time.Second)
		f.To, p.Exactness, p.Time = at, recovery.ToSecond, at
		p.Says = fmt.Sprintf("%s %s at %s, exact to the second", f.what(), f.Source, provider.When(at))
	} else if want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a snapshot is one moment: what was written between it and %s is not in it", want.Text))
	}
	if f.Namesake {
		p.Warnings = append(p.Warnings, fmt.Sprintf("it is of an earlier %s: the new %s is made with the class, networks and parameters of today's", f.Source, f.what()))
	}
	p.Warnings = append(p.Warnings, f.Outwards...)
	p.Warnings = append(p.Warnings, fmt.Sprintf("a new %s is made in RDS, %s, which costs %s until it is deleted", f.what(), f.Shape.says(), f.price()))
	p.Facts = provider.Encode(f)
	return p, nil
}
