package files

import (
	"context"
	"fmt"

	"comeback/recovery"
	"comeback/storage"
)

var _ recovery.Pruner = engine{}

// Shared lists what the kept snapshots consist of: packs are stored once, by the
// snapshot that needed them first.
func (e engine) Shared(ctx context.Context, _ recovery.Component, kept []recovery.Backup, store storage.Store) (needed []string, spare []storage.Object, err error) {
	for _, b := range kept {
		for _, o := range b.Objects {
			needed = append(needed, o.Key)
		}
		f, err := factsOf(b)
		if err != nil {
			return nil, nil, err
		}
		if f.Form != snapshotForm {
			continue
		}
		opened, err := openedSnapshot(ctx, b, store)
		if err != nil {
			return nil, nil, err
		}
		if opened.Problem != "" && !opened.Damaged { // what is left of a damaged one stays with it
			return nil, nil, fmt.Errorf("which packs %s needs cannot be told: %s", b.ID, opened.Problem)
		}
		for _, o := range opened.Objects {
			needed = append(needed, o.Key)
		}
	}
	return needed, nil, nil
}
