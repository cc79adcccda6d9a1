package pitr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Survey lists base backups and the windows that the archive gives them. It
// judges the archive by its listing alone; it looks into the first bytes of
// some objects, and into the last segments, for the time of the last commit.
func (e *engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: e.name(), At: e.Now()}
	timeline, err := wantedTimeline(c)
	if err != nil {
		return s, err
	}
	repo, err := e.form.Find(ctx, c, copy, Access{Store: store, Temp: e.Temp})
	if err != nil || repo == nil {
		return s, err
	}
	contents, err := repo.Contents(ctx)
	if err != nil {
		return s, err
	}
	v := surveyor{engine: e, repo: repo, survey: &s, timeline: timeline}
	for i := range contents.Archives {
		a := contents.Archives[i]
		if err := errors.Join(a.learn(ctx, repo), e.marksApart(ctx, repo, store, &a, &contents)); err != nil {
			return s, err
		}
		x, findings, err := newIndex(ctx, repo, a)
		if err != nil {
			return s, err
		}
		v.indexes = append(v.indexes, x)
		s.Findings = append(s.Findings, findings...)
	}
	s.Findings = append(contents.Findings, s.Findings...)
	if err := v.date(ctx, store, contents.Bases); err != nil {
		return s, err
	}
	v.sort(contents.Bases)
	for _, b := range contents.Bases {
		if err := v.base(ctx, b); err != nil {
			return s, err
		}
	}
	v.archives(len(contents.Bases))
	v.clusters()
	return s, v.ends(ctx)
}

// clusters tells of the clusters that base backups are of, where there are several.
func (v *surveyor) clusters() {
	lineages := v.survey.Lineages()
	for i, older := range lineages[1:] {
		newer := lineages[i]
		v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: newer.Oldest().ID,
			Says: fmt.Sprintf("with it, of %s, begins another cluster than %s: times before it are those of that one", clock(newer.Oldest().Taken.Last()), clusterName(older))})
	}
}

