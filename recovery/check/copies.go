package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// known reports whether any engine looks for a component.
func (j *judge) known(c recovery.Component) bool { return len(catalogue.For(c, j.Engines)) > 0 }

// refusal is why a copy could not be judged for a component; nil where it could.
func (j *judge) refusal(component string, cp Copy) error {
	if cp.Err != nil {
		return cp.Err
	}
	for _, r := range j.Catalogue.Refusals {
		if r.Copy == cp.Name && r.Component == component {
			return r.Err
		}
	}
	return nil
}

// nothing is what is said of a copy that holds nothing of a component.
const nothing = "NONE"

// gapped is what is said of a copy whose log has a gap.
const gapped = "ok, GAP"

// inCopy judges a component in one copy. Now is the newest moment of the cluster in
// service; what is kept of another one says nothing of it.
func (j *judge) inCopy(c recovery.Component, cp Copy, inService string) (in recovery.CopyStanding, now time.Time) {
	in = recovery.CopyStanding{Copy: cp.Name, Mark: recovery.NotMet, Says: nothing, Proof: j.proofOf(c.Name, cp.Name, "")}
	if j.refusal(c.Name, cp) != nil {
		in.Mark, in.Says = recovery.Unknown, "REFUSED"
	}
	windows, gap := false, false
	for _, s := range j.Catalogue.Surveys {
		if s.Copy != cp.Name || s.Component != c.Name {
			continue
		}
		of, serves := s.OfCluster(inService)
		to, usable := j.reach(cp, of)
		if usable {
			in.Mark = recovery.Met
		} else if len(s.Backups) > 0 && in.Mark == recovery.NotMet {
			in.Says = "BROKEN"
		}
		if to.After(in.Newest) {
			in.Newest = to
		}
		if serves && to.After(now) {
			now = to
		}
		if !serves && usable {
			do := "let what takes the base backups of it take one there"
			if j.takes(c) {
				do = fmt.Sprintf("bring one there: comeback backup %s %s --copy %s", j.Path, c.Name, cp.Name)
			}
			j.find("cluster/"+c.Name+"/"+cp.Name, recovery.NotMet, do,
				"%s: holds base backups of %s of the cluster %s alone, and other copies newer ones of the cluster %s", cp.Name, c.Name, of.System(), inService)
		}
		if w := s.NewestWindow(); w != nil {
			windows = true
			gap = gap || len(w.Gaps) > 0
			j.gaps(c, cp, w)
		}
		j.broken(c, cp, s)
		j.aheadOfTime(c, cp, s)
		j.excepted(c, cp, s)
		j.shrank(c, cp, s)
		j.rows(c, cp, s)
		j.stopped(c, cp, s)
		j.roles(c, cp, s)
	}
	switch {
	case in.Mark != recovery.Met:
	case gap:
		in.Says = gapped
	case windows:
		in.Says = "ok, no gap"
	default:
		in.Says = "ok"
	}
	return in, now
}

// absent finds the copies that hold nothing of a component that others hold. Where
// there is something that cannot be restored, that has been found. Into which copies
// another program takes its backups is that program's configuration to say.
func (j *judge) absent(c recovery.Component, s recovery.ComponentStanding) {
	if !j.takes(c) {
		return
	}
	for _, in := range s.Copies {
		if in.Mark == recovery.NotMet && in.Says == nothing {
			j.find("absent/"+c.Name+"/"+in.Copy, recovery.NotMet, fmt.Sprintf("bring one there: comeback backup %s %s --copy %s", j.Path, c.Name, in.Copy),
				"%s: holds no backup of %s, which others have", in.Copy, c.Name)
		}
	}
}

// takes reports whether comeback itself can take a component's backups.
func (j *judge) takes(c recovery.Component) bool {
	e, named := recovery.EngineNamed(j.Engines, c.With)
	_, takes := e.(recovery.Capturer)
	return !named || takes
}

// reach is the newest moment that a survey's usable backups lead to.
func (j *judge) reach(cp Copy, s recovery.Survey) (to time.Time, usable bool) {
	ok := map[string]bool{}
	for _, b := range s.Backups {
		if b.Problem != "" {
			continue
		}
		usable, ok[b.ID] = true, true
		if t := taken(cp, b); t.After(to) && !j.future(t) {
			to = t
		}
	}
	for _, w := range s.Windows {
		if ok[w.Backup] && w.To.Time.After(to) && !j.future(w.To.Time) {
			to = w.To.Time
		}
	}
	return to, usable
}

// future reports whether a moment is still to come when the system is judged.
func (j *judge) future(t time.Time) bool { return recovery.Future(t, j.At) }

