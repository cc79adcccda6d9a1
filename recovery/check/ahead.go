package check

import (
	"time"

	"comeback/recovery"
)

// inTime are runs without those that have restored something at a time which is still to
// come: the clock of their host was wrong, and by it nothing would ever be due. Those are
// the ones ahead.
func inTime(proofs []Proof, now time.Time) (in, ahead []Proof) {
	for _, p := range proofs {
		if p.Restored() && recovery.Future(p.At, now) {
			ahead = append(ahead, p)
		} else {
			in = append(in, p)
		}
	}
	return in, ahead
}

// provenAhead finds a run of a time still to come where nothing else proves what it has
// restored, or a rehearsal is due without it.
func (j *judge) provenAhead() {
	for _, p := range j.ahead {
		missed := j.Rehearse > 0 && j.At.After(j.a.Rehearsal.Due)
		for _, pt := range p.Points {
			s := j.proofOf(pt.Component, pt.Copy, "")
			missed = missed || !s.Proven()
		}
		if missed {
			j.find("future/proof", recovery.Unknown, "set the clock of that host (chronyc tracking), then comeback rehearse "+j.Path,
				"run %s says that it ended on %s, which is still to come: the clock of its host was wrong, and since when it proves anything is not known, so that it counts for nothing",
				p.Run, p.At.In(j.At.Location()).Format("2 Jan 2006"))
			return
		}
	}
}
