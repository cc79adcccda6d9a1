package switchover

import (
	"context"
	"fmt"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/live"
)

// A run that ends before its switch is open gives the old system back, from the
// records of its claims alone, the newest first: the exchange is undone, then the
// database is opened, then what was loaded beside is removed. Each may be repeated.

// ofRecord reads the switch that a claim belongs to.
func ofRecord(ctx context.Context, r recovery.Resource, expand func(string) (string, error)) (live.Database, error) {
	address, err := expand(r.Details["address"])
	if err != nil {
		return live.Database{}, err
	}
	was, err := strconv.ParseUint(r.Details["was"], 10, 32)
	if err != nil || r.Details["run"] == "" {
		return live.Database{}, fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, errNotRecorded)
	}
	d := live.Database{Address: address, Run: r.Details["run"], Was: uint32(was)}
	if text := r.Details["new"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return d, fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, errNotRecorded)
		}
		d.New = uint32(n)
	}
	if d.StaysClosed, err = closedOf(r); err != nil {
		return d, err
	}
	return d.Complete(ctx)
}

// closedOf is the OID of the database that people had closed before the run did, by a
// claim; zero where they had not, or where an earlier version did not look.
func closedOf(r recovery.Resource) (uint32, error) {
	text := r.Details["stays closed"]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, errNotRecorded)
	}
	return uint32(n), nil
}

// dropLoaded removes a database that was loaded beside and did not become live.
type dropLoaded struct {
	expand func(string) (string, error)
}

func (dropLoaded) Resource() recovery.ResourceKind { return loadedDatabase }

func (k dropLoaded) Release(ctx context.Context, r recovery.Resource) error {
	d, err := ofRecord(ctx, r, k.expand)
	if err != nil {
		return err
	}
	return d.Drop(ctx)
}

// liftFence lets users into whatever is live, unless people had closed it before.
type liftFence struct {
	expand func(string) (string, error)
}

func (liftFence) Resource() recovery.ResourceKind { return fenced }

func (k liftFence) Release(ctx context.Context, r recovery.Resource) error {
	d, err := ofRecord(ctx, r, k.expand)
	if err != nil {
		return err
	}
	return d.Unfence(ctx)
}

// undoOpened makes live again what was before the run, and keeps beside what users
// were let into: dropLoaded does not remove it then. Of a switch back the claim says
// only that old data may have been open again, which keeps them from their expiry: the
// exchange is undone by its own claim.
type undoOpened struct {
	expand func(string) (string, error)
}

func (undoOpened) Resource() recovery.ResourceKind { return recovery.Opened }

func (k undoOpened) Release(ctx context.Context, r recovery.Resource) error {
	if r.Details["back"] != "" {
		return nil
	}
	d, err := ofRecord(ctx, r, k.expand)
	if err != nil {
		return err
	}
	return d.UndoOpened(ctx)
}

// undoSwap makes live again what was before the run.
type undoSwap struct {
	expand func(string) (string, error)
}

func (undoSwap) Resource() recovery.ResourceKind { return recovery.Exchanged }

func (k undoSwap) Release(ctx context.Context, r recovery.Resource) error {
	d, err := ofRecord(ctx, r, k.expand)
	if err != nil {
		return err
	}
	if r.Details["back"] == "" {
		return d.Undo(ctx)
	}
	// Of a switch back: what had been switched to is live again.
	if _, err := d.Fence(ctx); err != nil {
		return err
	}
	if _, err := d.Swap(ctx); err != nil {
		return err
	}
	return d.Unfence(ctx)
}