// aheadOfTime finds what a clock that was wrong has given a moment that is still to come:
// by it nothing would ever be too old.
func (j *judge) aheadOfTime(c recovery.Component, cp Copy, s recovery.Survey) {
	const layout = "2 Jan 2006 15:04"
	for _, b := range slices.Backward(s.Backups) {
		if t := taken(cp, b); b.Problem == "" && j.future(t) {
			j.find("future/"+c.Name+"/"+cp.Name, recovery.NotMet, fmt.Sprintf("set the clock of what takes them (chronyc tracking), and take another: comeback backup %s %s; until then recover by the id of a backup, for this one passes for the latest", j.Path, c.Name),
				"%s: %s of %s says that it is of %s, which is still to come: the clock was wrong that it was taken by, and how fresh it is is not known", cp.Name, b.ID, c.Name, t.In(j.At.Location()).Format(layout))
			return
		}
	}
	if newest, ok := s.Contradicted(); ok {
		j.find("clock/"+c.Name+"/"+cp.Name, recovery.NotMet, "compare the clocks of this host and of what stores the copy (chronyc tracking), then take another: comeback backup "+j.Path+" "+c.Name,
			"%s: of %s, %s", cp.Name, c.Name, newest.ClockWarning())
	}
	for _, w := range slices.Backward(s.Windows) {
		if j.future(w.To.Time) {
			j.find("future/"+c.Name+"/"+cp.Name, recovery.NotMet, "set the clock of its server: chronyc tracking",
				"%s: the log of %s ends with a commit of %s, which is still to come: the clock of its server was wrong, and how fresh the log is is not known", cp.Name, c.Name, w.To.Time.In(j.At.Location()).Format(layout))
			return
		}
	}
}

// taken is the moment of a backup's content: what its manifest says, which is
// exact, or what the survey knows. Of what is no log the survey knows when it was
// stored, and a manifest does not make it newer than that.
func taken(cp Copy, b recovery.Backup) time.Time {
	for _, m := range cp.Manifests {
		if m.ID == b.ID && m.Component == b.Component && !m.Moment.From.IsZero() {
			// A dump is of its start. Of a tree that was read while it changed only what
			// was read first is surely of its beginning; a base backup, which has a log, is
			// of its end.
			if m.Stop == 0 {
				claim := recovery.Span{From: m.Moment.From, To: m.Moment.From}
				if !claim.Contradicted(b.Fresh()).IsZero() {
					return b.Fresh()
				}
				return m.Moment.From
			}
			return m.Moment.To
		}
	}
	return b.Fresh()
}

// gaps finds what is missing in the log after the newest base backup.
func (j *judge) gaps(c recovery.Component, cp Copy, w *recovery.Window) {
	if len(w.Gaps) == 0 {
		return
	}
	g := w.Gaps[0]
	more := ""
	if n := len(w.Gaps); n > 1 {
		more = fmt.Sprintf(" (the first of %d gaps)", n)
	}
	j.find("gap/"+c.Name+"/"+cp.Name, recovery.NotMet, fmt.Sprintf("look for it in the other copies and on the server; else back up anew: comeback backup %s %s", j.Path, c.Name),
		"%s: the log of %s has a gap: %s is %s%s; nothing after it can be reached", cp.Name, c.Name, g.Object, g.Why, more)
}

// broken finds backups that are newer than any that can be restored.
func (j *judge) broken(c recovery.Component, cp Copy, s recovery.Survey) {
	for i := len(s.Backups) - 1; i >= 0; i-- {
		b := s.Backups[i]
		if b.Problem == "" {
			return
		}
		if slices.ContainsFunc(cp.Unfinished, func(u Unfinished) bool { return strings.HasPrefix(b.ID+"/", u.Prefix) && !j.cutOff(u) }) {
			continue // it is being made
		}
		j.find("broken/"+c.Name+"/"+cp.Name+"/"+s.Engine, recovery.NotMet, fmt.Sprintf("see what makes it, and take another: comeback backup %s %s", j.Path, c.Name),
			"%s: the newest backup of %s, %s, cannot be restored: %s", cp.Name, c.Name, b.ID, b.Problem)
		return
	}
}

// excepted finds a newest backup in which something is not as it was to be.
func (j *judge) excepted(c recovery.Component, cp Copy, s recovery.Survey) {
	newest := s.Newest()
	for _, m := range cp.Manifests {
		if m.ID == newest.ID && m.Component == c.Name && len(m.Exceptions) > 0 {
			j.find("excepted/"+c.Name+"/"+cp.Name, recovery.NotMet, fmt.Sprintf("see what writes to it, and take another when that has ended: comeback backup %s %s", j.Path, c.Name),
				"%s: in the newest backup of %s %s", cp.Name, c.Name, strings.Join(m.Exceptions, "; "))
		}
	}
}

