package cnpg

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// Resolve chooses the newest backup from which a time, a position of the log or the end of
// the archive can be replayed to, or a backup by its name. A moment that may not be archived
// yet is refused with the time at which it will be.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	return provider.Chooser{In: "CloudNativePG", Point: point, Beyond: beyond, Position: position, Nothing: nowhere, Nowhere: nowhere}.Resolve(s, want)
}

// nowhere is said where there is nothing to point to.
const nowhere = "make a Backup of the cluster, or a ScheduledBackup; nothing that is listed can be restored"

// beyond refuses a moment that the archive may not have yet.
func beyond(b recovery.Backup, end time.Time, want recovery.Want) error {
	f, err := provider.Decode[facts](b.Facts, b.ID)
	if err != nil || !f.Moves {
		return err
	}
	return provider.Refused(fmt.Sprintf("wait until %s, when it is archived for sure, or have the log switched now (select pg_switch_wal() on %s) and say --to latest", provider.When(want.Time.Add(time.Duration(f.Behind)).Add(time.Second)), f.Source),
		"%s cannot be restored for sure yet: the archive of %s has what was committed until %s, and perhaps more", want.Text, f.Source, provider.When(end))
}

// point is a backup, or a moment in the log behind it.
func point(b recovery.Backup, at time.Time, want recovery.Want) (recovery.Point, error) {
	f, err := provider.Decode[facts](b.Facts, b.ID)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Time: at, Exactness: recovery.ToSecond}
	switch {
	case want.Kind == recovery.WantLatest && f.Shape.Origin != nil:
		// Whatever is known of its end, the whole archive is replayed.
		p.AtLeast = true
		p.Says = fmt.Sprintf("the end of the archive of %s, from %s: at least until %s", f.Source, b.ID, provider.When(at))
		p.Warnings = append(p.Warnings, "Kubernetes does not tell how far the archive reaches: what is newer than "+provider.When(at)+" may be in it or not")
	case want.Kind == recovery.WantTime && f.Window:
		f.Target = target{Time: at.UTC().Format("2006-01-02T15:04:05.999999Z07:00")}
		p.Says = fmt.Sprintf("%s at %s, from %s: what was committed by then", f.Source, f.Target.Time, b.ID)
		p.Warnings = append(p.Warnings, "PostgreSQL knows that it is there by a later commit: if there is none in the archive, the operator's recovery fails, and --to latest is the same moment")
	default:
		f.Target = target{Immediate: len(f.Snapshots) == 0 || f.Shape.Origin != nil}
		p.Exactness, p.Time = recovery.ToBackup, b.Taken.To
		p.Says = fmt.Sprintf("%s, which ended by %s (%s)", b.ID, provider.When(p.Time), b.Form)
		if want.Kind == recovery.WantTime {
			p.Warnings = append(p.Warnings, fmt.Sprintf("a backup is one moment: what was written between it and %s is not in it", want.Text))
		}
	}
	return f.point(p, b), nil
}

// position is a place in the log, or the commit of a transaction.
func position(s recovery.Survey, want recovery.Want) (recovery.Point, error) {
	var best *recovery.Backup
	var bestFacts facts
	for i := range s.Backups {
		b := &s.Backups[i]
		f, err := provider.Decode[facts](b.Facts, b.ID)
		if err != nil {
			return recovery.Point{}, err
		}
		switch {
		case b.Problem != "", f.Shape.Origin == nil, len(f.Snapshots) > 0:
			// Nothing tells for sure where the log of a snapshot begins.
		case f.Earlier:
			// Positions are those of the cluster that is there.
		case want.Kind == recovery.WantLSN && (b.Stop == 0 || b.Stop > want.LSN):
		case want.Kind != recovery.WantLSN && best != nil:
			// Backups do not say which transactions they hold: the oldest holds the fewest.
		default:
			best, bestFacts = b, f
		}
	}
	if best == nil {
		return recovery.Point{}, provider.Refused(s.Around(time.Time{}, nowhere), "no backup of %s in CloudNativePG ended before %s", s.Component, want.Text)
	}
	p := recovery.Point{Exactness: recovery.ToCommit, Warnings: []string{"Kubernetes does not tell when that was, so that nothing but the database can come back to it"}}
	switch want.Kind {
	case recovery.WantLSN:
		bestFacts.Target = target{LSN: want.LSN.String(), Exclusive: true}
		p.Stop, p.Says = want.LSN, fmt.Sprintf("%s before %s, from %s", bestFacts.Source, want.LSN, best.ID)
	default:
		bestFacts.Target = target{XID: strconv.FormatUint(uint64(want.XID), 10), Exclusive: want.Kind == recovery.WantBeforeXID}
		word := "after"
		if bestFacts.Target.Exclusive {
			word = "before"
		}
		p.Says = fmt.Sprintf("%s %s the commit of transaction %d, from %s", bestFacts.Source, word, want.XID, best.ID)
		p.Warnings = append(p.Warnings, "backups do not say which transactions they hold, so that the log is replayed from the oldest one, which takes the longest")
	}
	return bestFacts.point(p, *best), nil
}

// point completes one with what a restore of it makes.
func (f facts) point(p recovery.Point, b recovery.Backup) recovery.Point {
	p.Component, p.Copy, p.Engine, p.Backup, p.Facts = b.Component, b.Copy, Name, b, provider.Encode(f)
	if f.Earlier {
		p.Warnings = append(p.Warnings, fmt.Sprintf("it began before the cluster %s was made that is there now: it is of an earlier one, comes back in the shape of that one, and no system identifier is held against it", f.Source))
	}
	p.Warnings = append(p.Warnings, fmt.Sprintf("a new cluster is made in Kubernetes, %s, which costs %s until it is deleted", f.Shape.says(), f.price()))
	return p
}
