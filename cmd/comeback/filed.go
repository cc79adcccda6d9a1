package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// fileTime is how long a copy may take to be given a report, or to list them.
const fileTime = 30 * time.Second

// inEach asks every copy at once and gives the failures by the copies' names.
func inEach(ctx context.Context, copies []recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error), do func(context.Context, string, storage.Store) error) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, fileTime)
	defer cancel()
	var wait sync.WaitGroup
	var mu sync.Mutex
	failed := map[string]error{}
	for _, c := range copies {
		wait.Go(func() {
			store, err := open(ctx, c)
			if err == nil {
				err = do(ctx, c.Name, store)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[c.Name] = err
			}
		})
	}
	wait.Wait()
	return failed
}

// fileRun puts a run that has been signed into the copies of its plan, and says in a
// line each where it is and where it is not.
func (a *app) fileRun(ctx context.Context, dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil {
		return nil, fmt.Errorf("file the report: %w", err)
	}
	p, err := plan.Decode(b)
	if err != nil {
		return nil, err
	}
	failed := inEach(ctx, p.Copies, opener(a.secrets), func(ctx context.Context, _ string, s storage.Store) error {
		if err := backup.FileRun(ctx, s, dir, p.System, p.Number, p.Run); err != nil {
			return err
		}
		return backup.FileReviews(ctx, s, dir, p.System, p.Number, p.Run)
	})
	var in, lines []string
	for _, c := range p.Copies {
		if failed[c.Name] == nil {
			in = append(in, c.Name)
		}
	}
	if len(in) > 0 {
		lines = append(lines, "filed in "+strings.Join(in, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		lines = append(lines, fmt.Sprintf("NOT filed in %s: %v", name, failed[name]))
	}
	return lines, nil
}

// tellFiled files a run and tells where it is; that it could not be filed is told, and
// is no failure of the signature.
func (a *app) tellFiled(ctx context.Context, dir string, say func(line string)) {
	lines, err := a.fileRun(ctx, dir)
	if err != nil {
		lines = append(lines, "NOT filed: "+err.Error())
	}
	for _, line := range lines {
		say(clean(a.redact(line)))
	}
}

// filedHome is where runs of other hosts lie that were fetched from copies.
func filedHome(home runner.Home) runner.Home {
	return runner.Home{Dir: filepath.Join(home.Dir, "filed")}
}

// mostFiled is how many runs are fetched from a copy at once, the newest.
const mostFiled = 50

// fetchFiled fetches the runs of a system that copies hold and this host does not,
// and says which runs of this host are signed and in no copy.
func (a *app) fetchFiled(ctx context.Context, b *book) (unfiled []string, err error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	seen, looked := map[string]bool{}, 0
	inEach(ctx, plan.Copies(b.Runbook), opener(b.secrets), func(ctx context.Context, _ string, s storage.Store) error {
		runs, err := backup.Filed(ctx, s, b.System)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		looked++
		for _, r := range runs[max(0, len(runs)-mostFiled):] {
			first := !seen[r.Run]
			seen[r.Run] = true
			fetched := filedHome(home).RunDir(r.Run)
			_, errHere := os.Stat(home.RunDir(r.Run))
			_, errFetched := os.Stat(fetched)
			if first && errHere != nil && errFetched != nil {
				errFetched = r.Fetch(ctx, s, fetched)
				err = errors.Join(err, errFetched)
			}
			switch {
			case first && errHere == nil:
				err = errors.Join(err, r.FetchReviews(ctx, s, home.RunDir(r.Run)))
			case first && errFetched == nil:
				err = errors.Join(err, r.FetchReviews(ctx, s, fetched))
			}
		}
		return err
	})
	if looked == 0 {
		return nil, ctx.Err()
	}
	runs, err := home.List()
	if err != nil {
		return nil, err
	}
	for _, p := range runs {
		if p.Problem == nil && p.Plan.System == b.System && p.Signed && !seen[p.ID] {
			unfiled = append(unfiled, p.ID)
		}
	}
	return unfiled, ctx.Err()
}

// filedProofs are the proofs of runs that were fetched from copies.
func (a *app) filedProofs(home runner.Home, system string) ([]check.Proof, error) {
	runs, err := filedHome(home).List()
	if err != nil {
		return nil, err
	}
	var all []check.Proof
	for _, p := range runs {
		if _, err := os.Stat(home.RunDir(p.ID)); err == nil {
			continue // this host's own
		}
		if p.Problem == nil && p.Plan != nil && p.Plan.System == system && p.State.Result != "" {
			all = append(all, proof(p))
		}
	}
	return all, nil
}
