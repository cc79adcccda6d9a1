package pitr

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// pointFacts are what the engine keeps with a point, for the steps.
type pointFacts struct {
	Layout Layout  `json:"layout"`
	Base   Base    `json:"base"`
	Line   lineage `json:"line"`
	// Branch is the history to follow; its last timeline is the point's.
	Branch branch `json:"branch"`
	// Needs is the end of the last record that must be read to stop.
	Needs recovery.LSN `json:"needs"`
	// Unpacked is the size of the backup's files, 0 where not known. Of a chain it
	// is that of all its backups and of what they are combined to.
	Unpacked int64 `json:"unpacked,string,omitempty"`
	// Look is where people look before the point is final, where that was
	// asked for. It is the point's alone; no step has it.
	Look *lookAt `json:"look,omitempty"`
}

// Resolve finds the record to stop at, and the base backup to start from. It
// reads a few segments of the log; nothing is guessed from a clock.
func (e *engine) Resolve(ctx context.Context, survey recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	if want.Table != "" {
		return recovery.Point{}, recovery.Errorf("ask a dump for it, or look at the paused copy with --look, before it is opened",
			"a base backup and its log come back whole, not one table of them").WithExit(recovery.Refused)
	}
	return e.resolveIn(ctx, survey.Lineages(), want, store)
}

// resolve finds them in the backups of one cluster.
func (r *resolver) resolve(ctx context.Context) (recovery.Point, error) {
	if err := r.choose(); err != nil {
		return recovery.Point{}, err
	}
	if err := r.oneLineage(ctx); err != nil {
		return recovery.Point{}, err
	}
	if r.want.Kind == recovery.WantBackup {
		return r.ofBackup(ctx)
	}
	for i := range r.bases {
		p, err := r.try(ctx, r.bases[i])
		if !errors.Is(err, errEarlier) {
			return p, err
		}
	}
	return recovery.Point{}, r.beforeFirst()
}

// errEarlier: the moment is before the first that the backup can be taken to.
var errEarlier = errors.New("before the end of the base backup")

// resolver turns one want into a point.
type resolver struct {
	*engine
	survey recovery.Survey
	want   recovery.Want
	store  storage.Store
	// branch is the history that is followed, bases the backups on it, the
	// newest first.
	branch   branch
	bases    []facts
	warnings []string
}

// choose picks the history and the backups on it.
func (r *resolver) choose() error {
	var all []facts
	var why string
	for _, b := range r.survey.Backups {
		if b.Problem != "" {
			why = fmt.Sprintf("%s: %s", b.ID, b.Problem)
			continue
		}
		f, err := decodeFacts(b)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		if why != "" {
			return recovery.Errorf("look into another copy, or repair this one", "%s holds no base backup that can be restored: %s", r.survey.Copy, why).WithExit(recovery.Refused)
		}
		return recovery.Errorf("look into another copy", "%s holds no base backup of %s", r.survey.Copy, r.survey.Component).WithExit(recovery.Refused)
	}
	slices.SortFunc(all, func(a, b facts) int { return cmp.Compare(b.Base.Stop, a.Base.Stop) })
	asked := all[0].Timeline
	var known []uint32
	for _, f := range all {
		for _, b := range f.Branches {
			known = append(known, b.timeline())
			newer := r.branch == nil || b.timeline() > r.branch.timeline()
			if asked == b.timeline() || asked == 0 && newer {
				r.branch = b
			}
		}
	}
	slices.Sort(known)
	if r.branch == nil {
		return recovery.Errorf("correct the setting timeline of the component, or leave it out",
			"no base backup in %s leads to timeline %d; there are %v", r.survey.Copy, asked, slices.Compact(known)).WithExit(recovery.Refused)
	}
	for _, f := range all {
		if slices.ContainsFunc(f.Branches, func(b branch) bool { return b.timeline() == r.branch.timeline() }) {
			r.bases = append(r.bases, f)
		}
	}
	return nil
}