// sort puts base backups in the order of their log, those of one cluster together, the
// cluster with the newest of all last.
func (v *surveyor) sort(all []Base) {
	systems, newest := map[string]string{}, map[string]time.Time{} // by id, by system
	for _, b := range all {
		x, _ := v.archiveOf(b)
		system := b.lineage(x).System
		systems[b.ID] = system
		for _, t := range []time.Time{b.Started, b.Ended} {
			if t.After(newest[system]) {
				newest[system] = t
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Base) int {
		s, t := systems[a.ID], systems[b.ID]
		return cmp.Or(newest[s].Compare(newest[t]), cmp.Compare(s, t), cmp.Compare(a.Start, b.Start))
	})
}

// learn reads the header of a segment, where nobody has told what the archive is of.
func (a *Archive) learn(ctx context.Context, r Repository) error {
	if a.SegmentSize != 0 {
		return nil
	}
	h, err := anyHeader(ctx, r, a.Files)
	if err != nil || h.System == "" {
		return err
	}
	if a.System == "" {
		a.System = h.System
	}
	a.Major, a.SegmentSize, a.PageSize = h.Major, h.SegmentSize, h.PageSize
	return nil
}

// surveyor fills a survey.
type surveyor struct {
	*engine
	repo     Repository
	survey   *recovery.Survey
	indexes  []*index
	timeline uint32
	// chains are those of the windows, in their order.
	chains []chain
}

// base adds a base backup and its windows.
func (v *surveyor) base(ctx context.Context, b Base) error {
	x, why := v.archiveOf(b)
	if err := v.finish(ctx, &b, x); err != nil {
		return err
	}
	f := facts{Layout: v.repo.Layout(), Base: b, Line: b.lineage(x), Timeline: v.timeline}
	f.Layout.Places, f.Layout.Others = nil, nil // those of this backup's own archive, if it has one
	var chains []chain
	left := false
	if b.Problem == "" {
		branches := []branch{newBranch(b.Timeline, nil)}
		if x != nil {
			f.Layout.Places, f.Layout.Others = x.Places, x.Others
			f.Stray, f.Dead = x.stray(), x.dead[b.Timeline].Dead
			branches = x.alive(x.branches(b.Timeline), v.timeline)
			if left = x.dead[b.Timeline].Dead && !goesOn(branches, b); left {
				b.Problem = x.dead[b.Timeline].says() + "; set the component's timeline to use it"
			}
		}
		for _, history := range branches {
			if !history.holds(b.Timeline, b.Stop) {
				continue
			}
			log := wal{branch: history, size: f.Line.SegmentSize}
			if x != nil {
				log = x.along(history)
			}
			c := log.after(b, f.Line)
			c.lies = x != nil && len(x.segments[history.timeline()]) > 0
			chains = append(chains, c)
			if c.whole() && c.reaches() {
				f.Branches = append(f.Branches, history)
			}
			if n := len(log.files); n > 0 {
				f.Archived = max(f.Archived, walfile.Start(log.files[n-1].Seg(log.size)+1, log.size))
			}
		}
		if b.Problem == "" {
			b.Problem = unusable(b, f.Line, chains, why)
		}
	}
	backup := recovery.Backup{ID: b.ID, Component: v.survey.Component, Copy: v.survey.Copy, Engine: v.name(),
		Form: b.form(), Objects: b.Objects, Stop: b.Stop, Timeline: b.Timeline, Problem: b.Problem, Left: left,
		Details: b.details(f.Line), Holds: b.holds(f.Line), Facts: f.encode()}
	switch {
	case !b.Ended.IsZero():
		backup.Taken = recovery.Span{From: b.Ended, To: b.Ended}
	case !b.Started.IsZero():
		backup.Taken = recovery.Span{From: b.Started}
	}
	if n := len(chains); n > 0 { // the newest timeline's
		for _, f := range chains[n-1].files {
			if f.at != nil && f.at.object != nil && !f.inside() {
				backup.Archived.Add(*f.at.object)
			}
		}
	}
	v.survey.Backups = append(v.survey.Backups, backup)
	if b.Problem == "" {
		v.windows(b, chains)
	}
	return nil
}

// goesOn reports whether one of the histories has a backup in it.
func goesOn(all []branch, b Base) bool {
	return slices.ContainsFunc(all, func(h branch) bool { return h.holds(b.Timeline, b.Stop) })
}

// archiveOf finds the archive that holds a backup's log; why says why there is
// none.
func (v *surveyor) archiveOf(b Base) (x *index, why string) {
	if len(v.indexes) == 0 {
		return nil, "there is no WAL archive in the copy"
	}
	var fit []*index
	for _, x := range v.indexes {
		if b.System != "" && x.System == b.System {
			return x, ""
		}
		if b.System == "" || x.System == "" {
			fit = append(fit, x)
		}
	}
	labelled := slices.IndexFunc(fit, func(x *index) bool { _, ok := x.labelOf(b); return ok })
	begun := slices.IndexFunc(fit, func(x *index) bool { return x.begins(b) })
	switch {
	case labelled >= 0:
		return fit[labelled], ""
	case begun >= 0 && slices.IndexFunc(fit[begun+1:], func(x *index) bool { return x.begins(b) }) < 0:
		return fit[begun], ""
	case len(fit) == 1:
		return fit[0], ""
	case len(fit) > 1:
		return nil, "the copy holds the WAL of several clusters, and nothing tells which is this backup's"
	}
	return nil, fmt.Sprintf("the WAL in the copy is of another cluster (its system identifier is %s, the backup's is %s)",
		v.indexes[0].System, b.System)
}

// date learns when segments were stored by which the archives of several clusters are told
// apart: those in which base backups begin that do not say whose they are. Files are kept
// without it.
func (v *surveyor) date(ctx context.Context, store storage.Store, bases []Base) error {
	if len(v.indexes) < 2 {
		return nil
	}
	for _, b := range bases {
		if b.System != "" {
			continue
		}
		for _, x := range v.indexes {
			for i, first := 0, x.first(b); i < len(first); i++ {
				o := first[i].Object()
				if !o.Modified.IsZero() {
					continue
				}
				switch found, err := store.Stat(ctx, o.Key); {
				case err == nil && found.Revision == o.Revision:
					first[i].Hold(found)
				case err != nil && broken(ctx, err):
					return fmt.Errorf("look when %s was stored: %w", o.Key, err)
				}
			}
		}
	}
	return nil
}

// first are the archive's files of the segment in which a backup's log begins.
func (x *index) first(b Base) []File {
	if x.SegmentSize == 0 || b.Start == 0 {
		return nil
	}
	seg := walfile.Number(b.Start, x.SegmentSize)
	return between(x.segments[b.Timeline], seg, seg+1, x.SegmentSize)
}

// begins reports whether the archive holds the segment in which a backup's log begins, and
// got it when the backup was taken: another cluster has segments of the same names.
func (x *index) begins(b Base) bool {
	return !b.Started.IsZero() && slices.ContainsFunc(x.first(b), func(f File) bool {
		stored := f.Object().Modified
		return stored.After(b.Started.Add(-time.Hour)) && stored.Before(b.Started.Add(3*24*time.Hour))
	})
}

// labelOf is the .backup file that a backup left in the archive.
func (x *index) labelOf(b Base) (File, bool) {
	if x.SegmentSize == 0 || b.Start == 0 {
		return File{}, false
	}
	name := walfile.OfSegment(b.Timeline, walfile.Number(b.Start, x.SegmentSize), x.SegmentSize)
	name.Kind, name.Offset = walfile.Label, uint32(uint64(b.Start)%uint64(x.SegmentSize))
	f, ok := x.labels[name.String()]
	return f, ok
}

// finish learns from the archive what the backup itself does not tell.
func (v *surveyor) finish(ctx context.Context, b *Base, x *index) error {
	if b.Problem != "" {
		return nil
	}
	if x != nil {
		if f, ok := x.labelOf(*b); ok {
			l, err := readLabelFile(ctx, v.repo, f)
			switch {
			case err == nil:
				if b.Stop == 0 {
					b.Stop = l.Stop
				}
				if t, ok := l.stopTime(b.Started); ok {
					b.Ended, b.AtStop = t, l.From != "standby"
				}
			case broken(ctx, err):
				return fmt.Errorf("read %s: %w", f.Object().Key, err)
			default:
				v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: f.Object().Key,
					Says: fmt.Sprintf("the history file of a backup cannot be read: %v", err), Do: "copy the file from the server's pg_wal again, or make a base backup"})
			}
		}
	}
	return nil
}

