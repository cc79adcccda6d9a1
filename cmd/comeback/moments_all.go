package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// reachable is a row of the list of all moments: a window, or a backup's own moment.
type reachable struct {
	from, to time.Time
	// exactness is how exactly something within can be reached.
	exactness recovery.Exactness
	survey    recovery.Survey
	backup    recovery.Backup
}

// exactly says how exact a moment is that an engine reaches.
var exactly = map[recovery.Exactness]string{recovery.ToCommit: "any commit", recovery.ToSecond: "any second", recovery.ToBackup: "the backup"}

// allMoments lists, where a runbook's components come back by several engines, what every one
// of them reaches in one order, the oldest first: which moments the system as a whole has is
// read from top to bottom.
func (a *app) allMoments(cat catalogue.Catalogue, z zone) {
	var all []reachable
	engines := map[string]bool{}
	for _, s := range cat.Surveys {
		for _, b := range s.Backups {
			if b.Problem != "" {
				continue
			}
			engines[s.Engine] = true
			all = append(all, momentsOf(s, b)...)
		}
	}
	if len(engines) < 2 {
		return
	}
	slices.SortStableFunc(all, func(a, b reachable) int {
		return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to), cmp.Compare(a.backup.Component, b.backup.Component))
	})
	fmt.Fprintf(a.out, "all of them, in the order of time, with what each can be taken to\n")
	for _, m := range all {
		fmt.Fprintf(a.out, "  %-10s  %s  %s: %s, %s by %s in %s\n", exactly[m.exactness], m.span(z), m.backup.Component, clean(m.backup.ID), clean(m.backup.Form), m.survey.Engine, m.survey.Copy)
	}
}

// momentsOf are the moments of one backup: its windows; where it has none, its own.
func momentsOf(s recovery.Survey, b recovery.Backup) []reachable {
	var all []reachable
	for _, w := range s.Windows {
		if w.Backup == b.ID {
			all = append(all, reachable{from: w.From.Time, to: w.To.Time, exactness: w.Exactness(), survey: s, backup: b})
		}
	}
	if len(all) > 0 {
		return all
	}
	from := b.Taken.From
	if from.IsZero() {
		from = b.Taken.To
	}
	return []reachable{{from: from, to: b.Taken.To, exactness: recovery.ToBackup, survey: s, backup: b}}
}

// span is when it is.
func (m reachable) span(z zone) string {
	text := func(t time.Time) string {
		if t.IsZero() {
			return "the end of its log"
		}
		return z.time(t)
	}
	if m.exactness != recovery.ToBackup {
		return text(m.from) + " .. " + text(m.to)
	}
	if m.from.IsZero() && m.to.IsZero() {
		return "at an unknown time"
	}
	return "of " + z.time(cmp.Or(m.to, m.from))
}