// oneLineage refuses to choose between two histories that both go on: a copy
// that was promoted somewhere and archived into the same place makes a newer
// timeline, which must not be taken for the system's own.
func (r *resolver) oneLineage(ctx context.Context) error {
	if r.bases[0].Timeline != 0 { // the runbook chose
		return nil
	}
	var ours, until time.Time
	judged := []uint32{r.branch.timeline()}
	for _, w := range slices.Backward(r.survey.Windows) {
		if slices.Contains(judged, w.Timeline) {
			continue // windows of older backups end in the same place
		}
		judged = append(judged, w.Timeline)
		i := slices.IndexFunc(r.survey.Backups, func(b recovery.Backup) bool { return b.ID == w.Backup })
		if i < 0 {
			continue
		}
		f, err := decodeFacts(r.survey.Backups[i])
		if err != nil {
			return err
		}
		j := slices.IndexFunc(f.Branches, func(b branch) bool { return b.timeline() == w.Timeline })
		if j < 0 || w.To.LSN <= parting(f.Branches[j], r.branch) {
			continue // it is left behind at the fork
		}
		theirs, err := r.lastOf(ctx, f, f.Branches[j])
		if err != nil {
			return err
		}
		if ours.IsZero() {
			if ours, until, err = r.inService(ctx); err != nil {
				return err
			}
		}
		if theirs.Time.After(until) {
			return recovery.Errorf(fmt.Sprintf("find out which one was in service, and set timeline: %d or timeline: %d of the component", w.Timeline, r.branch.timeline()),
				"the archive holds two histories: timeline %d goes on to %s, and timeline %d, which is newer, to %s",
				w.Timeline, clock(theirs.Time), r.branch.timeline(), clock(ours)).WithExit(recovery.Refused)
		}
	}
	return nil
}

// inService is the last sign of life on the history that is followed: its last commit,
// or the newest base backup that was taken on its own timeline. A recovery ends with
// one, before anybody may have written anything. It was there at a time, and maybe until
// the end of the second that a label tells.
func (r *resolver) inService(ctx context.Context) (at, until time.Time, err error) {
	for _, f := range r.bases {
		last, err := r.lastOf(ctx, f, r.branch)
		if err != nil {
			return at, until, err
		}
		at, until = last.Time, last.Time
		if f.Base.Timeline == r.branch.timeline() {
			if taken, end := f.Base.taken(); end.After(until) {
				at, until = taken, end
			}
		}
		if !at.IsZero() {
			break // older ones tell of what was before
		}
	}
	return at, until, nil
}

// parting is where two histories of the same cluster part.
func parting(a, b branch) recovery.LSN {
	for i := range min(len(a), len(b)) {
		if a[i].Timeline != b[i].Timeline {
			return a[i].From
		}
		if a[i].To != b[i].To {
			return min(a[i].To-1, b[i].To-1) + 1 // an open end is the later one
		}
	}
	return 0
}

// lastOf is the last commit of a history.
func (r *resolver) lastOf(ctx context.Context, f facts, b branch) (recovery.Commit, error) {
	var last recovery.Commit
	err := r.reading(ctx, f, b, func(l *logReader) error {
		c, ok, err := l.commitBefore(ctx, l.log.end())
		if ok {
			last = l.commit(c)
		}
		return err
	})
	return last, err
}

// reading opens the chain of a backup, freshly listed. When it comes upon a
// segment of no use it starts again with the chain up to there: damage in the
// archive is a gap.
func (r *resolver) reading(ctx context.Context, f facts, b branch, do func(*logReader) error) error {
	repo, err := r.enter(f.Layout, r.store)
	if err != nil {
		return err
	}
	log, err := listLog(ctx, repo, b, f.Line, walfile.Number(f.Base.Start, f.Line.SegmentSize), f.Archived)
	if err != nil {
		return err
	}
	c := log.after(f.Base, f.Line)
	for {
		if !c.whole() {
			return r.brokenStart(c)
		}
		l, err := r.open(repo, c)
		if err != nil {
			return err
		}
		err = do(l)
		if closing := l.Close(); closing != nil {
			return errors.Join(err, closing)
		}
		var d *damagedLog
		if !errors.As(err, &d) || d.Seg < c.first() || d.Seg >= c.next() {
			return err
		}
		c = c.before(d)
	}
}

// backDepth is how many segments before a backup are looked through for the
// last commit that it holds.
const backDepth = 32

// commitBeforeBackup finds the last commit before the log of a chain's backup,
// in what the archive holds from before it. There may be none to be found.
func (r *resolver) commitBeforeBackup(ctx context.Context, l *logReader) (record, bool, error) {
	c := l.log
	first := c.first()
	from := first - min(first, backDepth)
	log, err := listLog(ctx, l.repo, c.branch, c.line, from, c.base.Start)
	if err != nil {
		return record{}, false, err
	}
	end := sort.Search(len(log.files), func(i int) bool { return log.files[i].Seg(log.size) >= first })
	begin := end
	for begin > 0 && log.files[begin-1].Seg(log.size) == first-uint64(end-begin)-1 && fault(log.files[begin-1], log.size) == "" {
		begin--
	}
	if begin == end {
		return record{}, false, nil
	}
	// With the backup's first segment, for a record that goes over into it.
	c.files = append(slices.Clone(log.files[begin:end]), c.files[0])
	c.base.Start = walfile.Start(log.files[begin].Seg(log.size), log.size)
	before, err := r.open(l.repo, c)
	if err != nil {
		return record{}, false, err
	}
	kept, ok, err := before.commitBefore(ctx, l.log.base.Start)
	var d *damagedLog
	if errors.As(err, &d) {
		err = nil // then it is not known; what is restored does not need that log
	}
	return kept, ok && err == nil, errors.Join(err, before.Close())
}