// unusable says why a backup cannot be restored; "" if it can.
func unusable(b Base, l lineage, chains []chain, noArchive string) string {
	switch {
	case b.Stop == 0:
		return "its end is not known: it has no backup_manifest, and the archive has no .backup file of it"
	case l.Major != 0 && l.Major < postgres.Oldest:
		return fmt.Sprintf("it is of PostgreSQL %d, and %d is the oldest that is restored", l.Major, postgres.Oldest)
	case slices.ContainsFunc(chains, chain.whole):
		return ""
	case noArchive != "":
		return "the log that it needs is missing: it brings none, and " + noArchive
	case len(chains) == 0:
		return fmt.Sprintf("timeline %d was left before the backup ended, and the archive has no log of it", b.Timeline)
	}
	c := chains[0]
	missing := "segment"
	if c.size() > 0 {
		missing = "segment " + walfile.SegmentName(c.branch.on(c.next(), c.size()), c.next(), c.size())
	}
	if len(c.gaps) > 0 && c.gaps[0].Why != "missing" {
		missing = c.gaps[0].Object
		return fmt.Sprintf("the log that it needs is broken: %s (%s)", missing, c.gaps[0].Why)
	}
	return fmt.Sprintf("the log that it needs is missing: it brings none, and %s is not in the archive", missing)
}

// details are for people and the report.
func (b Base) details(l lineage) map[string]string {
	d := map[string]string{}
	for key, value := range map[string]string{
		"label": b.Name, "taken from": b.From, recovery.SystemIdentifier: l.System,
	} {
		if value != "" {
			d[key] = value
		}
	}
	if l.Major != 0 {
		d["server"] = fmt.Sprintf("PostgreSQL %d", l.Major)
	}
	if b.Start != 0 {
		d["start"] = b.Start.String()
	}
	if !b.Started.IsZero() {
		d["started"] = b.Started.Format(time.RFC3339)
	}
	if len(b.Tablespaces) > 0 {
		d["tablespaces"] = fmt.Sprint(len(b.Tablespaces))
	}
	if b.Manifest == "" && b.Form == "" {
		d["manifest"] = "none beside it"
	}
	maps.Copy(d, b.Details)
	return d
}

// holds is how much is in a base backup: the size of its files or, where only its manifest
// tells that, of what is stored, without the log that it brings. One that is incremental tells
// how much has changed.
func (b Base) holds(l lineage) recovery.Holds {
	if b.Before != 0 || b.Delta || l.System == "" {
		return recovery.Holds{}
	}
	h := recovery.Holds{Bytes: b.Unpacked, Series: b.form() + " of " + l.System}
	if b.Unpacked > 0 {
		h.Series = "files of " + l.System
		return h
	}
	for _, o := range b.Objects {
		if !strings.HasPrefix(strings.TrimPrefix(o.Key, b.Root), "pg_wal") {
			h.Bytes += o.Size
		}
	}
	return h
}

