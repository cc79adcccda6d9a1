package provider

import (
	"time"

	"comeback/recovery"
)

// Chooser chooses among the backups and windows of a survey. Nothing is asked: the survey
// has said everything. A window's backup is its start, and its last moment is the window's
// end.
type Chooser struct {
	// In is where the backups are listed, for people: "RDS".
	In string
	// Nothing is what to do where nothing is listed, Nowhere where nothing of it can be
	// restored.
	Nothing, Nowhere string
	// Point makes the point of a backup, or of a moment in its window.
	Point func(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error)
	// Beyond is asked about a time after a window's end, and may refuse it; where it is
	// nil or refuses nothing the window's end is a point.
	Beyond func(b recovery.Backup, end time.Time, want recovery.Want) error
	// Position makes the point of a position or a transaction; where it is nil they are
	// refused.
	Position func(s recovery.Survey, want recovery.Want) (recovery.Point, error)
}

// Resolve is what an engine's Resolve is: the moment of a window, else the newest backup
// that surely is from before a time; or a backup by its id.
func (c Chooser) Resolve(s recovery.Survey, want recovery.Want) (recovery.Point, error) {
	switch want.Kind {
	case recovery.WantBackup:
		b, ok := s.Named(want.Backup)
		switch {
		case !ok:
			return recovery.Point{}, Refused(s.Around(time.Time{}, c.Nowhere), "no backup %q of %s is listed in %s", want.Backup, s.Component, c.In)
		case b.Problem != "":
			return recovery.Point{}, Refused(s.Around(b.Taken.To, c.Nowhere), "%s cannot be restored: %s", b.ID, b.Problem)
		}
		return c.Point(b, b.Taken.To, want)
	case recovery.WantLatest, recovery.WantTime:
		return c.nearest(s, want)
	}
	if c.Position != nil {
		return c.Position(s, want)
	}
	return recovery.Point{}, Refused(`use "latest", a time with its offset or the id of a backup`,
		"no positions of the log of %s are listed in %s, so %s cannot be reached", s.Component, c.In, want.Text)
}

// nearest is the latest point that is not after what is wanted.
func (c Chooser) nearest(s recovery.Survey, want recovery.Want) (recovery.Point, error) {
	var best *recovery.Backup
	var at time.Time
	for i := range s.Backups {
		b := &s.Backups[i]
		if b.Problem != "" {
			continue
		}
		reach := b.Taken.To
		if w := s.WindowFrom(b.ID); w != nil {
			reach = w.To.Time
			if want.Kind == recovery.WantTime {
				switch {
				case want.Time.Before(w.From.Time):
					continue
				case want.Time.Before(reach):
					reach = want.Time.UTC()
				case c.Beyond != nil:
					if err := c.Beyond(*b, reach, want); err != nil {
						return recovery.Point{}, err
					}
				}
			}
		}
		late := want.Kind == recovery.WantTime && reach.After(want.Time)
		if !late && (best == nil || !reach.Before(at)) {
			best, at = b, reach
		}
	}
	switch {
	case best != nil:
		return c.Point(*best, at, want)
	case len(s.Backups) == 0:
		return recovery.Point{}, Refused(c.Nothing, "no backup of %s is listed in %s", s.Component, c.In)
	}
	return recovery.Point{}, Refused(s.Around(want.Time, c.Nowhere), "nothing that is listed of %s in %s reaches %s", s.Component, c.In, want.Text)
}

// When is a time as engines of a provider write it.
func When(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// Refused is the error of something that is not done, and what to do instead.
func Refused(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