// commit is a record as a commit of the point.
func (l *logReader) commit(r record) recovery.Commit {
	return r.commit(l.line.SegmentSize, l.line.PageSize)
}

// end is where a record ends: one that switches to the next segment, with its own.
func (l *logReader) end(r record) recovery.LSN {
	if r.Kind == switchRecord {
		return walfile.Start(walfile.Number(r.LSN, l.line.SegmentSize)+1, l.line.SegmentSize)
	}
	return xlog.RecordEnd(r.LSN, r.Total, l.line.SegmentSize, l.line.PageSize)
}

// try resolves the want within the chain of one backup.
func (r *resolver) try(ctx context.Context, f facts) (p recovery.Point, err error) {
	if r.want.Kind == recovery.WantTime && r.want.Time.Before(f.Base.Ended) || r.want.Kind == recovery.WantLSN && r.want.LSN < f.Base.Stop {
		return p, errEarlier
	}
	err = r.reading(ctx, f, r.branch, func(l *logReader) error {
		c, err := r.cut(ctx, l)
		if err == nil {
			p, err = r.point(ctx, l, f, c)
		}
		return err
	})
	if errors.Is(err, errNoLog) { // an older backup may still lead there
		r.warnings = append(r.warnings, err.Error())
		return p, errEarlier
	}
	return p, err
}

// ofBackup resolves to the end of one backup.
func (r *resolver) ofBackup(ctx context.Context) (p recovery.Point, err error) {
	i := slices.IndexFunc(r.survey.Backups, func(b recovery.Backup) bool { return b.ID == r.want.Backup })
	if i < 0 {
		return p, recovery.Errorf("list them with: comeback moments RUNBOOK", "%s holds no base backup %q", r.survey.Copy, r.want.Backup).WithExit(recovery.Refused)
	}
	if why := r.survey.Backups[i].Problem; why != "" {
		return p, recovery.Errorf("choose another backup", "base backup %s cannot be restored: %s", r.want.Backup, why).WithExit(recovery.Refused)
	}
	f, err := decodeFacts(r.survey.Backups[i])
	if err != nil {
		return p, err
	}
	own := newBranch(f.Base.Timeline, nil)
	if len(f.Branches) > 0 {
		own = f.Branches[0].upTo(f.Base.Timeline)
	}
	err = r.reading(ctx, f, own, func(l *logReader) error {
		p, err = r.point(ctx, l, f, cut{endOfBackup, f.Base.Stop})
		return err
	})
	if errors.Is(err, errEarlier) {
		return p, recovery.Errorf("choose a moment soon after it, or another backup",
			"base backup %s ended while a database or tablespace was being dropped: its files are gone, the drop is not committed", r.want.Backup).WithExit(recovery.Refused)
	}
	return p, err
}

// point builds the point for a cut: what is kept, what is lost, and the record
// to stop at.
func (r *resolver) point(ctx context.Context, l *logReader, f facts, c cut) (recovery.Point, error) {
	p := recovery.Point{Component: r.survey.Component, Copy: r.survey.Copy, Engine: r.name(), Exactness: recovery.ToCommit}
	i := slices.IndexFunc(r.survey.Backups, func(b recovery.Backup) bool { return b.ID == f.Base.ID })
	p.Backup = r.survey.Backups[i]
	s, err := r.stop(ctx, l, f, c)
	if err != nil {
		return p, err
	}
	p.Kept, p.Lost, p.Stop, p.Inclusive = s.kept, s.lost, s.at, s.inclusive
	known := []time.Time{p.Kept.Time, f.Base.Ended, f.Base.Started}
	if !f.Base.AtStop { // it may hold nothing of after its start
		known[1], known[2] = known[2], known[1]
	}
	for _, t := range known {
		if p.Time.IsZero() {
			p.Time = t
		}
	}
	// No stop is before that of the backup. Where the last commit is, none came between.
	if f.Base.AtStop && p.Kept.LSN < f.Base.Stop && f.Base.Ended.After(p.Time) {
		p.Unchanged = f.Base.Ended
	}
	p.Follows = r.follows(l, f)
	facts := pointFacts{Layout: f.Layout, Base: f.Base, Line: l.line, Needs: s.needs}
	if facts.Branch, err = r.follow(ctx, l, f, s); err != nil {
		return p, err
	}
	if facts.Unpacked, p.Configuration, err = r.unpacked(ctx, f); err != nil {
		return p, err
	}
	if r.want.Look {
		if facts.Look, err = r.lookAt(ctx, l, f, s); err != nil {
			return p, err
		}
	}
	p.Timeline = facts.Branch.timeline()
	if p.Beside, err = r.beside(ctx, s.at); err != nil {
		return p, err
	}
	p.Along = r.branch.timeline()
	p.Bytes = p.Backup.Size() + l.log.bytes(s.needs)
	p.Warnings = slices.Concat(r.warnings, f.Base.Warnings, s.warnings)
	p.Says = s.says(f)
	if p.Facts, err = json.Marshal(facts); err != nil {
		return p, fmt.Errorf("encode the facts of the point: %w", err)
	}
	return p, nil
}

