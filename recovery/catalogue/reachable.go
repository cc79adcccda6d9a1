package catalogue

import (
	"cmp"
	"slices"
	"time"

	"comeback/recovery"
)

// Reachable is something that a component can be brought to: a window, or a backup's own
// moment.
type Reachable struct {
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
	// First is which of them is the first to end.
	First string `json:"-"`
}

// Reachable is what can be gone to of components, the oldest first. Engines are those that
// have surveyed.
func (c Catalogue) Reachable(components []recovery.Component, engines []recovery.Engine) []Reachable {
	var all []Reachable
	first := map[string]time.Time{} // of each component; zero where it is not known
	ends := c.ends()
	for _, s := range c.Surveys {
		i := slices.IndexFunc(components, func(c recovery.Component) bool { return c.Name == s.Component })
		if i < 0 {
			continue
		}
		for _, b := range s.Backups {
			if b.Problem != "" {
				continue
			}
			for _, m := range momentsOf(components[i], s, b, versioned(engines, s.Engine)) {
				if before, ok := first[m.Component]; !ok || m.Begins().Before(before) {
					first[m.Component] = m.Begins()
				}
				all = append(all, m)
			}
		}
	}
	for i, m := range all {
		for _, c := range components {
			if t, ok := first[c.Name]; ok && !m.Begins().IsZero() && t.After(m.Begins()) {
				all[i].Without = append(all[i].Without, c.Name)
			}
			if end, ok := ends[c.Name]; ok && c.Name != m.Component && end.before(m.Ends()) {
				if all[i].Until.IsZero() || end.at.Before(all[i].Until) {
					all[i].Until, all[i].First = end.at, c.Name
				}
				all[i].Beyond = append(all[i].Beyond, c.Name)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Reachable) int {
		return cmp.Or(a.Begins().Compare(b.Begins()), a.To.Compare(b.To), cmp.Compare(a.Component, b.Component))
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

// ends are the ends of the components that cannot be brought to any later time: those of
// which every engine and copy that has something has log with an end, and that is known.
func (c Catalogue) ends() map[string]logEnd {
	ends, endless := map[string]logEnd{}, map[string]bool{}
	for _, s := range c.Surveys {
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

// momentsOf are the moments of one backup: its windows; where it has none, its own. Versions
// says that it is all that was there since its begin.
func momentsOf(c recovery.Component, s recovery.Survey, b recovery.Backup, versions bool) []Reachable {
	own := Reachable{Component: c.Name, Kind: c.Kind, Engine: s.Engine, Copy: s.Copy, Backup: b.ID, Form: b.Form, Exactness: recovery.ToBackup, From: b.Taken.From, To: b.Taken.To}
	if versions && !own.From.IsZero() { // its past is one window
		own.Exactness = recovery.ToSecond
	}
	var all []Reachable
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

// Begins is the first moment of it, for sure; zero where it is not known.
func (m Reachable) Begins() time.Time {
	if m.Exactness == recovery.ToBackup {
		return cmp.Or(m.To, m.From)
	}
	return m.From
}

// Ends is the last moment of it that is known.
func (m Reachable) Ends() time.Time {
	if m.Exactness == recovery.ToBackup || m.To.IsZero() {
		return m.Begins()
	}
	return m.To
}

// versioned reports whether an engine's backups are all that was there since their begin.
func versioned(engines []recovery.Engine, name string) bool {
	e, ok := recovery.EngineNamed(engines, name)
	return ok && e.Schema().Versions
}
