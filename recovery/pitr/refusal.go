package pitr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// errNoLog: the log that a backup itself needs is not there.
var errNoLog = errors.New("the log that it needs is missing")

// brokenStart says that a chain does not even hold its backup's own log.
func (r *resolver) brokenStart(c chain) error {
	missing := walfile.SegmentName(c.branch.on(c.next(), c.size()), c.next(), c.size())
	why := "missing"
	if len(c.gaps) > 0 {
		missing, why = c.gaps[0].Object, c.gaps[0].Why
	}
	return recovery.Errorf("choose another backup, or another copy",
		"base backup %s cannot be opened: %w (%s: %s)", c.base.ID, errNoLog, missing, why).WithExit(recovery.Refused)
}

// beforeFirst refuses a moment before every window, and names the first moment
// of the oldest.
func (r *resolver) beforeFirst() error {
	oldest := r.bases[len(r.bases)-1].Base
	hint := fmt.Sprintf("the first moment of the window is the end of base backup %s: %s; an older base backup may be in another copy", oldest.ID, r.want.To(oldest.ID))
	if len(r.warnings) > 0 {
		hint += " (" + r.warnings[0] + ")"
	}
	return recovery.Errorf(hint, "%s is before the window: the oldest base backup that leads there ended at %s, %s",
		r.want, oldest.Stop, clock(oldest.Ended)).WithExit(recovery.Refused)
}

// beyond refuses a moment behind the end of a chain: in or behind a gap, or
// after the end of the archive. It names the last moment before, and the first
// after.
func (r *resolver) beyond(ctx context.Context, l *logReader) error {
	last, ok, err := l.commitBefore(ctx, l.log.end())
	if err != nil {
		return err
	}
	before := fmt.Sprintf("the end of base backup %s, %s", l.log.base.ID, clock(l.log.base.Ended))
	to := l.log.base.ID
	if ok && last.LSN >= l.log.base.Stop {
		before = fmt.Sprintf("xid %d of %s", last.XID, clock(last.Time))
		to = fmt.Sprintf("after-xid:%d", last.XID)
	}
	if len(l.log.gaps) == 0 {
		return recovery.Errorf("go to that with --to latest; newer log may still be in the server's pg_wal: save it, or let `select pg_switch_wal()` archive it",
			"%s is after the end of the archive, whose last commit is %s", r.want, before).WithExit(recovery.Refused)
	}
	gap := l.log.gaps[0]
	after := "nothing after it can be restored"
	if b, ok := r.firstAfter(gap); ok {
		after = fmt.Sprintf("the nearest after it is the end of base backup %s, %s: %s", b.ID, clock(b.Ended), r.want.To(b.ID))
	}
	return recovery.Errorf(fmt.Sprintf("the nearest moment before the gap is %s: %s; %s", before, r.want.To(to), after),
		"%s cannot be reached: %s", r.want, gapSays(gap)).WithExit(recovery.Refused)
}

// firstAfter is the first base backup that begins behind a gap.
func (r *resolver) firstAfter(g recovery.Gap) (Base, bool) {
	for _, f := range slices.Backward(r.bases) {
		if f.Base.Start >= g.To && g.To != 0 {
			return f.Base, true
		}
	}
	return Base{}, false
}

// gapSays describes a gap in one clause.
func gapSays(g recovery.Gap) string {
	text := fmt.Sprintf("segment %s is %s", g.Object, g.Why)
	switch g.Why {
	case "wrong size":
		text = fmt.Sprintf("segment %s has the wrong size", g.Object)
	case "other cluster":
		text = fmt.Sprintf("segment %s belongs to another cluster", g.Object)
	}
	if g.To == 0 {
		return fmt.Sprintf("%s, from %s on", text, g.From)
	}
	return fmt.Sprintf("%s (the log from %s to %s)", text, g.From, g.To)
}

// numbers lists timelines.
func numbers(timelines []uint32) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(timelines), "[]"), " ", ", ")
}

// noSuchXID refuses a transaction that did not end where it must have ended,
// and names the range that was searched. Where other histories go on, it may be of one.
func (r *resolver) noSuchXID(ctx context.Context, l *logReader, f fate) error {
	says, hint, err := r.whyNoXID(ctx, l, f)
	if err != nil {
		return err
	}
	others, err := r.beside(ctx, 0)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		says += fmt.Sprintf("; that is along timeline %d, which is followed, and the archive also holds log of timeline %s that is no part of it", r.branch.timeline(), numbers(others))
		older := others[len(others)-1]
		hint += fmt.Sprintf("; if it is one of timeline %d, which the system was on before a recovery, set timeline: %d of the component", older, older)
	}
	return recovery.Errorf(hint, "%s", says).WithExit(recovery.Refused)
}

// whyNoXID says what became of such a transaction, and what to do.
func (r *resolver) whyNoXID(ctx context.Context, l *logReader, f fate) (says, hint string, err error) {
	size := l.line.SegmentSize
	from, to := walfile.Start(f.from, size), walfile.Start(f.to, size)
	if !f.late {
		return fmt.Sprintf("transaction %d did not commit: it ended between %s and %s, and there is no commit of it", r.want.XID, from, to),
			"check the number; list transactions with: comeback moments RUNBOOK --around TIME", nil
	}
	last, _, err := l.commitBefore(ctx, l.log.end())
	if err != nil {
		return "", "", err
	}
	says = fmt.Sprintf("transaction %d has no commit in the archive, which was searched from %s to its end at %s and ", r.want.XID, from, to)
	if last.XID == 0 {
		says += "holds no commit there"
	} else {
		says += fmt.Sprintf("whose last commit is xid %d of %s", last.XID, clock(last.Time))
	}
	return says, "it may have committed in log that is not archived yet: save the server's pg_wal, or let `select pg_switch_wal()` archive it", nil
}