// beside are the timelines, other than that of the history that is followed, whose log
// goes on after the fork, and after what is wanted, which a position may be known of. There
// are none where the runbook chose.
func (r *resolver) beside(ctx context.Context, at recovery.LSN) ([]uint32, error) {
	if r.bases[0].Timeline != 0 {
		return nil, nil
	}
	var others []uint32
	judged := []uint32{r.branch.timeline()}
	for _, w := range slices.Backward(r.survey.Windows) {
		if slices.Contains(judged, w.Timeline) {
			continue // windows of older backups end in the same place
		}
		judged = append(judged, w.Timeline)
		f, b, err := r.history(w)
		if err != nil {
			return nil, err
		}
		if b == nil || w.To.LSN <= parting(b, r.branch) {
			continue
		}
		after := w.To.LSN > at
		if r.want.Kind == recovery.WantTime { // past the fork, a position on one history tells nothing of another
			last, err := r.lastOf(ctx, f, b)
			if err != nil {
				return nil, err
			}
			after = last.Time.After(r.want.Time)
		}
		if after {
			others = append(others, w.Timeline)
		}
	}
	slices.Sort(others)
	return others, nil
}

// history is that of a window, and its backup; nil where that does not know it.
func (r *resolver) history(w recovery.Window) (facts, branch, error) {
	b, ok := r.survey.Named(w.Backup)
	if !ok {
		return facts{}, nil, nil
	}
	f, err := decodeFacts(b)
	if err != nil {
		return f, nil, err
	}
	i := slices.IndexFunc(f.Branches, func(b branch) bool { return b.timeline() == w.Timeline })
	if i < 0 {
		return f, nil, nil
	}
	return f, f.Branches[i], nil
}

// follow chooses the timeline to recover along: the one that the stop lies on,
// so that the server opens a timeline that branches off there. Its ancestors'
// last segment may exist on the younger timeline alone; then that is followed.
func (r *resolver) follow(ctx context.Context, l *logReader, f facts, s stop) (branch, error) {
	b := l.log.branch
	on := b.at(s.at)
	if on == b.timeline() {
		return b, nil
	}
	own := b.upTo(on)
	log, err := listLog(ctx, l.repo, own, f.Line, walfile.Number(f.Base.Start, f.Line.SegmentSize), s.needs)
	if err != nil {
		return nil, err
	}
	if log.after(f.Base, f.Line).end() >= s.needs {
		return own, nil
	}
	return b, nil
}

// unpacked sums up the files of a backup and of those that it is combined with, which lie
// beside what comes of them for a while; that is about as large as the largest of them. It
// is 0 where one does not tell. Where the manifest tells, it says where the configuration is.
func (r *resolver) unpacked(ctx context.Context, f facts) (int64, recovery.Configuration, error) {
	if f.Base.Unpacked > 0 {
		return f.Base.Unpacked, "", nil
	}
	if len(f.Base.Chain) == 0 {
		return r.manifested(ctx, f.Base)
	}
	var all, largest int64
	var where recovery.Configuration // the last one's, of which the data directory is made
	for _, part := range f.Base.parts() {
		size, is, err := r.manifested(ctx, part)
		if err != nil || size == 0 {
			return 0, "", err
		}
		all, largest, where = all+size, max(largest, size), is
	}
	return all + largest, where, nil
}

// manifested reads a backup's manifest, proves its checksum and sums up its files, and says
// whether the server's configuration is among them.
func (r *resolver) manifested(ctx context.Context, b Base) (size int64, where recovery.Configuration, err error) {
	i := slices.IndexFunc(b.Objects, func(o storage.Object) bool { return o.Key == b.Manifest })
	if i < 0 {
		return 0, "", nil
	}
	in := storage.NewReader(ctx, r.store, b.Objects[i], r.Read)
	defer in.Close()
	where = recovery.ConfigurationOutside
	m, err := parseManifest(in, func(path string, _ manifestFile) {
		if path == "postgresql.conf" {
			where = recovery.ConfigurationWithin
		}
	})
	if err != nil {
		return 0, "", recovery.Errorf("choose another backup, or another copy", "read %s: %w", b.Manifest, err)
	}
	return m.Size, where, nil
}
