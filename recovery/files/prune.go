package files

import (
	"context"
	"fmt"

	"comeback/recovery"
	"comeback/storage"
)

var (
	_ recovery.Pruner   = engine{}
	_ recovery.Borrower = engine{}
)

// Shared lists what the kept snapshots consist of: packs are stored once, by the
// snapshot that needed them first.
func (e engine) Shared(ctx context.Context, _ recovery.Component, kept []recovery.Backup, store storage.Store) (needed []string, spare []storage.Object, err error) {
	for _, b := range kept {
		keys, err := e.Needs(ctx, b, store)
		if err != nil {
			return nil, nil, err
		}
		needed = append(needed, keys...)
	}
	return needed, nil, nil
}

// Needs lists what a backup consists of, the packs of earlier snapshots among it.
func (engine) Needs(ctx context.Context, b recovery.Backup, store storage.Store) (needed []string, err error) {
	for _, o := range b.Objects {
		needed = append(needed, o.Key)
	}
	f, err := factsOf(b)
	if err != nil || f.Form != snapshotForm {
		return needed, err
	}
	opened, err := openedSnapshot(ctx, b, store)
	if err != nil {
		return nil, err
	}
	if opened.Problem != "" && !opened.Damaged { // what is left of a damaged one stays with it
		return nil, fmt.Errorf("which packs %s needs cannot be told: %s", b.ID, opened.Problem)
	}
	for _, o := range opened.Objects {
		needed = append(needed, o.Key)
	}
	return needed, nil
}
