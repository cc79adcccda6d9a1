package catalogue

import (
	"slices"
	"time"

	"comeback/recovery"
)

// Only leaves out what is of another copy or by another engine; the empty name takes all.
func (c Catalogue) Only(copy, engine string) Catalogue {
	other := func(ofCopy, byEngine string) bool {
		return copy != "" && ofCopy != copy || engine != "" && byEngine != engine
	}
	c.Surveys = slices.DeleteFunc(slices.Clone(c.Surveys), func(s recovery.Survey) bool { return other(s.Copy, s.Engine) })
	c.Refusals = slices.DeleteFunc(slices.Clone(c.Refusals), func(r Refusal) bool { return other(r.Copy, r.Engine) })
	return c
}

// Lineages are the surveys of a component, apart by cluster.
func (c Catalogue) Lineages(component string) (all []recovery.Survey) {
	for _, s := range c.Of(component) {
		all = append(all, s.Lineages()...)
	}
	return all
}

// NewestLog is the survey of a component whose log goes on for longest, of the backups of
// one cluster.
func (c Catalogue) NewestLog(component string) (recovery.Survey, bool) {
	return newestLog(c.Lineages(component))
}

// LogAround is the survey whose log holds a time, of several the one that goes
// on for longest; where none does, or the time is not known, the newest.
func (c Catalogue) LogAround(component string, t time.Time) (recovery.Survey, bool) {
	all := c.Lineages(component)
	if !t.IsZero() {
		reach := slices.DeleteFunc(slices.Clone(all), func(s recovery.Survey) bool {
			return !slices.ContainsFunc(s.Windows, func(w recovery.Window) bool { return !w.From.Time.After(t) })
		})
		if s, ok := newestLog(reach); ok {
			return s, true
		}
	}
	return newestLog(all)
}

func newestLog(lineages []recovery.Survey) (newest recovery.Survey, ok bool) {
	var end recovery.Instant
	for _, s := range lineages {
		for _, w := range s.Windows {
			later := w.To.Time.After(end.Time) || w.To.Time.Equal(end.Time) && w.To.LSN > end.LSN
			if !ok || later {
				newest, end, ok = s, w.To, true
			}
		}
	}
	return newest, ok
}