// windows adds the windows of a backup, the newest timeline's last.
func (v *surveyor) windows(b Base, chains []chain) {
	for _, c := range slices.Backward(chains) {
		if !c.whole() || !c.reaches() {
			continue
		}
		v.survey.Windows = append(v.survey.Windows, recovery.Window{Component: v.survey.Component, Copy: v.survey.Copy, Engine: v.name(),
			Backup: b.ID, Timeline: c.branch.timeline(), From: recovery.Instant{Time: b.Ended, LSN: b.Stop},
			To: recovery.Instant{LSN: c.end()}, Gaps: c.gaps})
		v.chains = append(v.chains, c)
	}
}

// baseless reports whether no base backup is of an archive's cluster.
func (v *surveyor) baseless(x *index) bool {
	return !slices.ContainsFunc(v.survey.Backups, func(b recovery.Backup) bool {
		system := b.Details[recovery.SystemIdentifier]
		return system == "" || system == x.System
	})
}

// maxNamed bounds how many objects of the same fault are named.
const maxNamed = 5

// archives adds what is wrong with the archives as such.
func (v *surveyor) archives(bases int) {
	for _, x := range v.indexes {
		for _, timeline := range slices.Sorted(maps.Keys(x.dead)) {
			v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: x.newestPlace().Dir + walfile.HistoryName(timeline),
				Says: x.dead[timeline].says() + ": what came after the fork is not offered", Do: fmt.Sprintf("set `timeline: %d` of the component to go there all the same", timeline)})
		}
		if bases > 0 && x.System != "" && len(x.segments) > 0 && v.baseless(x) {
			v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: x.Places[0].Dir,
				Says: fmt.Sprintf("there is log of the cluster %s in it, of which the copy holds no base backup: nothing can be restored from that log", x.System)})
		}
		if bases == 0 && len(x.segments) > 0 {
			v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: x.Places[0].Dir,
				Says: "there is a WAL archive but no base backup, so nothing can be restored from it",
				Do:   "make one with pg_basebackup, and store it in this copy"})
		}
		counts := map[string]int{}
		for _, files := range x.segments {
			for _, f := range files {
				why := fault(f, x.SegmentSize)
				if why == "" {
					continue
				}
				if counts[why]++; counts[why] <= maxNamed {
					v.survey.Findings = append(v.survey.Findings, recovery.Finding{Object: f.Object().Key,
						Says: fmt.Sprintf("segment of %d bytes (%s): the log cannot be replayed past it", f.size(), why),
						Do:   "copy it again from the server's pg_wal while it is still there, and make a base backup"})
				}
			}
		}
		for why, n := range counts {
			if n > maxNamed {
				v.survey.Findings = append(v.survey.Findings, recovery.Finding{Says: fmt.Sprintf("%d more segments: %s", n-maxNamed, why)})
			}
		}
	}
}

// maxEnds bounds how many ends of windows are read.
const maxEnds = 3

// endDepth is how many segments an end is looked for in.
const endDepth = 3

// ends reads the times of the last commits. Where the log cannot be read here,
// times stay unknown and a finding says why.
func (v *surveyor) ends(ctx context.Context) error {
	type end struct {
		timeline uint32
		next     uint64
	}
	known := map[end]time.Time{}
	for i := len(v.chains) - 1; i >= 0; i-- {
		c := v.chains[i]
		key := end{c.branch.timeline(), c.next()}
		t, ok := known[key]
		if !ok && len(known) >= maxEnds {
			continue
		}
		if !ok {
			var err error
			if t, err = v.lastCommit(ctx, c); err != nil {
				if broken(ctx, err) && !errors.Is(err, ErrUncertain) {
					return err
				}
				v.survey.Findings = append(v.survey.Findings, recovery.Finding{
					Says: fmt.Sprintf("the end of the window of %s is not known: %v", c.base.ID, err), Do: cmp.Or(recovery.HintOf(err), "look at what the last segments hold: copy them again from the server's pg_wal")})
			}
			known[key] = t
		}
		if t.After(c.base.Ended) {
			v.survey.Windows[i].To.Time = t
		}
	}
	return nil
}

// lastCommit is the time of a chain's last commit, if one of the last segments
// has one.
func (v *surveyor) lastCommit(ctx context.Context, c chain) (time.Time, error) {
	if n := len(c.files); n > endDepth {
		c.base.Start, c.files = walfile.Start(c.next()-endDepth, c.size()), c.files[n-endDepth:]
	}
	reader, err := v.open(v.repo, c)
	if err != nil {
		return time.Time{}, err
	}
	r, _, err := reader.commitBefore(ctx, c.end())
	return r.Time, errors.Join(err, reader.Close())
}
