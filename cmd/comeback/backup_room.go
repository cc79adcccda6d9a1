package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/execute"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/room"
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
		dir, device, ok := directoryOf(place)
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
	all := postgresOf(b)
	clusters := make([]string, len(all))
	var asking sync.WaitGroup
	for i, c := range all {
		asking.Go(func() { clusters[i] = askDirectory(ctx, b, c) })
	}
	asking.Wait()
	return liveDevices(b, slices.DeleteFunc(clusters, func(dir string) bool { return !hasCluster(dir) }))
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

// hasCluster reports whether a directory that a server tells of is one of this host, with a
// cluster in it.
func hasCluster(dir string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
	return err == nil
}

// liveDevices are the devices on which live data lie: clusters in these directories, and the
// trees that a runbook names.
func liveDevices(b *book, clusters []string) map[uint64]bool {
	live := map[uint64]bool{}
	see := func(path string) {
		if _, err := os.Stat(path); err != nil || !filepath.IsAbs(path) {
			return
		}
		if _, device, err := room.Free(path); err == nil {
			live[device] = true
		}
	}
	for _, dir := range clusters {
		see(dir)
	}
	for _, c := range plan.Components(b.Runbook) {
		for _, key := range []string{"path", "paths", "data"} {
			for _, text := range c.Settings[key] {
				if p, err := b.secrets.Expand(text); err == nil && p != "" {
					see(p)
				}
			}
		}
	}
	return live
}

// directoryOf is the directory of a copy that is one, and the device that it lies on.
func directoryOf(place string) (dir string, device uint64, ok bool) {
	u, err := url.Parse(place)
	if err != nil || u.Scheme != "file" {
		return "", 0, false
	}
	_, device, err = room.Free(u.Path)
	return u.Path, device, err == nil
}
