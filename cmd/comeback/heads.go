package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/recovery/runner"
	"comeback/storage"
)

// headTime is how long a run that has ended may take to keep its head in the copies.
const headTime = 10 * time.Second

// fileHead keeps the head of a run's journal in the copies of its plan, once the run has
// ended. A copy that takes nothing is no fault of the run: comeback check judges copies.
func (a *app) fileHead(ctx context.Context, run *runner.Run, ended recovery.State) error {
	if ended.Result == "" {
		return nil
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	sum, lines, err := journal.Head(filepath.Join(run.Dir(), journal.Name))
	if err != nil {
		return err
	}
	p := run.Plan()
	h := backup.Head{System: p.System, Run: p.Run, Number: p.Number, Mode: p.Mode, Result: ended.Result, Host: ended.Host, State: home.Dir,
		Ended: ended.Ended.UTC(), Lines: lines, SHA256: sum}
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	inEach(ctx, p.Copies, opener(a.secrets), func(ctx context.Context, _ string, s storage.Store) error { return backup.FileHead(ctx, s, h) })
	return nil
}

// compareHeads holds the journals of this host, and those that were fetched from copies,
// against the heads that copies keep: which of this host are gone, and which are others.
func (a *app) compareHeads(ctx context.Context, b *book) (vanished, rewritten []string, err error) {
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, fmt.Errorf("find this host's name: %w", err)
	}
	var mu sync.Mutex
	inEach(ctx, plan.Copies(b.Runbook), opener(b.secrets), func(ctx context.Context, _ string, s storage.Store) error {
		heads, err := backup.Heads(ctx, s, b.System)
		var gone, others []string
		for _, f := range heads {
			sum, errHere := headIn(home, f.Run)
			if errors.Is(errHere, fs.ErrNotExist) {
				sum, errHere = headIn(filedHome(home), f.Run)
			}
			if errHere == nil && sum != f.SHA256 {
				others = append(others, f.Run)
			}
			if !errors.Is(errHere, fs.ErrNotExist) {
				continue
			}
			h, errHead := f.Read(ctx, s)
			if errHead == nil && h.Host == host && h.State == home.Dir {
				gone = append(gone, f.Run)
			}
			err = errors.Join(err, errHead)
		}
		mu.Lock()
		defer mu.Unlock()
		vanished, rewritten = append(vanished, gone...), append(rewritten, others...)
		return err
	})
	slices.Sort(vanished)
	slices.Sort(rewritten)
	return slices.Compact(vanished), slices.Compact(rewritten), ctx.Err()
}

func headIn(home runner.Home, run string) (string, error) {
	sum, _, err := journal.Head(filepath.Join(home.RunDir(run), journal.Name))
	return sum, err
}
