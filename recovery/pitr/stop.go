package pitr

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// cut is where the log is cut: commits that begin before at are kept, the
// others are lost.
type cut struct {
	how cutKind
	at  recovery.LSN
}

// cutKind says which record next to the cut is the one to stop at.
type cutKind int

const (
	// betweenCommits stops just before the first commit to lose, or behind
	// the last to keep where none is lost.
	betweenCommits cutKind = iota
	// nothingFrom stops before the first record of any kind at or after the
	// cut.
	nothingFrom
	// endOfLog stops behind the last commit.
	endOfLog
	// endOfAll stops behind the last commit too, or behind what was prepared
	// after it or decided otherwise.
	endOfAll
	// endOfBackup stops behind the last record that the backup needs.
	endOfBackup
)

// stop is what the server is told, and what it means.
type stop struct {
	kept, lost recovery.Commit
	at         recovery.LSN
	inclusive  bool
	// needs is the end of the record at which the server stops.
	needs    recovery.LSN
	warnings []string
	want     recovery.Want
}

// cut finds where the want cuts the log of a chain.
func (r *resolver) cut(ctx context.Context, l *logReader) (cut, error) {
	switch w := r.want; w.Kind {
	case recovery.WantLatest:
		if len(l.log.gaps) > 0 {
			r.warnings = append(r.warnings, fmt.Sprintf("the archive has a gap: %s; what follows it cannot be restored", gapSays(l.log.gaps[0])))
		}
		return cut{endOfAll, l.log.end()}, nil
	case recovery.WantTime:
		return r.cutAtTime(ctx, l)
	case recovery.WantLSN:
		return r.cutAtLSN(ctx, l)
	case recovery.WantBeforeXID, recovery.WantAfterXID:
		return r.cutAtXID(ctx, l)
	default:
		return cut{}, recovery.Errorf("use latest, a time, lsn:, before-xid:, after-xid: or a backup's id",
			"a moment of the kind %q is not known", w.Kind).WithExit(recovery.Usage)
	}
}

// cutAtTime keeps everything before the first commit, in the order of the log,
// that is later than the time.
func (r *resolver) cutAtTime(ctx context.Context, l *logReader) (cut, error) {
	later, back, ok, err := l.firstLaterOfAll(ctx, r.want.Time)
	if err != nil {
		return cut{}, err
	}
	if ok {
		if back {
			r.warnings = append(r.warnings, fmt.Sprintf("the server's clock went back: commits behind %s in the log are of an earlier time than its %s; the point lies before all of them", later.LSN, clock(later.Time)))
		}
		if later.LSN < l.log.base.Stop {
			return cut{}, errEarlier
		}
		// The backup holds everything from before its log begins. Only a
		// commit in its log, or its end, proves that this is not too late.
		_, known, err := l.commitBefore(ctx, later.LSN)
		if err != nil {
			return cut{}, err
		}
		if ended := l.log.base.Ended; !known && (ended.IsZero() || r.want.Time.Before(ended.Add(labelPrecision))) {
			return cut{}, errEarlier
		}
		return cut{betweenCommits, later.LSN}, nil
	}
	last, ok, err := l.commitBefore(ctx, l.log.end())
	if err != nil {
		return cut{}, err
	}
	if !ok || r.want.Time.After(last.Time) {
		return cut{}, r.beyond(ctx, l)
	}
	return cut{endOfLog, l.log.end()}, nil
}

func (r *resolver) cutAtLSN(ctx context.Context, l *logReader) (cut, error) {
	at := r.want.LSN
	if at < l.log.base.Stop {
		return cut{}, errEarlier
	}
	if at > l.log.end() {
		return cut{}, r.beyond(ctx, l)
	}
	_, ok, err := l.recordFrom(ctx, at)
	if err != nil {
		return cut{}, err
	}
	if ok {
		return cut{nothingFrom, at}, nil
	}
	// Nothing follows. That is the end of the log, if the log is known to
	// come up to it.
	last, ok, err := l.recordBefore(ctx, at)
	if err != nil {
		return cut{}, err
	}
	if !ok || xlog.NextStart(l.end(last), l.line.SegmentSize, l.line.PageSize) < at {
		return cut{}, r.beyond(ctx, l)
	}
	return cut{nothingFrom, at}, nil
}

func (r *resolver) cutAtXID(ctx context.Context, l *logReader) (cut, error) {
	f, err := l.fateOf(ctx, r.want.XID)
	if err != nil {
		return cut{}, err
	}
	switch {
	case f.end.Kind == abortRecord:
		return cut{}, recovery.Errorf("choose the transaction before or after it; list them with: comeback moments RUNBOOK --around TIME",
			"transaction %d was rolled back at %s, it changed nothing", r.want.XID, clock(f.end.Time)).WithExit(recovery.Refused)
	case f.end.Kind == commitRecord && r.want.Kind == recovery.WantAfterXID:
		at := l.end(f.end)
		if at <= l.log.base.Stop {
			return cut{}, errEarlier
		}
		return cut{betweenCommits, at}, nil
	case f.end.Kind == commitRecord:
		if f.end.LSN < l.log.base.Stop {
			return cut{}, errEarlier
		}
		return cut{betweenCommits, f.end.LSN}, nil
	case f.early:
		return cut{}, errEarlier
	case f.late && len(l.log.gaps) > 0:
		return cut{}, r.beyond(ctx, l)
	}
	return cut{}, r.noSuchXID(ctx, l, f)
}

