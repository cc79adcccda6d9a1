package plan

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// last refuses to take the anchor's point for what it was at a later time, unless every
// copy was surveyed and none tells of anything after it, whichever of them was asked for.
// Else files of after a change would come back with a database of before it, as if of one
// moment. Refusal is why the time of the point itself will not do.
func (r resolver) last(p recovery.Point, known, later time.Time, refusal error) error {
	if why := r.tells(p, known); why != "" {
		return recovery.Errorf(fmt.Sprintf("bring %s back by itself, or go to a moment at which all of it was backed up; comeback moments RUNBOOK lists them", p.Component),
			"%w; %s comes back to %s, and the rest could to %s, but nobody can tell that it was the same then: %s",
			refusal, p.Component, clock(known), clock(later), why).WithExit(recovery.Refused)
	}
	return nil
}

// tells is what a copy tells of a component after its point, or why nobody knows; ""
// where nothing follows.
func (r resolver) tells(p recovery.Point, known time.Time) string {
	for _, f := range r.cat.Refusals {
		if f.Component == p.Component {
			return fmt.Sprintf("the copy %s could not be judged: %v", f.Copy, f.Err)
		}
	}
	for _, s := range r.cat.Surveys {
		if s.Component != p.Component || len(s.Backups) == 0 {
			continue
		}
		if b, ok := broken(s, known); ok {
			return fmt.Sprintf("the copy %s holds a later backup that is of no use, %s", s.Copy, b.ID)
		}
		if !slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.Problem == "" }) {
			continue
		}
		other, err := p, error(nil)
		if s.Copy != p.Copy || s.Engine != p.Engine {
			other, err = r.resolve(s, recovery.Want{Kind: recovery.WantLatest, Text: string(recovery.WantLatest)})
		}
		switch {
		case err != nil:
			return fmt.Sprintf("what the copy %s holds cannot be told: %v", s.Copy, err)
		case other.Follows:
			return fmt.Sprintf("the copy %s shows that more came after %s, which cannot be brought back", s.Copy, clock(other.Time))
		case !other.Lost.Time.IsZero():
			return fmt.Sprintf("in the copy %s it changed at %s", s.Copy, clock(other.Lost.Time))
		case other.Time.After(known):
			return fmt.Sprintf("the copy %s tells of it until %s", s.Copy, clock(other.Time))
		}
	}
	return ""
}

// broken is a backup of after a time that cannot be restored. Where there are windows it
// is the log that tells what came, and its engine that knows.
func broken(s recovery.Survey, after time.Time) (recovery.Backup, bool) {
	for _, b := range s.Backups {
		taken := b.Taken.Last()
		if taken.IsZero() {
			taken = b.Stored()
		}
		if b.Problem != "" && len(s.Windows) == 0 && taken.After(after) {
			return b, true
		}
	}
	return recovery.Backup{}, false
}
