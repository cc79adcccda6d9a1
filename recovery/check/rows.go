package check

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// lossHabit is how far back rows that a table lost, and has again, tell that it is emptied by
// habit, as a queue is.
const lossHabit = 40 * 24 * time.Hour

// rows finds tables that have far fewer rows in the newest backup than before, as its manifest
// tells.
func (j *judge) rows(c recovery.Component, cp Copy, s recovery.Survey) {
	var of []recovery.Manifest
	for _, m := range cp.Manifests {
		if m.Component == c.Name && m.Engine == s.Engine && j.holds(cp.Name, c.Name, m.ID) {
			of = append(of, m)
		}
	}
	if len(of) == 0 {
		return
	}
	newest := of[len(of)-1]
	var says []string
	for _, l := range newest.Lost {
		if !emptied(of, newest, l) && !j.meant(c.Name, l) {
			says = append(says, fmt.Sprintf("%s has %d of %d since %s", l.Table, l.Has, l.Had, l.Since))
		}
	}
	if len(says) == 0 {
		return
	}
	j.find("rows/"+c.Name+"/"+cp.Name+"/"+s.Engine, recovery.NotMet,
		fmt.Sprintf("look at what is live; if it is to be so, rehearse it by its name and sign that: comeback rehearse %s --to %s; else they are in the backups before it: comeback moments %s", j.Path, newest.ID, j.Path),
		"%s: far fewer rows are in the newest backup of %s than before: %s", cp.Name, c.Name, series(says))
}

// emptied reports whether a table that has lost rows had done so before, not long ago, and
// had them again: a backup that was compared with one from before that loss tells of it anew.
func emptied(of []recovery.Manifest, newest recovery.Manifest, l recovery.LostRows) bool {
	return slices.ContainsFunc(of, func(m recovery.Manifest) bool {
		return newest.Begun.Sub(m.Begun) < lossHabit && slices.ContainsFunc(m.Lost, func(before recovery.LostRows) bool {
			return before.Table == l.Table && before.Since != l.Since && (l.HadAt.IsZero() || l.HadAt.After(before.At))
		})
	})
}

// meant reports whether somebody has said that a backup in which the rows are not is as it is
// to be.
func (j *judge) meant(component string, l recovery.LostRows) bool {
	return slices.ContainsFunc(Meant(j.Proofs), func(b recovery.Backup) bool {
		return b.Component == component && (b.ID == l.Since || !l.At.IsZero() && b.Fresh().After(l.At))
	})
}
