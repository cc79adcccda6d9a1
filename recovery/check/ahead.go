package check

import (
	"time"

	"comeback/recovery"
)

// AsOf is a run as it counts now. One that has restored something at a time which is still
// to come counts for nothing: the clock of its host was wrong, and by it nothing would ever
// be due.
func (p Proof) AsOf(now time.Time) Proof {
	p.Ahead = false
	p.Ahead = p.Restored() && recovery.Future(p.At, now)
	return p
}

// inTime are runs without those that are of a time still to come, the ones ahead.
func inTime(proofs []Proof, now time.Time) (in, ahead []Proof) {
	for _, p := range proofs {
		if p = p.AsOf(now); p.Ahead {
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
