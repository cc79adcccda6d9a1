package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"comeback/recovery"
	"comeback/runbooks"
	"comeback/tui"
)

// Follow plans a run that follows from another one, or from a transaction.
func (d *desk) Follow(ctx context.Context, next tui.FollowUp) (*tui.Prepared, error) {
	p, b, err := d.follow(ctx, next)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	if d.books == nil {
		d.books = map[string]*book{}
	}
	d.books[p.Run] = b
	d.mu.Unlock()
	prepared, err := prepare(p)
	if err != nil {
		return nil, err
	}
	prepared.NameLater = next.Kind != tui.SwitchBack
	return prepared, nil
}

func (d *desk) follow(ctx context.Context, next tui.FollowUp) (*recovery.Plan, *book, error) {
	a := d.app
	if next.Kind == tui.SwitchBack {
		return a.planBack(ctx, next.Run, false)
	}
	var b *book
	var err error
	o := rescuing{request: request{choices: choices{mode: recovery.Recovery, copy: d.choices.copy, scratch: d.choices.scratch}}}
	if next.Kind == tui.MergeBack {
		b, err = a.merged(next.Run, &o)
	} else {
		for _, xid := range next.XIDs {
			o.xids = append(o.xids, uint(xid))
		}
		o.component = next.Component
		b, _, err = a.open(ctx, next.Runbook)
	}
	if err != nil {
		return nil, nil, err
	}
	// What the copies refuse stands on the screen that led here.
	p, err := a.rescuePlan(ctx, b, o, true, &plainWriter{out: io.Discard, now: a.now, redact: a.redact}, false)
	if err == nil && next.Kind == tui.MergeBack {
		p.Parent = next.Run
	}
	return p, b, err
}

// alongOld lets a component be looked for on the timeline that the old system was on, from
// which the run may have branched off.
func alongOld(b *book, p recovery.Plan, l recovery.Loss) {
	point, _ := p.Moment.Point(l.Component)
	timeline := cmp.Or(l.Timeline, point.Timeline) // runs of earlier versions tell only the point's
	i := slices.IndexFunc(b.Components, func(c runbooks.Component) bool { return c.Name == l.Component })
	if i < 0 || timeline == 0 {
		return
	}
	settings := maps.Clone(b.Components[i].Settings)
	settings["timeline"] = []string{fmt.Sprint(timeline)}
	b.Components[i].Settings = settings
}

// merged asks for what was written to the system that a run has replaced, after
// the first commit that the run took back: that one is why it was made.
func (a *app) merged(id string, o *rescuing) (*book, error) {
	parent, err := a.load(id)
	if err != nil {
		return nil, err
	}
	for _, l := range parent.State.Losses {
		if l.From.XID == 0 || l.To.XID == 0 || l.From.XID == l.To.XID {
			continue
		}
		o.component, o.since, o.until = l.Component, fmt.Sprintf("after-xid:%d", l.From.XID), fmt.Sprintf("after-xid:%d", l.To.XID)
		b, err := a.bookOf(parent)
		if err == nil {
			alongOld(b, *parent.Plan, l.Loss)
		}
		return b, err
	}
	return nil, recovery.Errorf("see what run "+id+" has put aside in its report", "refused: nothing was written after the moment of run %s that a copy's log tells of", id).WithExit(recovery.Refused)
}
