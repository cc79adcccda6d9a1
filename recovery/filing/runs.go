package filing

import (
	"path/filepath"
	"slices"

	"comeback/recovery/backup"
	"comeback/recovery/runner"
)

// Runs lists the runs of this host and those of others that were fetched, the
// newest first.
func Runs(home runner.Home) ([]runner.Past, error) {
	runs, err := home.List()
	if err != nil {
		return nil, err
	}
	filed, err := fetchedRuns(home)
	if err != nil {
		return nil, err
	}
	runs = append(runs, filed...)
	slices.SortStableFunc(runs, func(a, b runner.Past) int { return b.State.Started.Compare(a.State.Started) })
	return runs, nil
}

// fetchedRuns are the runs that ended on other hosts and were fetched from copies. What
// cannot be read is left out: it is not this host's to mend, and proves nothing.
func fetchedRuns(home runner.Home) ([]runner.Past, error) {
	runs, err := home.Filed().List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(p runner.Past) bool {
		return HasHere(home, p) || p.Problem != nil || p.State.Result == ""
	}), nil
}

// HasHere reports whether a run that was fetched is here as one of this host, too.
func HasHere(home runner.Home, p runner.Past) bool {
	own, err := backup.Sums(home.RunDir(p.ID))
	if err != nil {
		return false
	}
	fetched, err := backup.Sums(p.Dir)
	return err == nil && own == fetched
}

// IsFetched reports whether a run's directory is that of one that was fetched.
func IsFetched(home runner.Home, dir string) bool {
	return filepath.Dir(dir) == home.Filed().Runs()
}
