package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comeback/recovery/filing"
	"comeback/recovery/plan"
)

// copiesOf are the copies of a runbook's system, in which its signed runs are filed.
func copiesOf(b *book) filing.Copies {
	return filing.Copies{System: b.System, Copies: plan.Copies(b.Runbook), Open: opener(b.secrets)}
}

// filedLines say in a line each where a run is that was filed, and where it is not.
func filedLines(f filing.Filed) []string {
	var lines []string
	if len(f.In) > 0 {
		lines = append(lines, "filed in "+strings.Join(f.In, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Missing)) {
		lines = append(lines, fmt.Sprintf("NOT filed in %s: %v", name, f.Missing[name]))
	}
	return lines
}

// tellFiled files a run that has been signed and tells where it is; that it could not be filed is
// told, and is no failure of the signature.
func (a *app) tellFiled(ctx context.Context, dir string, say func(line string)) {
	f, err := filing.File(ctx, dir, opener(a.secrets))
	lines := filedLines(f)
	if err != nil {
		lines = append(lines, "NOT filed: "+err.Error())
	}
	for _, line := range lines {
		say(clean(a.redact(line)))
	}
}

// fetchFiled fetches the runs of a system that copies hold and this host does not.
func (a *app) fetchFiled(ctx context.Context, b *book) (filing.Fetched, error) {
	home, err := a.home()
	if err != nil {
		return filing.Fetched{}, err
	}
	return filing.Fetch(ctx, home, copiesOf(b))
}
