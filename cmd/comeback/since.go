package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/filing"
	"comeback/recovery/runner"
)

// followed are runs among which those stand that followed a run: those of this host, and for one
// that was fetched the others that were. There are none while it goes on.
func (a *app) followed(r runner.Past) ([]runner.Past, error) {
	if r.State.Result == "" {
		return nil, nil
	}
	home, err := a.home()
	switch {
	case err != nil:
		return nil, err
	case filing.IsFetched(home, r.Dir):
		return filing.Runs(home)
	}
	return home.List()
}

// statusOf is one text about a run that can be pasted to whoever asks, with what has become of
// it since it ended.
func (a *app) statusOf(r runner.Past, runs []runner.Past) string {
	now := a.now().Local()
	state, left := r.State, ""
	if r.State.Result != "" && len(r.State.Held()) > 0 && r.Plan.GivesBack == nil { // else its parent tells of it
		held := aftermath.Held(r, runs)
		state, left = held.Now(r.State), statusHeld(held, r, now.Location())
	}
	return a.said(lines(recovery.StatusSince(r.Plan, &state, a.since(r, runs), r.Alive, now) + left))
}

// since is what has become of a run that has ended, by those that followed it and by what is
// there.
func (a *app) since(r runner.Past, runs []runner.Past) recovery.Since {
	since := recovery.Since{Gone: map[string]string{}}
	if r.State.Result == "" {
		return since
	}
	aside := r
	if by := aftermath.Undone(r, runs); by != nil {
		since.Undone, aside = &by.State, *by
	}
	for _, old := range aside.State.Old {
		a.takeGone(since.Gone, aside, old, runs)
	}
	for _, old := range r.State.OldHandedOver() {
		a.takeGone(since.Gone, r, old, runs)
	}
	return since
}

// takeGone says what has become of something that a run has left, where it is gone: by an expiry,
// or, of a tree that lay on this host, otherwise.
func (a *app) takeGone(gone map[string]string, r runner.Past, old recovery.Old, runs []runner.Past) {
	if why := aftermath.Keeps(r, old, runs, nil, a.now()); why.Why == aftermath.Removed {
		gone[old.Place] = "removed by run " + why.Run
		return
	}
	tree := old.Handed && !old.Served && filepath.IsAbs(old.Place)
	if _, err := os.Lstat(old.Place); tree && a.wasHere(r) && errors.Is(err, fs.ErrNotExist) {
		gone[old.Place] = "it is there no more" // by hand, or by an expiry that did not end well
	}
}

// wasHere reports whether a run was carried out on this host.
func (a *app) wasHere(r runner.Past) bool {
	home, err := a.home()
	return err == nil && !r.Brought && !filing.IsFetched(home, r.Dir)
}
