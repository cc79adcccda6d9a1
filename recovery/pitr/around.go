package pitr

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

var _ recovery.Scanner = (*engine)(nil)

// Scan reads what the transactions of a span did, the newest first, along the
// history that moments are resolved on. Where the log has a gap or damage, it
// goes on before it, and the error that it yields last says what was not read.
//
// It unpacks a few segments at a time into the temporary directory, which is
// empty again when the iteration is over, however it ends.
func (e *engine) Scan(ctx context.Context, o recovery.ScanOptions) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		a := newAround(e, o, yield)
		err := a.read(ctx)
		if !a.enough && err != nil {
			yield(recovery.Transaction{}, err)
		}
	}
}

// around is one scan.
type around struct {
	*engine
	options recovery.ScanOptions
	// point, where it is not nil, asks for all that ended at a record that
	// begins at after or later, instead of a span; where until is not 0, only
	// for what the log has before it, along the point's own history.
	point *pointFacts
	after recovery.LSN
	until recovery.LSN
	// end is where the log ends, along the history that is read.
	end   recovery.LSN
	along branch
	repo  Repository
	line  lineage
	// runs are the parts of the log that have no gap, the newest last.
	runs []chain
	// saved are the names that the copy has beside its backups.
	saved *savedNames
	// using are the names for the part that is read now.
	using recovery.Names
	// unread says what could not be read.
	unread []string
	yield  func(recovery.Transaction, error) bool
	// enough says that whoever iterates wants no more.
	enough bool
	// lowest is where the oldest transaction ends that was yielded; 0 is none.
	lowest recovery.LSN
	sizes  sizes
	// done and total are bytes of log, of the runs that were read.
	done, total int64
}

func newAround(e *engine, o recovery.ScanOptions, yield func(recovery.Transaction, error) bool) *around {
	return &around{engine: e, options: o, yield: yield, sizes: sizes{since: map[sizeKey]int64{}, lost: map[sizeKey]bool{}}}
}

func (a *around) read(ctx context.Context) error {
	if err := a.list(ctx); err != nil {
		return err
	}
	for older := true; older && len(a.runs) > 0 && !a.enough; {
		var err error
		run := a.runs[len(a.runs)-1]
		a.runs = a.runs[:len(a.runs)-1]
		if older, err = a.run(ctx, run); err != nil {
			return err
		}
	}
	if len(a.unread) == 0 {
		return nil
	}
	return recovery.Errorf("what happened there may still be in another copy, or in the server's pg_wal: try --copy",
		"a part of the log was not read: %s", strings.Join(a.unread, "; ")).WithExit(recovery.WithExceptions)
}

// list lists the log from the oldest base backup on that leads along the
// history.
func (a *around) list(ctx context.Context) error {
	layout, start, along, seen, err := a.where()
	if err != nil {
		return err
	}
	a.along = along
	if a.repo, err = a.enter(layout, a.options.Store); err != nil {
		return err
	}
	if a.saved, err = openNames(ctx, a.options, a.line, a.Read); err != nil {
		return err
	}
	first := walfile.Number(start, a.line.SegmentSize)
	log, err := listLog(ctx, a.repo, along, a.line, first, seen)
	if err != nil {
		return err
	}
	a.runs = log.runs(first, a.line)
	if n := len(a.runs); n > 0 {
		a.end = a.runs[n-1].end()
	}
	return nil
}

// where says where the log lies and where it is read from, which history it is of,
// and up to where it is known to go on.
func (a *around) where() (layout Layout, start recovery.LSN, along branch, seen recovery.LSN, err error) {
	if p := a.point; p != nil && a.until != 0 {
		a.line = p.Line
		return p.Layout, p.Base.Start, p.Branch, a.until, nil
	}
	of := a.options.Survey.LineageAt(a.options.Span.To)
	if a.point != nil {
		of = a.options.Survey.Lineage(a.point.Line.System)
	}
	r := &resolver{engine: a.engine, survey: of, store: a.options.Store}
	if err := r.choose(); err != nil {
		return layout, 0, nil, 0, err
	}
	oldest := r.oldest(a.options.Span.From)
	layout, start, along, seen = oldest.Layout, oldest.Base.Start, r.branch, r.bases[0].Archived
	a.line = oldest.Line
	if p := a.point; p != nil {
		layout, start, a.line = p.Layout, p.Base.Start, p.Line
		if !along.holds(p.Branch.timeline(), a.after) {
			along = p.Branch // a history beside the one that moments are resolved on
		}
	}
	return layout, start, along, seen, nil
}

// oldest is the backup whose log is the first to be read for a span: the second
// that ended before it, for what was under way when the first did.
func (r *resolver) oldest(from time.Time) facts {
	before := 0
	for _, f := range r.bases {
		if !f.Base.Ended.IsZero() && f.Base.Ended.Before(from) {
			if before++; before == 2 {
				return f
			}
		}
	}
	return r.bases[len(r.bases)-1]
}

