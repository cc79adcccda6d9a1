package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// Judge is the assessment that follows from the evidence.
func Judge(e Evidence) recovery.Assessment {
	all := e.Catalogue.Surveys
	e.Catalogue.Surveys = asStored(inCopies(all), e.Copies, e.Engines)
	proofs, ahead := inTime(e.Proofs, e.At)
	e.Proofs = proofs
	j := judge{Evidence: e, all: all, ahead: ahead, a: recovery.Assessment{Format: 1, System: e.System, At: e.At, Runbook: e.Runbook,
		RPO: recovery.Duration(e.RPO), RTO: recovery.Duration(e.RTO)}}
	for _, c := range e.Copies {
		j.a.Copies = append(j.a.Copies, c.Name)
		if c.HoldsRunbook {
			j.a.RunbookIn = append(j.a.RunbookIn, c.Name)
		}
	}
	for _, c := range e.Components {
		j.component(c)
	}
	j.copies()
	j.accounts()
	j.servers()
	j.time()
	j.proofs()
	j.provenAhead()
	j.kinds()
	j.automated()
	j.digits()
	j.host()
	j.finish()
	return j.a
}

// inCopies are the surveys without what is not in the copies themselves.
func inCopies(surveys []recovery.Survey) []recovery.Survey {
	all := slices.Clone(surveys)
	for i := range all {
		all[i].Backups = slices.DeleteFunc(slices.Clone(all[i].Backups), func(b recovery.Backup) bool { return b.Elsewhere })
	}
	return all
}

// asStored are surveys in which a backup has a problem that is not what its manifest
// says that was stored. The surveys are the caller's to change.
func asStored(surveys []recovery.Survey, copies []Copy, engines []recovery.Engine) []recovery.Survey {
	type key struct{ copy, component, backup string }
	stored := map[key]recovery.Manifest{}
	for _, cp := range copies {
		for _, m := range cp.Manifests {
			stored[key{cp.Name, m.Component, m.ID}] = m
		}
	}
	for _, s := range surveys {
		e, _ := recovery.EngineNamed(engines, s.Engine)
		for i := range s.Backups {
			b := &s.Backups[i]
			if m, ok := stored[key{s.Copy, s.Component, b.ID}]; ok {
				*b = s.AsStored(e, *b, m)
			}
		}
	}
	return surveys
}

// roles finds a newest dump beside which the roles of its server are gone.
func (j *judge) roles(c recovery.Component, cp Copy, s recovery.Survey) {
	for _, m := range slices.Backward(cp.Manifests) {
		b, ok := s.Named(m.ID)
		if m.Engine != s.Engine || m.Component != c.Name || !ok || s.Before(m) {
			continue
		}
		e, _ := recovery.EngineNamed(j.Engines, s.Engine)
		_, roles := s.Gone(e, b, m)
		for _, o := range roles {
			j.find("roles/"+c.Name+"/"+cp.Name, recovery.NotMet, fmt.Sprintf("bring it back from another copy, or take another: comeback backup %s %s", j.Path, c.Name),
				"%s: %s is gone, which was stored beside the newest dump: its roles and their passwords come back from nowhere", cp.Name, o.Key)
		}
		return
	}
}

// judge is a judgement under way.
type judge struct {
	Evidence
	a recovery.Assessment
	// all are the surveys with what is in no copy, but where it lives.
	all []recovery.Survey
	// ahead are the runs that count for nothing, because they are of a time still to come.
	ahead []Proof
	// lost says that a component surely cannot be brought back, doubt that this is
	// not known of one.
	lost, doubt bool
}

// find adds a finding.
func (j *judge) find(id string, mark recovery.Mark, does, format string, args ...any) {
	j.a.Findings = append(j.a.Findings, recovery.Judgement{ID: id, Mark: mark, Says: fmt.Sprintf(format, args...), Do: does})
}

// fatal adds a finding about something that cannot be brought back.
func (j *judge) fatal(id, does, format string, args ...any) {
	j.find(id, recovery.NotMet, does, format, args...)
	j.a.Findings[len(j.a.Findings)-1].Fatal = true
	j.lost = true
}

