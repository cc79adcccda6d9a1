package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/filing"
	"comeback/recovery/report"
)

// fileHead keeps the head of a run's journal in the copies of its plan, and the runbook, once
// the run has ended.
func (a *app) fileHead(ctx context.Context, dir string, p *recovery.Plan, ended recovery.State) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	return filing.KeepHead(ctx, home, dir, p, ended, keepingOf(dir, p), opener(a.secrets))
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

// compareHeads says which runs of this host are gone, and which are others than those that
// ended, as the copies know them.
func (a *app) compareHeads(ctx context.Context, b *book) (vanished, rewritten []string, err error) {
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, fmt.Errorf("find this host's name: %w", err)
	}
	return filing.Compare(ctx, home, host, copiesOf(b))
}
