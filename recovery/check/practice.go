package check

import (
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// wholeSystem are the kinds that a system consists of as a rule, and what they are.
var wholeSystem = []struct {
	kind recovery.ComponentKind
	what string
}{
	{recovery.Postgres, "database"},
	{recovery.Files, "uploaded files"},
	{recovery.Config, "configuration"},
	{recovery.Code, "code"},
}

// kinds finds that a runbook is silent about a part that systems have as a rule: what no
// component names is in no backup, and nobody misses it before the day.
func (j *judge) kinds() {
	var silent, keys []string
	for _, k := range wholeSystem {
		named := slices.ContainsFunc(j.Components, func(c recovery.Component) bool { return c.Kind == k.kind })
		if !named && !slices.Contains(j.Without, k.kind) {
			silent, keys = append(silent, k.what), append(keys, string(k.kind))
		}
	}
	if len(silent) > 0 {
		j.find("kinds", recovery.Unknown, "add components of these kinds, or say in the front matter that there are none: without: ["+strings.Join(keys, ", ")+"]",
			"the runbook says nothing of %s: whether the system needs them to come back is not known", series(silent))
	}
}

// automated finds what waits for a person who thinks of it: units that nobody has
// enabled, and components that no job of this host backs up and no copy holds at the
// pace of a habit, whoever's it is.
func (j *judge) automated() {
	var byHand []string
	for _, job := range j.Jobs {
		switch {
		case job.Idle:
			j.find("schedule/"+job.Name, recovery.NotMet, "systemctl enable --now "+job.Unit, "%s is written on this host as %s, which is not enabled", job.Name, job.Unit)
		case !job.Told && job.Component != "" && !j.habit(job.Component):
			byHand = append(byHand, job.Component)
		}
	}
	if len(byHand) > 0 {
		j.find("schedule", recovery.Unknown, "comeback schedule "+j.Path+" --install", "nothing is seen that backs up %s by itself: comeback schedule has written no job for it on this host, and the copies show no habit", series(byHand))
	}
}

// habit reports whether backups of a component come by themselves into any copy, as far as
// the times between them tell.
func (j *judge) habit(component string) bool {
	return slices.ContainsFunc(j.Catalogue.Surveys, func(s recovery.Survey) bool { return s.Component == component && j.interval(s) >= time.Minute })
}

// series writes words one after the other: "a, b and c".
func series(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, "")
}
