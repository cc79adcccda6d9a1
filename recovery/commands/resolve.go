package commands

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// Resolve chooses a window that holds a time, to the second, else the newest backup
// that surely is from before it; or a backup by its id. Nothing is asked: list has
// said everything.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	return provider.Chooser{In: s.Copy, Point: point, Nothing: "run the command that lists by hand, and look into another copy",
		Nowhere: "choose another copy; nothing that is listed in this one can be restored"}.Resolve(s, want)
}

// point is a backup, or a moment of a window.
func point(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error) {
	f, err := provider.Decode[facts](b.Facts, b.ID)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup, Time: at, Bytes: b.Size(),
		Says: fmt.Sprintf("%s of %s (%s)", b.ID, provider.When(at), b.Form)}
	if f.Window {
		at = at.Truncate(time.Second)
		f.To, p.Exactness, p.Time = at, recovery.ToSecond, at
		p.Says = fmt.Sprintf("%s, at %s, exact to the second", b.ID, provider.When(at))
	} else if want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a backup is one moment: what was written between it and %s is not in it", want.Text))
	}
	p.Facts = provider.Encode(f)
	return p, nil
}
