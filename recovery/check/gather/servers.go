package gather

import (
	"context"
	"path/filepath"
	"sync"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/room"
	"comeback/storage"
)

// servers asks the live servers, side by side.
func (o Options) servers(ctx context.Context) map[string]check.Server {
	databases := plan.RestoredDatabases(o.Runbook)
	said := make([]check.Server, len(databases))
	var asking sync.WaitGroup
	for i, c := range databases {
		asking.Go(func() { said[i] = o.server(ctx, c) })
	}
	asking.Wait()
	all := map[string]check.Server{}
	for i, c := range databases {
		all[c.Name] = said[i]
	}
	return all
}

// server asks one what it says of its log. Only where its directory is this host's can its
// disk be seen.
func (o Options) server(ctx context.Context, c recovery.Component) check.Server {
	s := check.Server{Free: -1}
	conn, err := postgres.ConnectComponent(ctx, c, o.Expand)
	if err != nil {
		s.Err = err
		return s
	}
	defer conn.Close(context.Background()) // it only read
	if s.Archiver, s.Err = postgres.ReadArchiver(ctx, conn); s.Err == nil {
		s.Keeping, s.Err = postgres.ReadKeeping(ctx, conn)
	}
	if f, ok := walfile.Parse(s.Archived); ok && f.Kind == walfile.Segment && s.SegmentSize > 0 {
		s.ArchivedLSN = walfile.Start(f.Number(s.SegmentSize), s.SegmentSize)
	}
	free := storage.Each(ctx, []string{s.DataDirectory}, o.Within, func(_ context.Context, dir string) (int64, error) {
		if !HasCluster(dir) {
			return -1, nil
		}
		free, _, err := room.Free(filepath.Join(dir, "pg_wal"))
		return free, err
	})[0]
	if free.Err == nil {
		s.Free = free.Says
	}
	return s
}

// holdLog says how far the log comes that copies hold of each server, and of which cluster
// their newest base backups are.
func holdLog(e *check.Evidence) {
	for _, s := range e.Catalogue.Surveys {
		server, asked := e.Servers[s.Component]
		engine, _ := recovery.EngineNamed(e.Engines, s.Engine)
		ends, ok := engine.(recovery.Ender)
		if !ok || !asked {
			continue
		}
		of := s.Lineages()[0].System()
		if server.BackedUp == "" || of == server.SystemIdentifier {
			server.BackedUp = of
		}
		if of == "" || server.SystemIdentifier == "" || of == server.SystemIdentifier {
			server.Held = max(server.Held, ends.End(s))
		}
		e.Servers[s.Component] = server
	}
}
