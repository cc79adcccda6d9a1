package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/storage"

	"github.com/jackc/pgx/v5"
)

// liveServer is what a component's live server says; or why it says nothing.
type liveServer struct {
	conn *pgx.Conn
	postgres.Archiver
	err error
}

// liveServers are those of the components, by name.
type liveServers map[string]*liveServer

// askLive asks the live servers of all databases, side by side. That one does
// not answer is data: it may be what the copies are needed for.
func (a *app) askLive(ctx context.Context, b *book) liveServers {
	servers := liveServers{}
	var asking sync.WaitGroup
	for _, c := range plan.RestoredDatabases(b.Runbook) {
		l := &liveServer{}
		servers[c.Name] = l
		asking.Go(func() {
			l.conn, l.err = postgres.ConnectComponent(ctx, c, b.secrets.Expand)
			if l.err == nil {
				l.Archiver, l.err = postgres.ReadArchiver(ctx, l.conn)
			}
		})
	}
	asking.Wait()
	return servers
}

func (s liveServers) close() {
	for _, l := range s {
		if l.conn != nil {
			l.conn.Close(context.Background()) // it only read
		}
	}
}

// refresh asks again.
func (s liveServers) refresh(ctx context.Context) {
	for _, l := range s {
		if l.conn != nil {
			l.Archiver, l.err = postgres.ReadArchiver(ctx, l.conn)
		}
	}
}

// sameCluster refuses to compare a live server with the backups of another one.
func (l *liveServer) sameCluster(s recovery.Survey) error {
	for _, b := range s.Backups {
		if theirs := b.Details[recovery.SystemIdentifier]; theirs != "" && l.SystemIdentifier != "" && theirs != l.SystemIdentifier {
			return recovery.Errorf("correct the component's url, or the copy",
				"the live server is another cluster: its system identifier is %s, that of the backups in %s is %s", l.SystemIdentifier, s.Copy, theirs)
		}
	}
	return nil
}

// names are those of the live server's relations; nil, and why, where it cannot
// give them for a copy.
func (l *liveServer) names(ctx context.Context, s recovery.Survey) (recovery.Names, error) {
	if l.err != nil {
		return nil, l.err
	}
	if err := l.sameCluster(s); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	names, err := scan.ReadNames(ctx, l.conn)
	if err != nil {
		return nil, fmt.Errorf("ask the live server for names: %w", err)
	}
	return names, nil
}

// namesTimeout bounds how long the live server is asked for names.
const namesTimeout = 20 * time.Second

// switchWAL pushes the live log of every database out and waits until a copy has
// it.
func (a *app) switchWAL(ctx context.Context, b *book, cat catalogue.Catalogue, servers liveServers, o momentsAsked) error {
	pushed := false
	for _, c := range plan.RestoredDatabases(b.Runbook) {
		s, ok := cat.NewestLog(c.Name)
		if !ok {
			continue
		}
		l := servers[c.Name]
		if l.err != nil {
			return recovery.Errorf(recovery.HintOf(l.err), "push out the log of %s: %w", c.Name, l.err).WithExit(recovery.Failed)
		}
		if err := l.sameCluster(s); err != nil {
			return err
		}
		pushed = true
		segment, err := postgres.SwitchWAL(ctx, l.conn)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "%s: pg_switch_wal() closed segment %s on the live server, which nothing else here touches; waiting for it in %s\n", c.Name, segment, s.Copy)
		if err := a.arrived(ctx, b, l, s, segment, o.wait); err != nil {
			return err
		}
		fmt.Fprintf(a.err, "%s: segment %s is in %s\n", c.Name, segment, s.Copy)
	}
	if !pushed {
		return recovery.Errorf("make a base backup into a copy that takes the WAL archive", "no copy holds a log to push anything into").WithExit(recovery.Refused)
	}
	return nil
}

// arrived waits until a segment is in a survey's copy.
func (a *app) arrived(ctx context.Context, b *book, l *liveServer, s recovery.Survey, segment string, wait time.Duration) error {
	engine, store, err := a.openSurvey(ctx, b, s)
	if err != nil {
		return err
	}
	h, ok := engine.(recovery.Holder)
	if !ok {
		return fmt.Errorf("wait for %s: the engine %s reads no archive", segment, s.Engine)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return postgres.AwaitArchived(ctx, l.conn, segment, func(ctx context.Context) (bool, error) { return h.Holds(ctx, s, store, segment) })
}

// openSurvey opens what a survey was made of.
func (a *app) openSurvey(ctx context.Context, b *book, s recovery.Survey) (recovery.Engine, storage.Store, error) {
	for _, e := range engines() {
		if e.Schema().Engine != s.Engine {
			continue
		}
		for _, c := range plan.Copies(b.Runbook) {
			if c.Name == s.Copy {
				store, err := a.manifests.Opening(opener(b.secrets))(ctx, c)
				return e, store, err
			}
		}
	}
	return nil, nil, fmt.Errorf("open %s: the runbook does not know it any more", s.Copy)
}
