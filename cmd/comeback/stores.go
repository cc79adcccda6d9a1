package main

import (
	"context"
	"net/url"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/execute"
	"comeback/storage"
	"comeback/storage/s3"
)

// opener opens copies: their references are resolved at that moment and no
// earlier.
func opener(secrets *execute.Secrets) func(context.Context, recovery.Copy) (storage.Store, error) {
	return func(ctx context.Context, c recovery.Copy) (storage.Store, error) {
		return openCopy(ctx, c, secrets.Expand)
	}
}

// asOf gives a store as it was at a moment, where one is given; a directory as it is.
func asOf(store storage.Store, moment time.Time) (storage.Store, error) {
	if _, keeps := storage.As[storage.Versioner](store); moment.IsZero() || !keeps {
		return store, nil
	}
	return storage.AsOf(store, moment)
}

// directoryWithin is how long a directory may take to answer at all.
const directoryWithin = 10 * time.Second

// openCopy opens a copy; expand resolves its references.
func openCopy(ctx context.Context, c recovery.Copy, expand func(string) (string, error)) (storage.Store, error) {
	for _, field := range []*string{&c.URL, &c.Region, &c.Profile, &c.Endpoint, &c.Role, &c.Account} {
		v, err := expand(*field)
		if err != nil {
			return nil, err
		}
		*field = v
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, recovery.Errorf("correct the copy's url in the runbook", "open the copy %s: its url cannot be read", c.Name).WithExit(recovery.Usage)
	}
	var store storage.Store
	switch {
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path):
		store, err = storage.OpenDirWithin(ctx, u.Path, directoryWithin)
	case u.Scheme == "s3" && u.Host != "":
		store, err = s3.Open(ctx, s3.Options{URL: c.URL, Region: c.Region, Profile: c.Profile, Endpoint: c.Endpoint,
			PathStyle: c.PathStyle, Role: c.Role, Account: c.Account})
	default:
		return nil, recovery.Errorf("write file:///directory or s3://bucket/prefix", "open the copy %s: its url is neither a file:// nor an s3:// address", c.Name).WithExit(recovery.Usage)
	}
	if err != nil {
		return nil, catalogue.Explain(err, c.Name)
	}
	if store, err = asOf(store, c.AsOf); err != nil {
		return nil, catalogue.Explain(err, c.Name)
	}
	return store, nil
}
