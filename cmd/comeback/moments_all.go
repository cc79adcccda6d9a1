package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// reachable is a row of the list of all moments: a window, or a backup's own moment.
type reachable struct {
	Component string                 `json:"component"`
	Kind      recovery.ComponentKind `json:"kind"`
	Engine    string                 `json:"engine"`
	Copy      string                 `json:"copy"`
	// Backup is what --to takes.
	Backup string `json:"backup"`
	Form   string `json:"form"`
	// Exactness is how exactly something within can be reached.
	Exactness recovery.Exactness `json:"exactness"`
	From      time.Time          `json:"from,omitzero"`
	To        time.Time          `json:"to,omitzero"`
	// Without are the components that have nothing as early as From: the system as a whole
	// cannot be brought there.
	Without []string `json:"without,omitempty"`
}

// exactly says how exact a moment is that an engine reaches.
var exactly = map[recovery.Exactness]string{recovery.ToCommit: "any commit", recovery.ToSecond: "any second", recovery.ToBackup: "the backup"}

// allMoments lists, where a runbook's components come back by several engines, what every one
// of them reaches in one order, the oldest first: which moments the system as a whole has is
// read from top to bottom.
func (a *app) allMoments(b *book, cat catalogue.Catalogue, z zone) {
	all := everyMoment(plan.Restored(b.Runbook), cat)
	if !slices.ContainsFunc(all, func(m reachable) bool { return m.Engine != all[0].Engine }) {
		return
	}
	fmt.Fprintf(a.out, "all of them, in the order of time, with what each can be taken to\n")
	for _, m := range all {
		fmt.Fprintf(a.out, "  %-10s  %s  %s: %s, %s by %s in %s%s\n", exactly[m.Exactness], m.span(z), m.Component, clean(m.Backup), clean(m.Form), m.Engine, m.Copy, m.lacks())
	}
}

// writeMoments writes every moment as JSON, one a line.
func (a *app) writeMoments(b *book, cat catalogue.Catalogue) error {
	lines := json.NewEncoder(a.out)
	for _, m := range everyMoment(plan.Restored(b.Runbook), cat) {
		if err := lines.Encode(m); err != nil {
			return fmt.Errorf("write the moments: %w", err)
		}
	}
	return nil
}

// everyMoment is what can be gone to of components, the oldest first.
func everyMoment(components []recovery.Component, cat catalogue.Catalogue) []reachable {
	var all []reachable
	first := map[string]time.Time{} // of each component; zero where it is not known
	for _, s := range cat.Surveys {
		i := slices.IndexFunc(components, func(c recovery.Component) bool { return c.Name == s.Component })
		if i < 0 {
			continue
		}
		for _, b := range s.Backups {
			if b.Problem != "" {
				continue
			}
			for _, m := range momentsOf(components[i], s, b) {
				if before, ok := first[m.Component]; !ok || m.begins().Before(before) {
					first[m.Component] = m.begins()
				}
				all = append(all, m)
			}
		}
	}
	for i, m := range all {
		for _, c := range components {
			if t, ok := first[c.Name]; ok && !m.begins().IsZero() && t.After(m.begins()) {
				all[i].Without = append(all[i].Without, c.Name)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b reachable) int {
		return cmp.Or(a.begins().Compare(b.begins()), a.To.Compare(b.To), cmp.Compare(a.Component, b.Component))
	})
	return all
}

// momentsOf are the moments of one backup: its windows; where it has none, its own.
func momentsOf(c recovery.Component, s recovery.Survey, b recovery.Backup) []reachable {
	own := reachable{Component: c.Name, Kind: c.Kind, Engine: s.Engine, Copy: s.Copy, Backup: b.ID, Form: b.Form, Exactness: recovery.ToBackup, From: b.Taken.From, To: b.Taken.To}
	var all []reachable
	for _, w := range s.Windows {
		if w.Backup == b.ID {
			m := own
			m.Exactness, m.From, m.To = w.Exactness(), w.From.Time, w.To.Time
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		all = append(all, own)
	}
	return all
}

// begins is the first moment of it, for sure; zero where it is not known.
func (m reachable) begins() time.Time {
	if m.Exactness == recovery.ToBackup {
		return cmp.Or(m.To, m.From)
	}
	return m.From
}

// span is when it is.
func (m reachable) span(z zone) string {
	text := func(t time.Time) string {
		if t.IsZero() {
			return "the end of its log"
		}
		return z.time(t)
	}
	switch {
	case m.begins().IsZero() && m.Exactness != recovery.ToBackup:
		return "from its end on"
	case m.Exactness != recovery.ToBackup:
		return text(m.From) + " .. " + text(m.To)
	case m.begins().IsZero():
		return "at an unknown time"
	}
	return "of " + z.time(m.begins())
}

// lacks says what the system as a whole has not yet at its begin.
func (m reachable) lacks() string {
	switch what := strings.Join(m.Without, ", "); {
	case what == "":
		return ""
	case m.Exactness == recovery.ToBackup:
		return "; of " + what + " there is nothing that early"
	default:
		return "; at its begin there is nothing of " + what + " yet"
	}
}
