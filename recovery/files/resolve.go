package files

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// Resolve chooses a backup: the newest, the newest that is surely from before a
// time, or one by its name. A tree has no positions in a log.
func (e engine) Resolve(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	switch want.Kind {
	case recovery.WantBackup:
		b, err := named(s, want.Backup)
		if err == nil {
			b, err = opened(ctx, b, store)
		}
		if err != nil {
			return recovery.Point{}, err
		}
		if b.Problem != "" {
			return recovery.Point{}, refusal(alternatives(s), "%s cannot be restored: %s", b.ID, b.Problem)
		}
		return e.point(s, b, want)
	case recovery.WantLatest, recovery.WantTime:
		return e.before(ctx, s, want, store)
	}
	return recovery.Point{}, refusal(`use "latest", a time with its offset or the name of a backup`,
		"a tree of files has no positions in a log, so %s cannot be reached from what is in %s", want.Text, s.Copy)
}

// before finds the newest backup that is surely from before a time.
func (e engine) before(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	var after *recovery.Backup // the nearest that is not surely early enough
	var broken []recovery.Backup
	backups := s.Backups
	if want.Kind == recovery.WantLatest {
		backups = recovery.Freshest(backups)
	}
	for _, b := range slices.Backward(backups) { // the newest first
		if want.Kind == recovery.WantTime && (b.Taken.To.IsZero() || b.Taken.To.After(want.Time)) {
			if b.Problem == "" {
				after = &b
			}
			continue
		}
		b, err := opened(ctx, b, store)
		if err != nil {
			return recovery.Point{}, err
		}
		if want.Kind == recovery.WantTime && b.Taken.To.After(want.Time) { // it was known by its name alone
			after = &b
			continue
		}
		if b.Problem == "" {
			p, err := e.point(s, b, want)
			if err != nil {
				return p, err
			}
			if want.Kind == recovery.WantLatest {
				p.Warnings = append(p.Warnings, recovery.PassedOver(backups, b)...)
			}
			for _, w := range broken {
				p.Warnings = append(p.Warnings, fmt.Sprintf("passed over %s, which is newer: %s", w.ID, w.Problem))
			}
			return p, nil
		}
		broken = append(broken, b)
	}
	switch {
	case len(s.Backups) == 0:
		return recovery.Point{}, refusal("check that the backups are written, and that prefix in the runbook is right",
			"there is no backup of %s in %s", s.Component, s.Copy)
	case after != nil:
		return recovery.Point{}, refusal("choose a later time, or the backup by its name: "+after.ID,
			"no backup of %s in %s is surely from before %s: the nearest, %s, was taken %s", s.Component, s.Copy, want.Text, after.ID, after.Taken.Says())
	}
	newest := broken[0]
	return recovery.Point{}, refusal("look at what writes the backups, and in another copy",
		"none of the %d backups of %s in %s can be restored; of the newest, %s: %s", len(s.Backups), s.Component, s.Copy, newest.ID, newest.Problem)
}

// named finds a backup by its name: the whole key, or its end where that is clear.
func named(s recovery.Survey, name string) (recovery.Backup, error) {
	var matches []recovery.Backup
	for _, b := range s.Backups {
		if b.ID == name {
			return b, nil
		}
		if strings.HasSuffix(b.ID, "/"+strings.TrimPrefix(name, "/")) {
			matches = append(matches, b)
		}
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return recovery.Backup{}, refusal(alternatives(s), "there is no backup %q of %s in %s", name, s.Component, s.Copy)
	}
	return recovery.Backup{}, refusal("give the whole key", "%q may be %s or %s", name, matches[0].ID, matches[1].ID)
}

// alternatives names the newest backup that can be restored.
func alternatives(s recovery.Survey) string {
	for _, b := range slices.Backward(s.Backups) {
		if b.Problem == "" {
			return fmt.Sprintf("choose another; the newest that can be restored is %s, taken %s", b.ID, b.Taken.Says())
		}
	}
	return "choose another copy; in this one no backup of the component can be restored"
}

// point is a backup as a moment.
func (e engine) point(s recovery.Survey, b recovery.Backup, want recovery.Want) (recovery.Point, error) {
	f, err := factsOf(b)
	if err != nil {
		return recovery.Point{}, err
	}
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: b.Engine, Backup: b, Exactness: recovery.ToBackup,
		Time: b.Taken.To, Bytes: b.Size(),
		Says: fmt.Sprintf("%s, taken %s (%s, %s)", b.ID, b.Taken.Says(), b.Form, recovery.FormatBytes(b.Size()))}
	for _, says := range exceptions(f.Excepted) {
		p.Warnings = append(p.Warnings, "in it "+says+"; another snapshot may have it")
	}
	if e.elsewhere(s.Live, f.Dir) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("it is a snapshot of %s, and the runbook names %s now: look whether what was the one is to come where the other is",
			tree.Show(f.Dir), strings.Join(s.Live, ", ")))
	}
	if says := b.ClockWarning(); says != "" {
		p.Warnings = append(p.Warnings, says)
	}
	if want.Kind == recovery.WantTime && want.Time.After(b.Taken.To) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("its backup ended %s before the moment: what was changed in between is not in it",
			recovery.FormatSpan(want.Time.Sub(b.Taken.To))))
	}
	return p, nil
}

func refusal(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
