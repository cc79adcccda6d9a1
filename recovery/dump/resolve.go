package dump

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// Resolve chooses a dump: the newest, the newest that is surely from before a
// time, or one by its name. A dump that the survey knows only by its name is
// opened first. A dump has no positions: a moment given as one is refused.
func (e engine) Resolve(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	switch want.Kind {
	case recovery.WantBackup:
		b, err := named(s, want.Backup)
		if err != nil {
			return recovery.Point{}, err
		}
		b, err = opened(ctx, b, store)
		if err != nil {
			return recovery.Point{}, err
		}
		if b.Problem != "" {
			return recovery.Point{}, refusal(alternatives(s), "%s cannot be restored: %s", b.ID, b.Problem)
		}
		return point(ctx, b, want, store)
	case recovery.WantLatest, recovery.WantTime:
		return e.resolveTime(ctx, s, want, store)
	}
	return recovery.Point{}, refusal(`use "latest", a time with its offset or the name of a dump; only a base backup with its archived log reaches a position`,
		"a dump has no positions in the log, so %s cannot be reached from the dumps in %s", want.Text, s.Copy)
}

func (e engine) resolveTime(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	var after *recovery.Backup // the nearest that is not surely early enough
	broken := 0
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
			p, err := point(ctx, b, want, store)
			if err != nil {
				return p, err
			}
			if want.Kind == recovery.WantLatest {
				p.Warnings = append(p.Warnings, recovery.PassedOver(backups, b)...)
			}
			if broken > 0 {
				p.Warnings = append(p.Warnings, fmt.Sprintf("passed over %s that cannot be restored", recovery.FormatCount(broken, "newer dump")))
			}
			return p, nil
		}
		broken++
	}
	switch {
	case len(s.Backups) == 0:
		return recovery.Point{}, refusal("check that the dumps are written, and that prefix and database in the runbook are right",
			"there is no dump of %s in %s", s.Component, s.Copy)
	case after == nil:
		newest := s.Backups[len(s.Backups)-1]
		if len(s.Backups) == 1 {
			return recovery.Point{}, refusal("look at what writes the dumps, and in another copy",
				"the only dump of %s in %s, %s, cannot be restored: %s", s.Component, s.Copy, newest.ID, newest.Problem)
		}
		return recovery.Point{}, refusal("look at what writes the dumps, and in another copy",
			"none of the %d dumps of %s in %s can be restored; of the newest, %s: %s", len(s.Backups), s.Component, s.Copy, newest.ID, newest.Problem)
	}
	before := "there is none before it"
	if broken > 0 {
		before = fmt.Sprintf("the %s before it cannot be restored", recovery.FormatCount(broken, "dump"))
	}
	if !after.Taken.From.IsZero() && !after.Taken.From.After(want.Time) {
		return recovery.Point{}, refusal("if that is early enough, choose it by its name: "+after.ID,
			"no dump is surely from before %s: the nearest, %s, was begun %s, and %s", want.Text, after.ID, when(after.Taken), before)
	}
	return recovery.Point{}, refusal("choose a later time, or the dump by its name: "+after.ID,
		"no dump is from before %s: the first after it, %s, was begun %s, and %s", want.Text, after.ID, when(after.Taken), before)
}

// named finds a dump by its name: the whole key, or its end where that is clear.
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
		return recovery.Backup{}, refusal(alternatives(s), "there is no dump %q of %s in %s", name, s.Component, s.Copy)
	}
	return recovery.Backup{}, refusal("give the whole key", "%q may be %s or %s", name, matches[0].ID, matches[1].ID)
}

// alternatives names the newest dump that can be restored.
func alternatives(s recovery.Survey) string {
	for _, b := range slices.Backward(s.Backups) {
		if b.Problem == "" {
			return fmt.Sprintf("choose another; the newest that can be restored is %s, begun %s", b.ID, when(b.Taken))
		}
	}
	return "choose another copy; in this one no dump can be restored"
}

// opened looks into a dump that the survey has judged by its name.
func opened(ctx context.Context, b recovery.Backup, store storage.Store) (recovery.Backup, error) {
	h, err := headOf(b)
	if err != nil || !h.ByName || b.Problem != "" {
		return b, err
	}
	f, err := lookAt(ctx, store, b.Objects[0])
	if err != nil {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	if f.key == "" || f.finding != "" {
		b.Problem = "it is not a dump of PostgreSQL, though its name is like one's"
		return b, nil
	}
	return f.backup(recovery.Survey{Component: b.Component, Copy: b.Copy}), nil
}

// headOf is what the survey kept of a dump's head.
func headOf(b recovery.Backup) (head, error) {
	var h head
	if err := json.Unmarshal(b.Facts, &h); err != nil {
		return h, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", b.ID, err)
	}
	return h, nil
}

// point is a dump as a moment.
func point(ctx context.Context, b recovery.Backup, want recovery.Want, store storage.Store) (recovery.Point, error) {
	p := recovery.Point{Component: b.Component, Copy: b.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup,
		Time: b.Taken.To, Bytes: b.Size(),
		Says: fmt.Sprintf("dump %s, begun %s (%s, %s)", b.ID, when(b.Taken), b.Form, recovery.FormatBytes(b.Size()))}
	if says := b.ClockWarning(); says != "" {
		p.Warnings = append(p.Warnings, says)
	}
	if !b.Taken.Known() {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the dump does not tell exactly when it was begun: it holds the state of a moment %s, and the latest of them is shown as the moment", when(b.Taken)))
	}
	facts := pointFacts{Table: want.Table}
	if store != nil {
		m, err := recordOf(ctx, store, b.ID, nil)
		if err != nil {
			return p, err
		}
		if m != nil {
			facts.Source = m.SourceBytes
		}
	}
	if facts != (pointFacts{}) {
		b, err := json.Marshal(facts)
		if err != nil {
			panic("dump: facts of a point: " + err.Error()) // plain data always encodes
		}
		p.Facts = b
	}
	if want.Table != "" {
		p.Says = "only " + want.Table + " of " + p.Says
	}
	if want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a dump is one moment: what was written between it and %s is not in it", want.Text))
	}
	return p, nil
}

func refusal(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