// stop turns a cut into the record to stop at.
func (r *resolver) stop(ctx context.Context, l *logReader, f facts, c cut) (stop, error) {
	s := stop{want: r.want}
	kept, ok, err := r.lastKept(ctx, l, c.at)
	if err != nil {
		return s, err
	}
	if ok {
		s.kept = l.commit(kept)
	}
	lost, isLost := record{}, false
	if c.how != endOfLog && c.how != endOfAll {
		if lost, isLost, err = l.commitFrom(ctx, c.at); err != nil {
			return s, err
		}
	}
	if isLost {
		s.lost = l.commit(lost)
	}
	at, found := record{}, true
	decided, isDecided := record{}, false
	if c.how == endOfAll {
		if decided, isDecided, err = l.lastDecided(ctx, c.at); err != nil {
			return s, err
		}
	}
	switch {
	case isDecided && decided.LSN >= f.Base.Stop:
		s.after(l, decided)
	case c.how == nothingFrom:
		if at, found, err = l.recordFrom(ctx, c.at); found {
			s.before(l, at)
			break
		}
		if err == nil {
			at, found, err = l.recordBefore(ctx, c.at)
			s.after(l, at)
		}
	case c.how == betweenCommits && isLost:
		s.before(l, lost)
	case c.how != endOfBackup && s.kept.LSN >= f.Base.Stop:
		s.after(l, kept)
	default: // nothing was committed since the backup ended
		at, found, err = l.recordBefore(ctx, f.Base.Stop)
		s.after(l, at)
	}
	if err != nil {
		return s, err
	}
	if !found {
		return s, r.beyond(ctx, l)
	}
	return s, s.keepFiles(ctx, r, l, f)
}

// lastKept finds the last commit before a position, in the chain or, because
// the backup may be younger than it, in what the archive holds from before.
func (r *resolver) lastKept(ctx context.Context, l *logReader, at recovery.LSN) (record, bool, error) {
	kept, ok, err := l.commitBefore(ctx, at)
	if ok || err != nil {
		return kept, ok, err
	}
	return r.commitBeforeBackup(ctx, l)
}

// before stops at a record without replaying it.
func (s *stop) before(l *logReader, r record) { s.at, s.inclusive, s.needs = r.LSN, false, l.end(r) }

// after stops at a record and replays it.
func (s *stop) after(l *logReader, r record) { s.at, s.inclusive, s.needs = r.LSN, true, l.end(r) }

// keepFiles moves the stop back where a database or tablespace loses its files
// before it, for a transaction that is not kept: dropping acts at its own
// record, before its commit.
func (s *stop) keepFiles(ctx context.Context, r *resolver, l *logReader, f facts) error {
	until := s.at
	if s.inclusive {
		until = s.needs
	}
	drop, ok, err := l.dropBefore(ctx, until)
	if err != nil || !ok {
		return err
	}
	if drop.LSN < f.Base.Stop {
		return errEarlier
	}
	before := s.kept
	kept, ok, err := r.lastKept(ctx, l, drop.LSN)
	if err != nil {
		return err
	}
	s.kept = recovery.Commit{}
	if ok {
		s.kept = l.commit(kept)
	}
	if s.kept.LSN != before.LSN {
		lost, ok, err := l.commitFrom(ctx, drop.LSN)
		if err != nil {
			return err
		}
		if ok {
			s.lost = l.commit(lost)
		}
		s.warnings = append(s.warnings, fmt.Sprintf("transaction %d drops a %s: its files go at %s, before its commit, so commits from %s on are lost too",
			drop.XID, drop.What, drop.LSN, clock(s.lost.Time)))
	}
	if s.kept.LSN >= f.Base.Stop {
		s.after(l, kept)
	} else {
		s.before(l, drop)
	}
	return nil
}

// says is the point in one line.
func (s stop) says(f facts) string {
	var text string
	switch {
	case s.want.Kind == recovery.WantBackup:
		text = fmt.Sprintf("the end of base backup %s, %s", f.Base.ID, f.Base.Stop)
	case s.want.Kind == recovery.WantLSN:
		text = fmt.Sprintf("nothing at or after %s", s.want.LSN)
		if s.lost.LSN != 0 {
			text += fmt.Sprintf(", just before xid %d, %s", s.lost.XID, clock(s.lost.Time))
		}
	case s.lost.LSN != 0:
		text = fmt.Sprintf("just before xid %d, %s", s.lost.XID, clock(s.lost.Time))
	case s.kept.LSN != 0 && s.kept.LSN >= f.Base.Stop:
		return fmt.Sprintf("the last commit, xid %d of %s", s.kept.XID, clock(s.kept.Time))
	default:
		text = fmt.Sprintf("the end of base backup %s, %s", f.Base.ID, f.Base.Stop)
	}
	if s.kept.LSN == 0 {
		return text
	}
	kept := clock(s.kept.Time)
	if sameDay(s.kept.Time, s.lost.Time) {
		kept = s.kept.Time.UTC().Format(milliseconds)
	}
	return fmt.Sprintf("%s; keeps xid %d of %s", text, s.kept.XID, kept)
}

const milliseconds = "15:04:05.000"

// clock writes a moment for people, in UTC: "2026-11-23 02:41:07.221+00".
func clock(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 " + milliseconds + "-07")
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}
