package recovery

import (
	"slices"
	"time"
)

// Lineages are a survey's backups and windows apart by the cluster that they are of. The
// one whose newest backup is the newest comes first; there is always one. What does not
// tell its cluster is of the only one there is, or apart; what cannot be restored besides,
// of the first.
func (s Survey) Lineages() []Survey {
	var known []string
	for _, b := range s.Backups {
		if id := b.Details[SystemIdentifier]; id != "" && !slices.Contains(known, id) {
			known = append(known, id)
		}
	}
	if len(known) < 2 {
		return []Survey{s}
	}
	unknown := func(b Backup) bool { return b.Details[SystemIdentifier] == "" }
	apart := slices.ContainsFunc(s.Backups, func(b Backup) bool { return unknown(b) && b.Problem == "" })
	if apart {
		known = append(known, "")
	}
	var all []Survey
	for _, id := range known {
		of := s
		of.Backups = slices.DeleteFunc(slices.Clone(s.Backups), func(b Backup) bool { return b.Details[SystemIdentifier] != id })
		of.Windows = slices.DeleteFunc(slices.Clone(s.Windows), func(w Window) bool { _, its := of.Named(w.Backup); return !its })
		all = append(all, of)
	}
	slices.SortStableFunc(all, func(a, b Survey) int { return b.Newest().at().Compare(a.Newest().at()) })
	if !apart { // what cannot be restored decides nothing
		for _, b := range s.Backups {
			if unknown(b) {
				all[0].Backups = append(all[0].Backups, b)
			}
		}
	}
	return all
}

// Lineage is what Lineages has of a cluster; all of it where none of them is known to be
// that cluster's.
func (s Survey) Lineage(system string) Survey {
	for _, of := range s.Lineages() {
		if system != "" && of.System() == system {
			return of
		}
	}
	return s
}

// LineageAt is what a survey tells of the cluster that was in service at a time: of the
// newest whose first backup is not later, and of the newest of all where the time is not
// known.
func (s Survey) LineageAt(t time.Time) Survey {
	lineages := s.Lineages()
	for _, of := range lineages {
		if t.IsZero() || !of.After(t) {
			return of
		}
	}
	return lineages[0]
}

// After reports whether all backups were taken after a time.
func (s Survey) After(t time.Time) bool {
	first := s.Oldest().Taken.Last()
	return !first.IsZero() && t.Before(first)
}

// InService is the cluster that a component's copies say was in service at a time, the
// newest of all where the time is zero; "" where none tells, or all are of one. What cannot
// be restored, as while the first backup of a new server is made, tells nothing.
func InService(surveys []Survey, t time.Time) string {
	var all Survey
	for _, s := range surveys {
		for _, b := range s.Backups {
			if b.Details[SystemIdentifier] != "" && b.Problem == "" { // a dump is of whatever server there is
				all.Backups = append(all.Backups, b)
			}
		}
	}
	if len(all.Lineages()) < 2 {
		return ""
	}
	return all.LineageAt(t).System()
}

// OfCluster is what a survey tells of a cluster, as InService gives it: what it has of it,
// all of it where there is but one, and false where it is known to be of others alone.
func (s Survey) OfCluster(system string) (Survey, bool) {
	if system == "" {
		return s, true
	}
	of := s.Lineage(system)
	return of, of.System() == system || of.System() == ""
}

// System is the cluster that the backups are of; "" where none tells.
func (s Survey) System() string {
	for _, b := range s.Backups {
		if id := b.Details[SystemIdentifier]; id != "" {
			return id
		}
	}
	return ""
}

// sound are the backups that can be restored, or all where none can.
func (s Survey) sound() []Backup {
	if sound := slices.DeleteFunc(slices.Clone(s.Backups), func(b Backup) bool { return b.Problem != "" }); len(sound) > 0 {
		return sound
	}
	return s.Backups
}

// Oldest is the backup that was taken first, of those that can be restored; it is empty
// where there is none.
func (s Survey) Oldest() Backup {
	if len(s.Backups) == 0 {
		return Backup{}
	}
	return slices.MinFunc(s.sound(), func(a, b Backup) int { return a.at().Compare(b.at()) })
}

// Newest is the backup that was taken last, of those that can be restored; it is empty
// where there is none.
func (s Survey) Newest() Backup {
	if len(s.Backups) == 0 {
		return Backup{}
	}
	return slices.MaxFunc(s.sound(), func(a, b Backup) int { return a.at().Compare(b.at()) })
}

// at is when a backup was taken, as far as it is known, or else stored.
func (b Backup) at() time.Time {
	if t := b.Taken.Last(); !t.IsZero() {
		return t
	}
	return b.Stored()
}

// Interleaved reports whether the backups of two lineages were taken in turns: both
// clusters were in service, and neither has followed the other. The one that a has is the
// newer.
func Interleaved(a, b Survey) bool {
	var times []time.Time
	for _, backup := range a.sound() {
		times = append(times, backup.at())
	}
	slices.SortFunc(times, time.Time.Compare)
	return len(times) > 1 && len(b.Backups) > 0 && b.Newest().at().After(times[len(times)-2])
}
