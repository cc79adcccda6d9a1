package gather

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/runner"
	"comeback/runbooks"
	"comeback/storage"
)

// Options say what is looked at, and with what.
type Options struct {
	Runbook *runbooks.Runbook
	// Kept is the runbook as copies keep it, SHA256 the digest of its bytes; Unsigned is why a
	// signature over it goes into none.
	Kept     backup.Keeping
	SHA256   string
	Unsigned error
	// InCopy says that the runbook lies in a copy itself: it is brought into none.
	InCopy bool
	// Canary lets copies be given a canary, and the runbook.
	Canary bool
	At     time.Time
	Now    func() time.Time
	// Home is the state of whoever looks, Scratch where this host restores into; empty where
	// there is no such place.
	Home    runner.Home
	Scratch string
	// Version is that of the program, Build the very one.
	Version, Build string
	Engines        []recovery.Engine
	// Switcher finds what brings a component live.
	Switcher func(recovery.Component) (recovery.Switcher, bool)
	Open     catalogue.OpenStore
	// Survey asks all engines about all copies.
	Survey func(context.Context, catalogue.Options) (catalogue.Catalogue, error)
	// Skew is how far the clock of a copy is ahead of ours; nil where it tells none.
	Skew func(context.Context, storage.Store) (*time.Duration, error)
	// Expand resolves the references in a text, Redact takes secrets out of one.
	Expand func(text string) (string, error)
	Redact func(text string) string
	// Within is how long a directory of this host may take to answer at all: it may lie on a
	// file server that has gone.
	Within time.Duration
	// Waits is told what is waited for, Progress how far a survey is.
	Waits    func(format string, args ...any)
	Progress func(catalogue.Progress)
}

// Look looks at everything that a check judges, side by side. Of the runs of the system, and
// of what was found before, it knows nothing.
func Look(ctx context.Context, o Options) (check.Evidence, error) {
	e := o.owed()
	Programs(&e, o.Version)
	o.Waits("looking at the copies and the servers")
	if err := o.sideBySide(ctx, &e); err != nil {
		return e, err
	}
	o.Waits("looking at the locks")
	var wait sync.WaitGroup
	wait.Go(func() {
		e.Copies = each(ctx, e.Copies, locksWithin, func(ctx context.Context, seen check.Copy) check.Copy {
			o.locks(ctx, &seen, e.Catalogue)
			return seen
		}, func(seen check.Copy, err error) check.Copy {
			seen.Locks = check.Locks{Of: 1, Err: err}
			return seen
		})
	})
	wait.Go(func() { e.Identities = o.identities(ctx, e.Catalogue) })
	wait.Wait()
	holdLog(&e)
	o.waiting(&e)
	o.besideLive(ctx, &e)
	e.Room = roomIn(o.Scratch, e.Catalogue)
	return e, ctx.Err()
}

// owed is what the runbook says of the system.
func (o Options) owed() check.Evidence {
	rb := o.Runbook
	e := check.Evidence{System: rb.System, Runbook: o.SHA256, Checks: rb.Checks(), At: o.At, RPO: rb.RPO, RTO: rb.RTO, Rehearse: rb.Rehearse,
		Components: plan.Components(rb), Engines: o.Engines, Sources: map[string]check.Source{}}
	if len(rb.People) > 0 {
		e.Owner = rb.People[0].Role
	}
	for _, w := range rb.Without {
		e.Without = append(e.Without, recovery.ComponentKind(w.Kind))
	}
	return e
}

// sideBySide looks at what nothing else has to be known for.
func (o Options) sideBySide(ctx context.Context, e *check.Evidence) error {
	var wait sync.WaitGroup
	var errSurvey error
	copies := plan.Copies(o.Runbook)
	wait.Go(func() {
		e.Catalogue, errSurvey = o.Survey(ctx, catalogue.Options{Components: e.Components, Copies: copies, Engines: o.Engines, OpenStore: o.Open, Progress: o.Progress})
	})
	wait.Go(func() {
		e.Copies = each(ctx, copies, copyWithin, o.copy, func(c recovery.Copy, err error) check.Copy { return check.Copy{Copy: c, Err: err} })
	})
	wait.Go(func() { e.Servers = o.servers(ctx) })
	wait.Go(func() { e.Switches = o.switches(ctx) })
	sources := make([]check.Source, len(e.Components))
	for i, c := range e.Components {
		if c.Kind != recovery.Postgres {
			wait.Go(func() { sources[i] = o.source(ctx, c) })
		}
	}
	wait.Wait()
	for i, c := range e.Components {
		e.Sources[c.Name] = sources[i]
	}
	return errSurvey
}

// each looks at all copies side by side; silent is the evidence that one gives no answer.
func each[Of any](ctx context.Context, all []Of, within time.Duration, look func(context.Context, Of) check.Copy, silent func(Of, error) check.Copy) (seen []check.Copy) {
	for _, a := range storage.Each(ctx, all, within, func(ctx context.Context, of Of) (check.Copy, error) { return look(ctx, of), nil }) {
		if a.Err != nil {
			a.Says = silent(a.Of, a.Err)
		}
		seen = append(seen, a.Says)
	}
	return seen
}

// source looks whether a component's source has changed, where that answers.
func (o Options) source(ctx context.Context, c recovery.Component) check.Source {
	for _, a := range disks(ctx, placesOf(c.Settings, o.Expand), o.Within) {
		if _, silent := errors.AsType[*storage.Silent](a.Err); silent {
			return check.Source{Err: fmt.Errorf("look at %s: %w", a.Of, a.Err)}
		}
	}
	f, err := backup.Fingerprint(ctx, backup.Options{System: o.Runbook.System, Engines: o.Engines, Secret: o.Expand, Redact: o.Redact, Now: o.Now}, c)
	return check.Source{Fingerprint: f, Err: err}
}

// Programs says with what this host would restore: which version of this program, and which
// of PostgreSQL.
func Programs(e *check.Evidence, version string) {
	e.Program = version
	e.Programs = map[int]string{}
	for _, t := range postgres.Installed() {
		e.Majors = append(e.Majors, t.Major)
		e.Programs[t.Major] = t.Version
	}
}
