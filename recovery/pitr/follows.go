package pitr

import (
	"slices"
	"time"

	"comeback/recovery"
)

// follows reports whether the copy shows that there was more than the end of a chain:
// log that cannot be used, or a backup that began or ended behind it. What was committed
// there nobody can tell.
func (r *resolver) follows(l *logReader, from facts) bool {
	stray := from.Timeline == 0 && from.Stray > l.log.branch.timeline()
	return len(l.log.gaps) > 0 || l.log.rest || stray || slices.ContainsFunc(r.survey.Backups, func(b recovery.Backup) bool {
		f, err := decodeFacts(b)
		return err != nil || f.behind(l.log, from, b.Stored())
	})
}

// behind reports whether a backup tells of what comes behind a chain. Of a history that
// was left behind it does not. Where its place in the log is not known, when it was
// stored decides.
func (f facts) behind(c chain, from facts, stored time.Time) bool {
	at := max(f.Base.Start, f.Base.Stop)
	switch {
	case at == 0:
		return !stored.Before(from.Base.Ended)
	case c.branch.holds(f.Base.Timeline, at):
		return at > c.end()
	}
	return f.Base.Timeline > c.branch.timeline() && f.Timeline == 0 && !f.Dead
}
