package backup

import (
	"context"
	"fmt"
	"slices"

	"comeback/recovery"
	"comeback/storage"
)

// Remove removes what may go, the newest backup first and each from the object that
// makes it whole; its manifest goes last, so that a removal that was cut off is found
// and finished by the next one, and stays while one that is kept needs an object of it. What the copy refuses is told, and stays, and so does
// what it may need.
func (p Pruning) Remove(ctx context.Context) (removed int, refused []error) {
	if len(p.Going) == 0 && len(p.Log) == 0 {
		return 0, nil
	}
	if under, err := p.under(ctx); err != nil || len(under) > 0 { // it may need what was to go
		if err == nil {
			err = recovery.Errorf("ask again when it has ended", "a backup has begun at %s meanwhile: nothing was removed", under[0])
		}
		return 0, []error{err}
	}
	for _, g := range p.Going {
		// A run may have begun since it was looked, or since the last one went.
		held, err := restored(ctx, p.store, p.now())
		if why := held[g.Manifest.ID]; err == nil && why != "" {
			err = recovery.Errorf("ask again when it has ended", "%s meanwhile", why)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("remove %s: %w", g.Manifest.ID, err))
			continue
		}
		if len(refused) > 0 && p.chained {
			refused = append(refused, fmt.Errorf("remove %s: what was not removed may need it", g.Manifest.ID))
			continue
		}
		all := slices.Clone(g.Objects)
		if g.record.Key != "" {
			all = append(all, g.record)
		}
		if err := p.removeAll(ctx, all); err != nil {
			refused = append(refused, fmt.Errorf("remove %s: %w", g.Manifest.ID, err))
			continue
		}
		removed++
	}
	if len(refused) == 0 { // a backup that stays may need its log
		if err := p.removeAll(ctx, p.Log); err != nil {
			refused = append(refused, fmt.Errorf("remove the log before the oldest backup: %w", err))
		}
	}
	return removed, refused
}

func (p Pruning) removeAll(ctx context.Context, objects []storage.Object) error {
	for _, o := range objects {
		if err := remove(ctx, p.store, o.Key); err != nil {
			return err
		}
	}
	return nil
}
