package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// exactly says how exact a moment is that an engine reaches.
var exactly = map[recovery.Exactness]string{recovery.ToCommit: "any commit", recovery.ToSecond: "any second", recovery.ToBackup: "the backup"}

// allMoments lists, where a runbook's components come back by several engines, what every one
// of them reaches in one order, the oldest first: which moments the system as a whole has is
// read from top to bottom.
func (a *app) allMoments(b *book, cat catalogue.Catalogue, z zone) {
	all := cat.Reachable(plan.Restored(b.Runbook), engines())
	if !slices.ContainsFunc(all, func(m catalogue.Reachable) bool { return m.Engine != all[0].Engine }) {
		return
	}
	fmt.Fprintf(a.out, "all of them, in the order of time, with what each can be taken to\n")
	for _, m := range all {
		fmt.Fprintf(a.out, "  %-10s  %s  %s: %s, %s by %s in %s%s\n", exactly[m.Exactness], span(m, z), m.Component, clean(m.Backup), clean(m.Form), m.Engine, m.Copy, lacks(m)+passes(m, z))
	}
}

// writeMoments writes every moment as JSON, one a line.
func (a *app) writeMoments(b *book, cat catalogue.Catalogue) error {
	lines := json.NewEncoder(a.out)
	for _, m := range cat.Reachable(plan.Restored(b.Runbook), engines()) {
		if err := lines.Encode(m); err != nil {
			return fmt.Errorf("write the moments: %w", err)
		}
	}
	return nil
}

// span is when a moment is.
func span(m catalogue.Reachable, z zone) string {
	text := func(t time.Time) string {
		if t.IsZero() {
			return "the end of its log"
		}
		return z.time(t)
	}
	switch {
	case m.Begins().IsZero() && m.Exactness != recovery.ToBackup:
		return "from its end on"
	case m.Exactness != recovery.ToBackup:
		return text(m.From) + " .. " + text(m.To)
	case m.Begins().IsZero():
		return "at an unknown time"
	}
	return "of " + z.time(m.Begins())
}

// lacks says what the system as a whole has not yet at the begin of a moment.
func lacks(m catalogue.Reachable) string {
	switch what := strings.Join(m.Without, ", "); {
	case what == "":
		return ""
	case m.Exactness == recovery.ToBackup:
		return "; of " + what + " there is nothing that early"
	default:
		return "; at its begin there is nothing of " + what + " yet"
	}
}

// passes says which part of a moment the system as a whole cannot be brought to, because the
// log of another component ends before them.
func passes(m catalogue.Reachable, z zone) string {
	switch {
	case len(m.Beyond) == 0:
		return ""
	case m.Begins().After(m.Until):
		return "; the log of " + m.First + " ends before it, at " + z.time(m.Until)
	default:
		return "; the log of " + m.First + " goes on only until " + z.time(m.Until)
	}
}
