package main

import (
	"slices"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
)

// shrunken tells of backups in which much less is than was in those before them, unless somebody
// has said that this is to be so. Where it cannot be read here who has, nobody has.
func (a *app) shrunken(b *book, cat catalogue.Catalogue) func(recovery.Backup) (recovery.Shrinkage, bool) {
	var meant []recovery.Backup
	if proofs, _, err := a.proofs(b.System); err == nil {
		meant = check.Meant(proofs)
	}
	type which struct{ copy, component, engine, id string }
	all := map[which]recovery.Shrinkage{}
	for _, s := range cat.Surveys {
		for id, less := range s.Shrank(meant) {
			all[which{s.Copy, s.Component, s.Engine, id}] = less
		}
	}
	return func(k recovery.Backup) (recovery.Shrinkage, bool) {
		less, ok := all[which{k.Copy, k.Component, k.Engine, k.ID}]
		return less, ok
	}
}

// warnOfShrinking adds to each point of a moment that much less is in its backup than was in
// those before it, and how to go to the last of those. What a log leads on from is as
// the log makes it.
func (a *app) warnOfShrinking(b *book, cat catalogue.Catalogue, m *recovery.Moment) {
	shrank := a.shrunken(b, cat)
	m.Points = slices.Clone(m.Points)
	for i := range m.Points {
		p := &m.Points[i]
		if less, ok := shrank(p.Backup); ok && p.Timeline == 0 {
			p.Warnings = append(slices.Clone(p.Warnings), recovery.Shrunk+less.Says()+"; the last before: "+recovery.Want{}.To(less.Last().ID))
		}
	}
}