// longUnfinished is how long no backup is at work without a sign of it.
const longUnfinished = 24 * time.Hour

// cutOff reports whether a backup that did not come to its end will not.
func (j *judge) cutOff(u Unfinished) bool { return j.At.Sub(u.Last) > longUnfinished }

// unfinished finds what backups have left that were cut off, and no other has cleared
// away.
func (j *judge) unfinished(cp Copy) {
	for _, u := range cp.Unfinished {
		if !j.cutOff(u) {
			continue
		}
		do := fmt.Sprintf("remove %s and what begins with %s by hand: nothing takes backups of %s any more", u.Mark, u.Prefix, u.Component)
		if slices.ContainsFunc(j.Components, func(c recovery.Component) bool { return c.Name == u.Component }) {
			do = fmt.Sprintf("see what cuts it off; the next backup clears it away: comeback backup %s %s", j.Path, u.Component)
		}
		j.find("unfinished/"+cp.Name+"/"+strings.TrimPrefix(u.Mark, "comeback/unfinished/"), recovery.NotMet, do,
			"%s: a backup of %s, %s, was cut off and takes room; the last sign of it is of %s", cp.Name, u.Component, u.Prefix, j.clock(u.Last))
	}
}

// fewBackups is from how many on backups have a habit.
const fewBackups = 4

