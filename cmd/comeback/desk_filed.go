package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"comeback/recovery/backup"
	"comeback/recovery/runner"
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
	return len(after) > len(before), errors.Join(err, filed.failed)
}

// allRuns lists the runs of this host and those of others that were fetched, the
// newest first.
func allRuns(home runner.Home) ([]runner.Past, error) {
	runs, err := home.List()
	if err != nil {
		return nil, err
	}
	filed, err := filedRuns(home)
	if err != nil {
		return nil, err
	}
	runs = append(runs, filed...)
	slices.SortStableFunc(runs, func(a, b runner.Past) int { return b.State.Started.Compare(a.State.Started) })
	return runs, nil
}

// filedRuns are the runs that ended on other hosts and were fetched from copies. What
// cannot be read is left out: it is not this host's to mend, and proves nothing.
func filedRuns(home runner.Home) ([]runner.Past, error) {
	runs, err := home.Filed().List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(p runner.Past) bool {
		return hasHere(home, p) || p.Problem != nil || p.State.Result == ""
	}), nil
}

// hasHere reports whether a run that was fetched is here as one of this host, too.
func hasHere(home runner.Home, p runner.Past) bool {
	own, err := backup.Sums(home.RunDir(p.ID))
	if err != nil {
		return false
	}
	fetched, err := backup.Sums(p.Dir)
	return err == nil && own == fetched
}

// isFiled reports whether a run's directory is that of one that was fetched.
func isFiled(home runner.Home, dir string) bool {
	return filepath.Dir(dir) == home.Filed().Runs()
}
