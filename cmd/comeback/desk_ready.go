package main

import (
	"context"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/recovery/room"
	"comeback/storage"
	"comeback/tui"
)

// readyWithin bounds how long a copy may take to say who asks: the panel must
// not wait for a service that does not answer.
const readyWithin = 20 * time.Second

// Ready says who asks in each copy, how long that holds, and how much room
// there is.
func (d *desk) Ready(ctx context.Context, path string) (tui.Ready, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return tui.Ready{}, err
	}
	copies := plan.Copies(b.Runbook)
	var r tui.Ready
	open := opener(b.secrets)
	for _, said := range storage.Each(ctx, copies, readyWithin, func(ctx context.Context, c recovery.Copy) (tui.Asker, error) { return asker(ctx, c, open), nil }) {
		a := said.Says
		if said.Err != nil {
			a = tui.Asker{Copy: said.Of.Name, Problem: said.Err.Error()}
		}
		a.Problem = d.app.redact(a.Problem)
		r.Copies = append(r.Copies, a)
	}
	scratch := tui.Room{Needs: d.least(b.path)}
	if scratch.Place, err = d.app.scratch(d.choices.scratch, "--scratch"); err == nil {
		scratch.Free, _, err = room.Free(scratch.Place)
	}
	if err != nil {
		scratch.Problem = err.Error()
	}
	r.Room = append(r.Room, scratch)
	return r, nil
}

// asker asks a copy who asks it.
func asker(ctx context.Context, c recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error)) tui.Asker {
	a := tui.Asker{Copy: c.Name}
	store, err := open(ctx, c)
	if err != nil {
		a.Problem = err.Error()
		return a
	}
	if s, ok := storage.As[storage.Identifier](store); ok {
		if a.Who, a.Account, err = s.Identity(ctx); err != nil {
			a.Problem = err.Error()
			return a
		}
	}
	if s, ok := storage.As[storage.CredentialHolder](store); ok {
		if a.Expires, err = s.Expires(ctx); err != nil {
			a.Problem = err.Error()
		}
	}
	return a
}

// least is what the newest backups of a runbook's components take as they are
// stored, and restored ones take more; 0 if no copy was looked into yet.
func (d *desk) least(path string) int64 {
	d.mu.Lock()
	cat := d.surveys[path]
	d.mu.Unlock()
	var n int64
	seen := map[string]bool{}
	for _, e := range cat.Entries("") { // the newest first
		if b := e.Backup; b.Problem == "" && !seen[b.Component] {
			seen[b.Component] = true
			n += b.Amount()
		}
	}
	return n
}
