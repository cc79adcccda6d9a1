package main

import (
	"context"
	"slices"
	"sync"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check/gather"
	"comeback/recovery/execute"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
)

// watchDisks lets backups look at the disks that they write to: that of the directory in which
// one lies until it is stored, and those of copies that what is live lies on, too.
func watchDisks(ctx context.Context, b *book, o *backup.Options) error {
	keep, err := execute.Keep(o.Temp)
	if err != nil {
		return err
	}
	o.Room = execute.Room(o.Temp, keep, "make room on that disk, or give another directory: --temp DIRECTORY (or COMEBACK_SCRATCH)")
	live := sync.OnceValue(func() map[uint64]bool { return askedDevices(ctx, b) })
	o.CopyRoom = func(c recovery.Copy) func(more int64) error {
		place, err := b.secrets.Expand(c.URL)
		if err != nil {
			return nil // opening it tells why
		}
		dir, device, ok := gather.DirectoryOf(ctx, place, directoryWithin)
		if !ok || !live()[device] {
			return nil
		}
		keep, err := execute.Keep(dir)
		if err != nil {
			return func(int64) error { return err }
		}
		return execute.Room(dir, keep, "make room on that disk, or let the copy lie on another one")
	}
	return nil
}

// askedDevices are the devices of what is live, as far as its servers say where their data are.
func askedDevices(ctx context.Context, b *book) map[uint64]bool {
	all := plan.RestoredDatabases(b.Runbook)
	clusters := make([]string, len(all))
	var asking sync.WaitGroup
	for i, c := range all {
		asking.Go(func() { clusters[i] = askDirectory(ctx, b, c) })
	}
	asking.Wait()
	return gather.LiveDevices(ctx, b.Runbook, b.secrets.Expand, slices.DeleteFunc(clusters, func(dir string) bool { return !gather.HasCluster(dir) }), directoryWithin)
}

// askDirectory asks a live server for its data directory; empty where it does not answer, or
// tells none of the roles that the runbook names.
func askDirectory(ctx context.Context, b *book, c recovery.Component) string {
	for _, key := range []string{"admin", "url"} {
		address, err := b.secrets.Expand(c.Settings.Text(key))
		if err != nil || address == "" {
			continue
		}
		conn, err := postgres.ConnectLive(ctx, address)
		if err != nil {
			continue
		}
		k, err := postgres.ReadKeeping(ctx, conn)
		conn.Close(context.WithoutCancel(ctx)) // it only read
		if err == nil && k.DataDirectory != "" {
			return k.DataDirectory
		}
	}
	return ""
}
