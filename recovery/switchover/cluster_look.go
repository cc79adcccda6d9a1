package switchover

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// clusterTarget is what a live target says that is a whole data directory.
type clusterTarget struct {
	Into  string `json:"into"`
	Data  string `json:"data"`
	Major int    `json:"major"`
}

// lookCluster completes what was read of a live server whose data directory is to
// be exchanged as a whole. What could not be exchanged, or not be started again, is
// refused here, before anything is restored.
func lookCluster(c recovery.Component, s live.Server, l recovery.Live) (recovery.Live, error) {
	if s.Host == "" || s.Data == "" {
		return l, recovery.Errorf("run comeback on the server's own machine, as root or as the server's user; or write `into: "+intoDatabase+"`",
			"refused: the data directory of %s cannot be seen from here, and so not be exchanged", s.Address).WithExit(recovery.Refused)
	}
	tools, err := postgres.FindTools(s.Major)
	if err != nil {
		return l, err
	}
	if l.Beside, err = live.Exchangeable(s.Data); err != nil {
		return l, err
	}
	if err := service(c, s.Data, tools).Check(); err != nil {
		return l, err
	}
	facts, err := json.Marshal(clusterTarget{Into: intoCluster, Data: s.Data, Major: s.Major})
	if err != nil {
		return l, fmt.Errorf("keep what the live server says: %w", err)
	}
	l.Only = ""
	l.Target.Place, l.Target.Name, l.Target.Identity, l.Target.Facts = s.Data, s.Host+":"+s.Data, s.OfCluster(), facts
	l.Effects = clusterEffects(c, s)
	return l, nil
}

// service is how the runbook, or pg_ctl, stops and starts the live server.
func service(c recovery.Component, data string, tools postgres.Tools) live.Service {
	return live.Service{Data: data, Tools: tools, StopCommand: c.Settings["stop"], StartCommand: c.Settings["start"]}
}

// clusterEffects are what an exchange of the data directory does beyond bringing
// it back.
func clusterEffects(c recovery.Component, s live.Server) recovery.Effects {
	sessions := int64(0)
	for _, one := range s.Sessions {
		if one.Kind == "client backend" || one.Kind == "" {
			sessions += one.Count
		}
	}
	e := recovery.Effects{Target: []string{fmt.Sprintf("%s, %s, primary, system %s, timeline %d, %d databases, %d sessions", s.Host, s.Data, s.SystemIdentifier, s.Timeline, len(s.Others)+1, sessions)}}
	for _, n := range s.Others {
		if n.Name == "postgres" {
			continue
		}
		size := "of a size that this role may not know"
		if n.Size >= 0 {
			size = recovery.FormatBytes(n.Size)
		}
		e.GoesBack = append(e.GoesBack, fmt.Sprintf("%s: database %s of the same server, %s", c.Name, n.Name, size))
	}
	for _, one := range s.Standbys {
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: standby %s (%s) follows a timeline that ends: make it anew", c.Name, one.Application, one.Client))
	}
	for _, one := range s.Slots {
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: %s slot %s is not restored: its reader needs a new one", c.Name, one.Kind, one.Name))
	}
	for _, one := range s.Subscriptions {
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: subscription %s of database %s goes back with it: its publisher has sent more since", c.Name, one.Name, one.Database))
	}
	if s.Synchronous != "" {
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: synchronous_standby_names (%s) is left out until the standbys are made anew", c.Name, s.Synchronous))
	}
	for _, one := range s.Prepared {
		e.NotUndone = append(e.NotUndone, fmt.Sprintf("%s: transaction %q of database %s is prepared, and goes back to what it was", c.Name, one.GID, one.Database))
	}
	for _, u := range s.Unknown {
		e.NotUndone = append(e.NotUndone, fmt.Sprintf("%s: not known: %s (%s)", c.Name, u.What, u.Why))
	}
	e.NotUndone = append(e.NotUndone, c.Name+": what the system has done outside of it: e-mails sent, cards charged")
	return e
}

// identifyCluster reads the identity of a data directory's server: from the server,
// or while it is shut down from the directory.
func identifyCluster(ctx context.Context, t clusterTarget, address string) (recovery.Identity, error) {
	pids, err := postgres.Processes(t.Data)
	if err != nil {
		return nil, err
	}
	if len(pids) > 0 {
		i, err := live.Identify(ctx, address)
		if err != nil {
			return nil, err
		}
		return i.OfCluster(), nil
	}
	tools, err := postgres.FindTools(t.Major)
	if err != nil {
		return nil, err
	}
	i, err := live.IdentifyDirectory(ctx, tools, t.Data)
	if err != nil {
		return nil, err
	}
	return i.OfCluster(), nil
}

// besideData is where the restored data directory waits, and the old one stays:
// beside the live one, so that both have the same parent.
func besideData(data, run string) string {
	return filepath.Join(filepath.Dir(data), filepath.Base(data)+".comeback-"+run)
}
