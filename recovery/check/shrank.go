package check

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// Meant are the backups of which somebody has said that they are as they are to be: a run has
// restored them, chosen by their names, and somebody who is known has signed that, whatever it
// checked. What is rehearsed night after night because it is the latest, nobody has looked at.
func Meant(proofs []Proof) (meant []recovery.Backup) {
	for _, p := range proofs {
		if pt, ok := p.point(p.Chosen, ""); ok && p.Restored() {
			meant = append(meant, pt.Backup)
		}
	}
	return meant
}

// lessSince is what may have made a backup smaller, by what it is of.
func lessSince(k recovery.ComponentKind) string {
	if k == recovery.Postgres {
		return "deleted, or another database"
	}
	return "deleted, moved away, or a file system that is not mounted there"
}

// shrank finds that much less is in the newest backup than in those before it. That is no
// fault of the backup: somebody has to know whether it is to be so, as long as those before it
// are still there.
func (j *judge) shrank(c recovery.Component, cp Copy, s recovery.Survey) {
	all := s.Shrank(Meant(j.Proofs))
	for _, b := range slices.Backward(recovery.Freshest(s.Backups)) {
		less, ok := all[b.ID]
		if !ok {
			continue
		}
		j.find("shrank/"+c.Name+"/"+cp.Name+"/"+s.Engine, recovery.NotMet,
			fmt.Sprintf("look at what is live; if it is to be so, rehearse it by its name and sign that: comeback rehearse %s --to %s; else go back before %s is removed, too", j.Path, b.ID, less.Last().ID),
			"%s: since %s much less is in the backups of %s: %s (%s)", cp.Name, j.clock(less.First.Fresh()), c.Name, less.Says(), lessSince(c.Kind))
		return
	}
}