// finish orders the findings, the worst first, says whose they are, and answers.
func (j *judge) finish() {
	rank := func(f recovery.Judgement) int {
		switch {
		case f.Fatal:
			return 0
		case f.Mark == recovery.NotMet:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(j.a.Findings, func(a, b recovery.Judgement) int { return cmp.Compare(rank(a), rank(b)) })
	for i := range j.a.Findings {
		f := &j.a.Findings[i]
		given := j.Assigned[f.ID]
		f.Owner, f.Due, f.Since = cmp.Or(given.Owner, j.Owner), given.Due, j.First[f.ID]
		if f.Since.IsZero() {
			f.Since = j.At
		}
	}
	switch {
	case j.lost:
		j.a.Answer = recovery.WouldNot
	case j.doubt:
		j.a.Answer = recovery.NotKnown
	case len(j.a.Findings) > 0:
		j.a.Answer = recovery.WouldBut
	default:
		j.a.Answer = recovery.WouldSave
	}
}

// component judges one component in all copies.
func (j *judge) component(c recovery.Component) {
	s := recovery.ComponentStanding{Component: c.Name, Kind: c.Kind, RPO: recovery.Unknown}
	refused, there := 0, 0
	inService := recovery.InService(j.Catalogue.Of(c.Name), time.Time{}) // the cluster that was backed up last
	for _, cp := range j.Copies {
		in, newest := j.inCopy(c, cp, inService)
		s.Copies = append(s.Copies, in)
		switch in.Mark {
		case recovery.Unknown:
			refused++
		case recovery.Met:
			there++
		}
		if newest.After(s.Newest) {
			s.Newest = newest
		}
	}
	s.Named = j.named(c)
	switch {
	case there > 0:
		j.absent(c, s)
		j.cluster(c)
		j.rpo(c, &s)
	case j.atHome(c, &s):
		j.find("none/"+c.Name, recovery.NotMet, "keep a backup in a copy, too, of another account or provider",
			"%s: no copy holds a backup; only where it lives there is something to restore", c.Name)
		j.rpo(c, &s)
	case !j.known(c):
		j.doubt = true
		j.find("engine/"+c.Name, recovery.Unknown, "use a version of comeback that has one, or another `with:`", "%s: no engine of this version looks for %s", c.Name, c.Kind)
	case refused > 0:
		j.doubt = true
	default:
		s.RPO = recovery.NotMet
		j.fatal("none/"+c.Name, fmt.Sprintf("take one: comeback backup %s %s", j.Path, c.Name), "%s: no copy holds a backup that can be restored%s", c.Name, j.remarks(c.Name))
	}
	j.a.Components = append(j.a.Components, s)
}

// remarks are what surveys have found for a component that is nothing to mend by itself,
// but may say why they have found no backup.
func (j *judge) remarks(component string) string {
	var all strings.Builder
	for _, s := range j.Catalogue.Surveys {
		for _, f := range s.Findings {
			if s.Component == component && f.Do == "" {
				fmt.Fprintf(&all, "; %s: %s", s.Copy, strings.TrimSpace(f.Object+" "+f.Says))
			}
		}
	}
	return all.String()
}

// atHome finds the newest moment of what is kept where the component lives.
func (j *judge) atHome(c recovery.Component, s *recovery.ComponentStanding) (usable bool) {
	for _, survey := range j.all {
		if survey.Component != c.Name {
			continue
		}
		to, is := j.reach(Copy{}, survey)
		if usable = usable || is; to.After(s.Newest) {
			s.Newest = to
		}
	}
	return usable
}

// cluster holds the live server against what was backed up last: a server that was built
// anew, or upgraded, is another cluster, and needs a base backup of its own before anything
// of its log can be restored.
func (j *judge) cluster(c recovery.Component) {
	s, ok := j.Servers[c.Name]
	if !ok || s.Err != nil || s.BackedUp == "" || s.SystemIdentifier == "" || s.BackedUp == s.SystemIdentifier {
		return
	}
	j.find("cluster/"+c.Name, recovery.NotMet, fmt.Sprintf("take a base backup of it: comeback backup %s %s", j.Path, c.Name),
		"%s: the live server is the cluster %s, and the newest base backup is of the cluster %s, so that nothing of the live server's log can be restored", c.Name, s.SystemIdentifier, s.BackedUp)
}

// rpo holds the newest moment against the RPO.
func (j *judge) rpo(c recovery.Component, s *recovery.ComponentStanding) {
	s.Unchanged = j.unchanged(c, s.Newest)
	s.Lag = j.lag(c, *s)
	switch age := j.At.Sub(s.Newest); {
	case s.Newest.IsZero():
		j.find("rpo/"+c.Name, recovery.Unknown, "see comeback moments "+j.Path, "%s: what can be restored ends at a moment that is not known", c.Name)
	case j.RPO == 0:
	case s.Unchanged, age <= j.RPO, j.follows(c):
		s.RPO = recovery.Met
	default:
		s.RPO = recovery.NotMet
		j.find("rpo/"+c.Name, recovery.NotMet, j.oftener(c), "%s: its newest moment is %s old, the RPO is %s%s", c.Name, recovery.FormatSpan(age), recovery.FormatSpan(j.RPO), lagging(s.Lag))
	}
	if j.RPO == 0 || s.RPO == recovery.NotMet || s.Newest.IsZero() {
		return
	}
	// One copy is fresh; those that are far behind it are no copies of today.
	for _, in := range s.Copies {
		behind, late := s.Newest.Sub(in.Newest), max(2*j.RPO, 2*j.every(c.Name, in.Copy))
		logged := slices.ContainsFunc(s.Copies, func(other recovery.CopyStanding) bool {
			return other.Newest.Equal(s.Newest) && j.logged(c.Name, other.Copy)
		})
		if logged { // a copy that gets the log is as far as the others, however seldom backups come
			late = 2 * j.RPO
		}
		switch {
		case in.Mark != recovery.Met || in.Newest.IsZero() || behind <= late || in.Says == gapped: // and what is missing is told
		case logged && !j.logged(c.Name, in.Copy):
			j.find("log/"+c.Name+"/"+in.Copy, recovery.NotMet, "let comeback wal push bring it there, too, and take a base backup into it",
				"%s: no log of %s is in it, which others have: only its whole backups can be restored, and it is %s behind", in.Copy, c.Name, recovery.FormatSpan(behind))
		default:
			j.find("behind/"+c.Name+"/"+in.Copy, recovery.NotMet, "see what brings backups there; comeback backup and comeback wal push name the copies that they miss",
				"%s: %s is %s behind the other copies", in.Copy, c.Name, recovery.FormatSpan(behind))
		}
	}
}

// lag is how far the log in the copies is behind a live server: a standby, and an
// archive whose end nobody knows, tell none.
func (j *judge) lag(c recovery.Component, standing recovery.ComponentStanding) *recovery.LogLag {
	s, ok := j.Servers[c.Name]
	if !ok || s.Err != nil || s.InRecovery || s.Held == 0 || s.LSN == 0 {
		return nil
	}
	l := recovery.LogLag{}
	if s.LSN > s.Held {
		l.Bytes = int64(s.LSN - s.Held)
	}
	if !standing.Newest.IsZero() && s.Commit.After(standing.Newest) {
		l.Time = recovery.Duration(s.Commit.Sub(standing.Newest))
	}
	return &l
}

// lagging says how much of the log no copy has.
func lagging(l *recovery.LogLag) string {
	if l == nil || l.Bytes == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of its log are in no copy", recovery.FormatBytes(l.Bytes))
}

// logged reports whether a copy holds log that leads on from a backup in it.
func (j *judge) logged(component, copy string) bool {
	return slices.ContainsFunc(j.Catalogue.Surveys, func(s recovery.Survey) bool {
		return s.Component == component && s.Copy == copy && s.NewestWindow() != nil
	})
}

// follows reports whether a copy holds all of a server's log but what the server has
// not kept for longer than the RPO: however old the newest commit is that the copy has,
// those that it lacks are younger than archive_timeout.
func (j *judge) follows(c recovery.Component) bool {
	s, ok := j.Servers[c.Name]
	if !ok || s.Err != nil || s.InRecovery || s.Mode == "off" || s.Failing() || s.Held == 0 || s.SegmentSize == 0 ||
		s.ArchiveTimeout == 0 || s.ArchiveTimeout > j.RPO {
		return false
	}
	// Else closed segments wait for their archive_command, nobody knows for how long.
	// What it took last does not tell: that may be the label of a base backup.
	return s.Held >= s.LSN-s.LSN%recovery.LSN(s.SegmentSize)
}

// oftener says how a component gets fresher backups.
func (j *judge) oftener(c recovery.Component) string {
	if c.Kind == recovery.Postgres {
		if j.archives(c.Name) {
			return "see why the log does not come: comeback moments " + j.Path
		}
		return "archive the log: " + j.archiveCommand(c)
	}
	// Twice in that time: what a backup holds is as old as its beginning.
	if every := j.every(c.Name, ""); every > j.RPO*2/3 {
		return fmt.Sprintf("back it up each %s, not each %s, or owe less by the runbook's `rpo:` and have that signed", recovery.FormatSpan(j.RPO/2), recovery.FormatSpan(every))
	}
	return fmt.Sprintf("back it up: comeback backup %s %s, and see why its job did not", j.Path, c.Name)
}

// archiveCommand is what a server is to be told to bring its log by.
func (j *judge) archiveCommand(c recovery.Component) string {
	return "archive_command = 'comeback wal push " + j.Path + " %p" + j.ofDatabase(c.Name) + "'"
}

// ofDatabase names a database in a command about the log, where there are several.
func (j *judge) ofDatabase(component string) string {
	databases := 0
	for _, c := range j.Components {
		if c.Kind == recovery.Postgres {
			databases++
		}
	}
	if databases < 2 {
		return ""
	}
	return " --component " + component
}

// archives reports whether any copy has a window of a component.
func (j *judge) archives(component string) bool {
	for _, s := range j.Catalogue.Surveys {
		if s.Component == component && len(s.Windows) > 0 {
			return true
		}
	}
	return false
}

// unchanged reports whether nothing has changed at the source since a moment.
func (j *judge) unchanged(c recovery.Component, newest time.Time) bool {
	if s, ok := j.Servers[c.Name]; ok && s.Err == nil {
		return !s.Commit.IsZero() && !s.Commit.After(newest)
	}
	source := j.Sources[c.Name]
	if source.Fingerprint == "" {
		return false
	}
	for _, cp := range j.Copies {
		if m := j.newestManifest(cp, c.Name); m != nil && m.Fingerprint == source.Fingerprint {
			return true
		}
	}
	return false
}

// newestManifest is that of the newest backup of a component that a copy still
// holds.
func (j *judge) newestManifest(cp Copy, component string) *recovery.Manifest {
	for i := len(cp.Manifests) - 1; i >= 0; i-- {
		m := &cp.Manifests[i]
		if m.Component == component && j.holds(cp.Name, component, m.ID) {
			return m
		}
	}
	return nil
}

func (j *judge) holds(copy, component, id string) bool {
	for _, s := range j.Catalogue.Surveys {
		if s.Copy != copy || s.Component != component {
			continue
		}
		if slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == id && b.Problem == "" }) {
			return true
		}
	}
	return false
}

// named is the commit that the newest bundle of a component holds, if it is code.
func (j *judge) named(c recovery.Component) string {
	for _, cp := range j.Copies {
		if m := j.newestManifest(cp, c.Name); m != nil && len(m.Source["HEAD"]) >= 7 {
			return m.Source["HEAD"][:7]
		}
	}
	return ""
}
