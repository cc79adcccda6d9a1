package main

import (
	"context"
	"errors"
	"path/filepath"
)

// Fetch fetches the runs that other hosts have filed, and says whether any came.
func (d *desk) Fetch(ctx context.Context, path string) (bool, error) {
	home, err := d.app.home()
	if err != nil {
		return false, err
	}
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return false, err
	}
	before, err := filepath.Glob(filepath.Join(home.Filed().Runs(), "*"))
	if err != nil {
		return false, err
	}
	filed, err := d.app.fetchFiled(ctx, b)
	if err != nil {
		return false, err
	}
	after, err := filepath.Glob(filepath.Join(home.Filed().Runs(), "*"))
	return len(after) > len(before), errors.Join(err, filed.Failed)
}
