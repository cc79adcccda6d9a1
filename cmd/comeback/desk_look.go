package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"comeback/recovery/filing"
)

// lookFor is how long a query of the console, or all counts together, may take.
const lookFor = time.Minute

// Look asks what a run has restored, as comeback look does.
func (d *desk) Look(ctx context.Context, run, component, query string) (string, error) {
	var out strings.Builder
	a := *d.app
	a.out = &out
	err := a.look(ctx, looking{run: run, component: component, sql: query, timeout: lookFor})
	return out.String(), err
}

// Kept names the copies that hold the head of a run's journal. Those of a run that was
// fetched are told by what it was fetched from.
func (d *desk) Kept(ctx context.Context, runDir string) ([]string, error) {
	r, err := d.app.loadFrom(runDir)
	if err != nil || r.State.Result == "" {
		return nil, err
	}
	return filing.Keeping(ctx, filepath.Clean(runDir), r.Plan, opener(d.app.secrets.For(r.Plan.Needs))), nil
}
