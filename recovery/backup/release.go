package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"comeback/recovery"
	"comeback/storage"
)

// unfinishedBackup is a backup that a run has begun to store.
const unfinishedBackup recovery.ResourceKind = "unfinished backup"

// resource is the claim of a backup that is about to be stored into some copies.
func (u unfinished) resource(copies []recovery.Copy, stamp string) (recovery.Resource, error) {
	b, err := json.Marshal(u)
	if err != nil {
		return recovery.Resource{}, fmt.Errorf("claim the backup: %w", err)
	}
	into, err := json.Marshal(copies)
	if err != nil {
		return recovery.Resource{}, fmt.Errorf("claim the backup: %w", err)
	}
	return recovery.Resource{Kind: unfinishedBackup, ID: u.Prefix, Details: map[string]string{"mark": u.keyOf(stamp), "backup": string(b), "copies": string(into)}}, nil
}

// clearClaimed gives back a backup that did not come to its end in every copy: what
// it has stored goes from each where it is not whole. One that is whole stays, with its
// manifest.
type clearClaimed struct {
	open   Open
	expand func(string) (string, error)
}

// Open opens a copy; expand resolves its references.
type Open func(ctx context.Context, c recovery.Copy, expand func(string) (string, error)) (storage.Store, error)

// NewReleaser makes what gives back the backups of a run that were cut off.
func NewReleaser(open Open, expand func(string) (string, error)) recovery.Releaser {
	return clearClaimed{open, expand}
}

func (clearClaimed) Resource() recovery.ResourceKind { return unfinishedBackup }

func (k clearClaimed) Release(ctx context.Context, r recovery.Resource) error {
	var u unfinished
	var copies []recovery.Copy
	if err := errors.Join(json.Unmarshal([]byte(r.Details["backup"]), &u), json.Unmarshal([]byte(r.Details["copies"]), &copies)); err != nil || u.Prefix == "" {
		return fmt.Errorf("give back the backup %s: its record does not say what was stored", r.ID)
	}
	failed := map[string]error{}
	var opened []storage.Arm
	for _, c := range copies {
		store, err := k.open(ctx, c, k.expand)
		if err != nil {
			failed[c.Name] = err
			continue
		}
		opened = append(opened, storage.Arm{Name: c.Name, Store: store})
	}
	for _, a := range opened {
		// What stays unseen no list shows: it takes room alone.
		if _, err := u.settle(ctx, a.Store, r.Details["mark"], opened); err != nil {
			failed[a.Name] = err
		}
	}
	var all []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Errorf("remove what the backup %s has left in %s: %w", r.ID, name, failed[name]))
	}
	return errors.Join(all...)
}
