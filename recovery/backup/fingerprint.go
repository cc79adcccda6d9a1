package backup

import (
	"context"
	"slices"

	"comeback/recovery"
)

// Fingerprint is that of a component's source as it is now, by the engine that
// takes its backups; empty where there is none.
func Fingerprint(ctx context.Context, o Options, c recovery.Component) (string, error) {
	jobs, err := jobsOf([]recovery.Component{c}, o.Engines)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(jobs, func(j job) bool { return j.component.Kind != recovery.Postgres })
	if i < 0 {
		return "", nil
	}
	return jobs[i].engine.Fingerprint(ctx, recovery.Capture{System: o.System, Component: c, Secret: o.Secret, Command: commander{o.Redact}.run, Now: o.Now})
}