// interval is how long usually lies between a survey's newest backups, of which older
// ones may have been thinned out; 0 where there are too few to tell.
func (j *judge) interval(s recovery.Survey) time.Duration {
	var times []time.Time
	for _, b := range s.Backups {
		if t := b.Fresh(); !t.IsZero() && !j.future(t) {
			times = append(times, t)
		}
	}
	if len(times) < fewBackups {
		return 0
	}
	slices.SortFunc(times, time.Time.Compare)
	times = times[max(0, len(times)-6):]
	var gaps []time.Duration
	for i := 1; i < len(times); i++ {
		gaps = append(gaps, times[i].Sub(times[i-1]))
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// every is the interval of a component's backups in a copy, or in any.
func (j *judge) every(component, copy string) time.Duration {
	var shortest time.Duration
	for _, s := range j.Catalogue.Surveys {
		if s.Component == component && (copy == "" || s.Copy == copy) {
			if d := j.interval(s); d > 0 && (shortest == 0 || d < shortest) {
				shortest = d
			}
		}
	}
	return shortest
}

// stopped finds a job that has done its work for a while, and does no more.
func (j *judge) stopped(c recovery.Component, cp Copy, s recovery.Survey) {
	usual := j.interval(s)
	if usual < time.Minute { // made by hand, one after the other
		return
	}
	var last time.Time
	for _, b := range s.Backups {
		if t := b.Fresh(); t.After(last) && !j.future(t) {
			last = t
		}
	}
	age := j.At.Sub(last)
	if age <= usual+usual/4 || j.unchanged(c, last) && c.Kind != recovery.Postgres {
		return
	}
	j.find("stopped/"+c.Name+"/"+cp.Name+"/"+s.Engine, recovery.NotMet, "look at the job that takes them: systemctl list-timers, comeback schedule "+j.Path,
		"%s: backups of %s (%s) came each %s; the last is %s old", cp.Name, c.Name, s.Engine, recovery.FormatSpan(usual), recovery.FormatSpan(age))
}

// The skew of a clock that matters, and how long a copy may lack a part of the log.
const (
	badSkew   = 10 * time.Second
	lateSpool = 5 * time.Minute
)

// copies judges the copies themselves.
func (j *judge) copies() {
	for _, cp := range j.Copies {
		if err := j.refused(cp); err != nil {
			do := recovery.HintOf(err)
			if do == "" {
				do = "check the copy's url and credentials"
			}
			j.find("refused/"+cp.Name, recovery.Unknown, do, "%s could not be judged: %v", cp.Name, err)
			continue
		}
		switch {
		case cp.RunbookErr != nil:
			j.find("runbook/"+cp.Name, recovery.NotMet, "let this host list and write comeback/runbooks/ there, or put the file there by hand",
				"%s: whether the runbook lies there is not known, or it could not be put there: %v", cp.Name, cp.RunbookErr)
		case cp.NoRunbook:
			j.find("runbook/"+cp.Name, recovery.NotMet, "let this host put it there: comeback check "+j.Path, "%s: holds no runbook: where this host is gone, nobody can begin with this copy alone", cp.Name)
		case cp.OtherRunbook != "":
			j.find("runbook/"+cp.Name, recovery.NotMet, "compare them; where this one is right: touch "+j.Path+" and comeback check "+j.Path+"; else go by that one here, too",
				"the newest runbook in %s is another than this one, which was not changed since: %s of %s; a host that has none is given that one", cp.Name, cp.OtherRunbook, j.clock(cp.OtherSince))
		}
		if cp.Skew != nil && cp.Skew.Abs() > badSkew {
			j.find("clock/"+cp.Name, recovery.NotMet, "set the clock of this host: chronyc tracking", "the clock of %s and of this host differ by %s", cp.Name, recovery.FormatSpan(cp.Skew.Abs()))
		}
		j.versions(cp)
		j.unfinished(cp)
		if cp.Unread > 0 {
			j.find("records/"+cp.Name, recovery.Unknown, "check again: what was read is kept, and the rest is read then; where it was refused, let the copy's credentials read "+recovery.ManifestsIn,
				"%s: of %d backups it could not be read what was stored (%v), so that it is not known whether they still are as they were", cp.Name, cp.Unread, cp.UnreadErr)
		}
		if cp.Lacking.Files > 0 && j.At.Sub(cp.Lacking.Since) > lateSpool {
			j.find("lacks/"+cp.Name, recovery.NotMet, "comeback wal push "+j.Path+" --catch-up tells why",
				"%s lacks %d files of the log (%s), the first since %s; they lie in this host's spool alone%s", cp.Name, cp.Lacking.Files,
				recovery.FormatBytes(cp.Lacking.Bytes), j.clock(cp.Lacking.Since), j.spoolFull(cp.Lacking))
		}
	}
	j.spools()
	j.received()
	for _, r := range j.Catalogue.Surveys {
		for _, f := range r.Findings {
			if f.Do == "" {
				continue // a remark, not something to mend
			}
			says := f.Says
			if f.Object != "" {
				says = f.Object + " " + says
			}
			j.find("survey/"+r.Copy+"/"+r.Component+"/"+f.Object, recovery.NotMet, f.Do, "%s: %s", r.Copy, says)
		}
	}
}

// spoolFull says when a spool's disk is full, at the pace at which it grew since the first
// file waits; archiving ends then.
func (j *judge) spoolFull(l Lacking) string {
	if l.Free == nil {
		return ""
	}
	left, pace := "now", float64(l.Bytes)/float64(j.At.Sub(l.Since))
	if pace <= 0 {
		return ""
	}
	if *l.Free > 0 {
		left = "in about " + recovery.FormatSpan(min(recovery.Scaled(1, float64(*l.Free)/pace), longestPace))
	}
	return fmt.Sprintf(", where %s are free: full %s, and nothing is archived from then on", recovery.FormatBytes(*l.Free), left)
}

// longestPace is how far ahead anything is said of a disk.
const longestPace = 10 * 365 * 24 * time.Hour

// spools finds what waits on this host and comes to no copy, and what cannot be told.
func (j *judge) spools() {
	for _, s := range j.Spools {
		if s.Err != nil {
			do := recovery.HintOf(s.Err)
			if do == "" {
				do = "check as a user who may read " + s.Dir
			}
			j.find("spool/"+s.Component, recovery.Unknown, do, "what of the log of %s waits on this host for copies could not be told: %v", s.Component, s.Err)
		}
		if s.Copy != "" {
			j.find("spool/"+s.Component+"/"+s.Copy, recovery.NotMet, "let the runbook name it again, or give it up: comeback wal push "+j.Path+" --catch-up"+j.ofDatabase(s.Component)+" --forget "+s.Copy,
				"%d files of the log of %s (%s) wait on this host for the copy %s, which the runbook does not name", s.Lacking.Files, s.Component, recovery.FormatBytes(s.Lacking.Bytes), s.Copy)
		}
	}
}

// shortVersions is how long an overwritten version must stay at least, so that people
// notice in time what has overwritten it.
const shortVersions = 7 * 24 * time.Hour

// versions judges whether what is overwritten or deleted in a bucket can be brought
// back. A place that locks every new object keeps versions by itself.
func (j *judge) versions(cp Copy) {
	v := cp.Versioning
	switch {
	case v == nil || cp.Locking != nil && cp.Locking.On:
	case !v.On:
		j.find("versioning/"+cp.Name, recovery.NotMet, "aws s3api put-bucket-versioning --bucket BUCKET --versioning-configuration Status=Enabled",
			"%s keeps no versions: whoever can write there can overwrite every backup for good", cp.Name)
	case v.Expires > 0 && v.Expires < shortVersions:
		j.find("versioning/"+cp.Name, recovery.NotMet, "let the bucket's lifecycle keep noncurrent versions for a month",
			"%s keeps overwritten versions for %s only", cp.Name, recovery.FormatSpan(v.Expires))
	}
}

// refused is why a copy could not be judged at all, or for one component.
func (j *judge) refused(cp Copy) error {
	for _, c := range j.Components {
		if err := j.refusal(c.Name, cp); err != nil {
			return err
		}
	}
	return cp.Err
}