// run reads a run. It reports whether the span goes on before it.
func (a *around) run(ctx context.Context, c chain) (older bool, err error) {
	stretch, older, err := a.bounds(ctx, c)
	var d *damagedLog
	if errors.As(err, &d) && d.Seg >= c.first() && d.Seg < c.next() {
		a.split(c, hole{seg: d.Seg, good: d.Seg, object: d.Object, why: d.Why})
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if behind := stretch.To != c.end(); behind && a.lowest == 0 || len(c.gaps) > 0 {
		a.sizes.unknown = true
	}
	if stretch.To == c.end() { // the span goes on behind it
		for _, g := range c.gaps {
			a.miss(gapSays(g))
		}
	}
	if a.lowest != 0 { // a run that is read again, without its damaged part
		stretch.To = min(stretch.To, a.lowest)
	}
	if stretch.From >= stretch.To {
		return older, nil
	}
	a.total += int64(stretch.To - stretch.From)
	err = a.scan(ctx, c, stretch)
	a.done += int64(stretch.To - stretch.From)
	var broken *scan.Damage
	if !errors.As(err, &broken) {
		return older, err
	}
	name, ok := walfile.Parse(broken.Segment)
	seg := name.Number(c.size())
	if !ok || seg < c.first() || seg >= c.next() {
		return false, broken
	}
	h := hole{seg: seg, good: seg, object: broken.Segment, why: "damaged: " + broken.Says,
		beside: walfile.Start(seg+1, c.size()) <= stretch.From} // it was only read for what began early
	if broken.LSN > walfile.Start(seg, c.size()) && seg+1 < c.next() {
		h.good++
	}
	a.split(c, h)
	return true, nil
}

// bounds finds where the span lies in a run, by reading a few of its segments,
// and whether it begins before the run.
func (a *around) bounds(ctx context.Context, c chain) (s scan.Stretch, older bool, err error) {
	s = scan.Stretch{First: c.base.Start, From: c.base.Start, To: c.end(), Open: true}
	span := a.options.Span
	if a.point != nil {
		s.From = max(s.From, a.after)
		if a.until != 0 {
			s.To = min(s.To, a.until)
		}
		return s, a.after < c.base.Start, nil
	}
	if span.From.IsZero() && span.To.IsZero() {
		return s, true, nil
	}
	l, err := a.open(a.repo, c)
	if err != nil {
		return s, false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if !span.To.IsZero() {
		later, ok, err := l.firstLater(ctx, span.To)
		if err != nil {
			return s, false, err
		}
		if ok {
			s.To = later.LSN
		}
	}
	if span.From.IsZero() {
		return s, true, nil
	}
	// What ended exactly then is in the span.
	first, ok, err := l.firstLater(ctx, span.From.Add(-time.Nanosecond))
	if err != nil {
		return s, false, err
	}
	before := first.LSN
	if !ok {
		before = c.end()
	}
	kept, any, err := l.commitBefore(ctx, before)
	if err != nil {
		return s, false, err
	}
	if any {
		// What did not commit between the two may be in the span too.
		s.From = l.end(kept)
	}
	return s, !any, nil
}

// scan reads a stretch of a run.
func (a *around) scan(ctx context.Context, c chain, s scan.Stretch) error {
	tools, err := a.Tools(a.line.Major)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	names, err := a.saved.forStretch(ctx, a.options.Names, s.From, s.To)
	if err != nil {
		return err
	}
	a.using = names
	r := scan.Reader{Tools: tools, SegmentSize: a.line.SegmentSize, PageSize: a.line.PageSize, Dir: a.Temp, Names: names,
		Fetch: func(ctx context.Context, name, path string) error { return a.fetch(ctx, c, name, path) }}
	for _, s := range c.branch {
		r.Timelines = append(r.Timelines, scan.Timeline{ID: s.Timeline, From: s.From})
	}
	if a.options.Progress != nil {
		r.Progress = func(p recovery.ScanProgress) {
			a.options.Progress(recovery.ScanProgress{Back: p.Back, Done: a.done + p.Done, Total: a.total})
		}
	}
	for t, err := range r.Read(ctx, s) {
		if err != nil {
			return err
		}
		a.lowest = t.LSN
		a.sizes.before(&t)
		if !a.within(t) {
			continue
		}
		if !a.yield(t, nil) {
			a.enough = true
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// names are those of the part of the log that is read now.
func (a *around) names() recovery.Names { return a.using }

// fetch unpacks a segment of a run.
func (a *around) fetch(ctx context.Context, c chain, name, path string) error {
	wanted, ok := walfile.Parse(name)
	if !ok {
		return fmt.Errorf("%q is not a segment", name)
	}
	seg := wanted.Number(c.size())
	f, ok := c.file(seg)
	if !ok {
		return fmt.Errorf("segment %s is not among those to be read", name)
	}
	err := fetchSegment(ctx, a.repo, f, a.line, path)
	if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, errForeign) {
		return &scan.Damage{Segment: name, LSN: walfile.Start(seg, c.size()), Says: err.Error()}
	}
	return err
}

// within reports whether something ended in the span. A restore point is where
// it lies.
func (a *around) within(t recovery.Transaction) bool {
	span := a.options.Span
	return t.Time.IsZero() || !t.Time.Before(span.From) && (span.To.IsZero() || !t.Time.After(span.To))
}
