package gather

import (
	"context"
	"errors"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/storage"
)

// copyWithin bounds how long a copy may take to tell of itself.
const copyWithin = time.Minute

// copy looks at a copy beside its backups.
func (o Options) copy(ctx context.Context, c recovery.Copy) check.Copy {
	seen := check.Copy{Copy: c}
	for _, field := range []*string{&seen.URL, &seen.Region, &seen.Endpoint, &seen.Copy.Account} {
		if v, err := o.Expand(*field); err == nil {
			*field = v
		}
	}
	store, err := o.Open(ctx, c)
	if err != nil {
		seen.Err = err
		return seen
	}
	if id, ok := storage.As[storage.Identifier](store); ok {
		seen.Who, seen.Account, _ = id.Identity(ctx) // who it is only adds to the evidence
	}
	placeOf(ctx, &seen)
	if err := o.known(ctx, &seen, store, knownWithin); err != nil {
		seen.Err = err
		return seen
	}
	begun, err := backup.Unfinished(ctx, store)
	if err != nil {
		seen.Err = err
		return seen
	}
	for _, b := range begun {
		seen.Unfinished = append(seen.Unfinished, check.Unfinished{Component: b.Component, Mark: b.Mark, Prefix: b.Prefix, Last: b.Last})
	}
	seen.Skew, _ = o.Skew(ctx, store) // nothing is said of a clock that does not tell its time
	if v, ok := storage.As[storage.Versioner](store); ok {
		if versioning, err := v.Versioning(ctx, ""); err == nil {
			seen.Versioning = &versioning
		}
	}
	if l, ok := storage.As[storage.Locker](store); ok {
		if locking, err := l.Locking(ctx); err != nil {
			seen.LockErr = err
		} else {
			seen.Locking = &locking
		}
	}
	if o.Canary {
		seen.Canary = check.Canary(ctx, store, o.Now())
	}
	o.runbook(ctx, &seen, store)
	return seen
}

// runbook looks which runbooks of the system lie in a copy. Where it may, it brings this one
// there, as backups do: where others take these, nothing else does.
func (o Options) runbook(ctx context.Context, seen *check.Copy, store storage.Store) {
	k := o.Kept
	k.At = o.Now()
	if o.Canary && !o.InCopy {
		seen.RunbookErr = errors.Join(k.Keep(ctx, store), o.Unsigned)
	}
	all, err := backup.Runbooks(ctx, store, o.Runbook.System)
	if seen.NoRunbook = err == nil && len(all) == 0; seen.RunbookErr == nil {
		seen.RunbookErr = err
	}
	seen.HoldsRunbook = slices.ContainsFunc(all, func(r backup.Runbook) bool { return r.SHA256 == o.SHA256 })
	if other, ok := k.Other(all); ok && !o.InCopy {
		seen.OtherRunbook, seen.OtherSince = other.Key, other.At
	}
}
