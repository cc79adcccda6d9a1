package main

import (
	"context"

	"comeback/recovery"
	"comeback/recovery/report"
)

// Trends compares the rehearsals of a runbook's system, those of this host and
// those that were fetched from copies, as the page for auditors does.
func (d *desk) Trends(ctx context.Context, path string) (*recovery.Trend, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return nil, err
	}
	p := report.Period{System: b.System, Until: d.app.now()}
	if err := d.app.exportRuns(&p); err != nil {
		return nil, err
	}
	return p.Trends(), nil
}
