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
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// headTime is how long a run that has ended may take to keep its head in the copies.
const headTime = 10 * time.Second

// fileHead keeps the head of a run's journal in the copies of its plan, once the run has
// ended. A copy that takes nothing is no fault of the run: comeback check judges copies.
func (a *app) fileHead(ctx context.Context, dir string, p *recovery.Plan, ended recovery.State) error {
	if ended.Result == "" {
		return nil
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	sum, lines, err := journal.Head(filepath.Join(dir, journal.Name))
	if err != nil {
		return err
	}
	h := backup.Head{System: p.System, Run: p.Run, Number: p.Number, Mode: p.Mode, Result: ended.Result, Host: ended.Host, State: home.Dir,
		Ended: ended.Ended.UTC(), Lines: lines, SHA256: sum}
	book := keepingOf(dir, p)
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	inEach(ctx, p.Copies, opener(a.secrets), func(ctx context.Context, _ string, s storage.Store) error {
		err := backup.FileHead(ctx, s, h)
		if book != nil {
			err = errors.Join(err, book.KeepFirst(ctx, s))
		}
		return err
	})
	return nil
}

// keepingOf is the runbook of a run, as copies that have none are to keep it: that of a file
// of this host. What was found in a copy is not carried into others, and runs that follow
// others go by theirs.
func keepingOf(dir string, p *recovery.Plan) *backup.Keeping {
	text, err := os.ReadFile(filepath.Join(dir, report.RunbookFile))
	if err != nil || p.Parent != "" || inCopy(p.Runbook.Path) || sumOf(text) != p.Runbook.SHA256 {
		return nil
	}
	return &backup.Keeping{System: p.System, Text: text, At: p.Created}
}

// fileRefused keeps the head of a run that has ended although it never began: it was
// refused, and has a report.
func (a *app) fileRefused(ctx context.Context, run string) error {
	if p, err := a.load(run); err == nil {
		return a.fileHead(ctx, p.Dir, p.Plan, p.State)
	}
	return nil // what cannot be read has said so when it was to begin
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
			own, errHere := holds(home, f.Run, f.SHA256)
			if errHere == nil && own {
				continue
			}
			fetched := fetchedAs(home, f.Run)
			here := !errors.Is(errHere, fs.ErrNotExist)
			known := slices.ContainsFunc(fetched, func(id string) bool {
				is, err := holds(home.Filed(), id, f.SHA256)
				return err == nil && is
			})
			if known && !here {
				continue
			}
			h, errHead := f.Read(ctx, s)
			if errHead != nil {
				err = errors.Join(err, errHead)
				continue
			}
			// Runs of two hosts may have the same ID. What was fetched excuses no run of
			// this host: whoever has replaced it here has left the true one in the copy.
			switch ours := h.Host == host && h.State == home.Dir; {
			case ours && here:
				others = append(others, f.Run)
			case known:
			case ours:
				gone = append(gone, f.Run)
			case h.Host != host && isOf(home, f.Run, h):
				others = append(others, f.Run)
			case slices.ContainsFunc(fetched, func(id string) bool { return isOf(home.Filed(), id, h) }):
				others = append(others, f.Run)
			}
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

// fetchedAs are the IDs that runs of an ID which were fetched may have here.
func fetchedAs(home runner.Home, run string) []string {
	var ids []string
	dirs, _ := filepath.Glob(home.Filed().RunDir(run) + "*") // the pattern is good
	for _, dir := range dirs {
		ids = append(ids, filepath.Base(dir))
	}
	return ids
}

// isOf reports whether a run that is here says that it is the one of a head.
func isOf(home runner.Home, id string, h backup.Head) bool {
	p, err := home.Load(id)
	return err == nil && p.Problem == nil && p.Plan.Number == h.Number && p.State.Host == h.Host
}

// holds reports whether the journal of a run is the one that had a head once. Until its report
// is signed, a line may still come after the run's end.
func holds(home runner.Home, run, head string) (bool, error) {
	return journal.Holds(filepath.Join(home.RunDir(run), journal.Name), head)
}
