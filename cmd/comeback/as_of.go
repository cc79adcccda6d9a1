package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// thenFlag is the moment as of which copies are read.
type thenFlag struct{ app *app }

func (f thenFlag) Type() string { return "time" }

func (f thenFlag) String() string {
	if f.app == nil || f.app.asOf.IsZero() {
		return ""
	}
	return f.app.asOf.Format(time.RFC3339)
}

func (f thenFlag) Set(text string) error {
	now := f.app.now()
	w, err := recovery.ParseWant(text, now)
	switch {
	case err != nil || w.Kind != recovery.WantTime:
		return fmt.Errorf("%q is not a time: write it with its offset, like %s, or \"2 hours ago\"", text, now.Format(time.RFC3339))
	case w.Time.After(now):
		return fmt.Errorf("%s is still to come", text)
	}
	f.app.asOf = w.Time
	return nil
}

// readAs lets a runbook's copies be read as those of a plan are.
func (b *book) readAs(p *recovery.Plan) {
	for i, c := range b.Copies {
		if j := slices.IndexFunc(p.Copies, func(was recovery.Copy) bool { return was.Name == c.Name }); j >= 0 {
			b.Copies[i].AsOf = p.Copies[j].AsOf
		}
	}
}

// readAs lets the copies of a run's runbook be read as the run does, for whoever looks at it.
func (a *app) readAs(p *recovery.Plan) {
	for _, c := range p.Copies {
		if a.asOf.IsZero() {
			a.asOf = c.AsOf
		}
	}
}

// readThen says which copies are read as they were.
func readThen(b *book) []string {
	var names []string
	for _, c := range b.Copies {
		if !c.AsOf.IsZero() && !strings.HasPrefix(c.URL, "file:") {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: read as it was at %s, by the versions that are kept there; what came later is not seen", strings.Join(names, ", "),
		b.Copies[0].AsOf.UTC().Format(time.RFC3339))}
}
