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
	"comeback/recovery/files"
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
	// Beyond are the components whose log does not go as far as To, and Until is where the
	// first of them ends: the system as a whole can be brought no further, and where that is
	// before From to none of it.
	Beyond []string  `json:"beyond,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	first  string    // of them to end
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
		fmt.Fprintf(a.out, "  %-10s  %s  %s: %s, %s by %s in %s%s\n", exactly[m.Exactness], m.span(z), m.Component, clean(m.Backup), clean(m.Form), m.Engine, m.Copy, m.lacks()+m.passes(z))
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
	ends := endsOf(cat)
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
			if end, ok := ends[c.Name]; ok && c.Name != m.Component && end.before(m.ends()) {
				if all[i].Until.IsZero() || end.at.Before(all[i].Until) {
					all[i].Until, all[i].first = end.at, c.Name
				}
				all[i].Beyond = append(all[i].Beyond, c.Name)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b reachable) int {
		return cmp.Or(a.begins().Compare(b.begins()), a.To.Compare(b.To), cmp.Compare(a.Component, b.Component))
	})
	return all
}

// logEnd is the last time at which a component is known, by the log that goes furthest.
type logEnd struct {
	at time.Time
	// seconds says that the whole second is.
	seconds bool
}

func (e logEnd) before(t time.Time) bool {
	if e.seconds {
		t = t.Truncate(time.Second)
	}
	return t.After(e.at)
}

// endsOf are the ends of the components that cannot be brought to any later time: those of
// which every engine and copy that has something has log with an end, and that is known.
func endsOf(cat catalogue.Catalogue) map[string]logEnd {
	ends, endless := map[string]logEnd{}, map[string]bool{}
	for _, s := range cat.Surveys {
		usable := func(id string) bool {
			return slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == id && b.Problem == "" })
		}
		if !slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.Problem == "" }) {
			continue
		}
		var end logEnd
		var newest uint32 // the timeline that is followed
		for _, w := range s.Windows {
			if w.Final || !usable(w.Backup) || w.Timeline < newest {
				continue
			}
			if w.Timeline > newest {
				end, newest = logEnd{}, w.Timeline
			}
			if w.To.Time.After(end.at) {
				end = logEnd{w.To.Time, w.Exactness() == recovery.ToSecond}
			}
		}
		switch {
		case end.at.IsZero():
			endless[s.Component] = true
		case end.at.After(ends[s.Component].at):
			ends[s.Component] = end
		}
	}
	for c := range endless {
		delete(ends, c)
	}
	return ends
}

// momentsOf are the moments of one backup: its windows; where it has none, its own.
func momentsOf(c recovery.Component, s recovery.Survey, b recovery.Backup) []reachable {
	own := reachable{Component: c.Name, Kind: c.Kind, Engine: s.Engine, Copy: s.Copy, Backup: b.ID, Form: b.Form, Exactness: recovery.ToBackup, From: b.Taken.From, To: b.Taken.To}
	if s.Engine == files.Bucket && !own.From.IsZero() { // its past is one window
		own.Exactness = recovery.ToSecond
	}
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

// ends is the last moment of it that is known.
func (m reachable) ends() time.Time {
	if m.Exactness == recovery.ToBackup || m.To.IsZero() {
		return m.begins()
	}
	return m.To
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

// passes says which moments of it the system as a whole cannot be brought to, because the
// log of another component ends before them.
func (m reachable) passes(z zone) string {
	switch {
	case len(m.Beyond) == 0:
		return ""
	case m.begins().After(m.Until):
		return "; the log of " + m.first + " ends before it, at " + z.time(m.Until)
	default:
		return "; the log of " + m.first + " goes on only until " + z.time(m.Until)
	}
}
