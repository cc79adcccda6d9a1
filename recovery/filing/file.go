package filing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// Copies are those of a system, and how they are opened.
type Copies struct {
	System string
	Copies []recovery.Copy
	Open   catalogue.OpenStore
}

// Filed says in which copies a run is filed, in the order of its plan, and why not in the
// others.
type Filed struct {
	In      []string
	Missing map[string]error
}

// File puts a run that has been signed into the copies of its plan, with its reviews.
func File(ctx context.Context, dir string, open catalogue.OpenStore) (Filed, error) {
	b, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil {
		return Filed{}, fmt.Errorf("file the report: %w", err)
	}
	p, err := plan.Decode(b)
	if err != nil {
		return Filed{}, err
	}
	f := Filed{Missing: backup.InEach(ctx, p.Copies, open, func(ctx context.Context, _ string, s storage.Store) error {
		if err := backup.FileRun(ctx, s, dir, p.System, p.Number, p.Run); err != nil {
			return err
		}
		return backup.FileReviews(ctx, s, dir, p.System, p.Number, p.Run)
	})}
	for _, c := range p.Copies {
		if f.Missing[c.Name] == nil {
			f.In = append(f.In, c.Name)
		}
	}
	return f, nil
}

// headTime is how long a run that has ended may take to keep its head in the copies.
const headTime = 10 * time.Second

// KeepHead keeps the head of a run's journal in the copies of its plan, once the run has
// ended, and with it the runbook in those that have none, where one is given. A copy that
// takes nothing is no fault of the run: who checks the copies judges them.
func KeepHead(ctx context.Context, home runner.Home, dir string, p *recovery.Plan, ended recovery.State, runbook *backup.Keeping, open catalogue.OpenStore) error {
	if ended.Result == "" {
		return nil
	}
	sum, lines, err := journal.Head(filepath.Join(dir, journal.Name))
	if err != nil {
		return err
	}
	h := backup.Head{System: p.System, Run: p.Run, Number: p.Number, Mode: p.Mode, Result: ended.Result, Host: ended.Host, State: home.Dir,
		Ended: ended.Ended.UTC(), Lines: lines, SHA256: sum}
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	backup.InEach(ctx, p.Copies, open, func(ctx context.Context, _ string, s storage.Store) error {
		err := backup.FileHead(ctx, s, h)
		if runbook != nil {
			err = errors.Join(err, runbook.KeepFirst(ctx, s))
		}
		return err
	})
	return nil
}
