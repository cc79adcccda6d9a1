package switchover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// clusterTarget is what a live target says that is a whole data directory.
type clusterTarget struct {
	Into string `json:"into"`
	Data string `json:"data"`
	// Major is zero where there is nothing yet.
	Major int `json:"major,omitempty"`
	// Down says that the server did not run when it was looked at, Fresh that
	// there was none.
	Down  bool `json:"down,omitempty"`
	Fresh bool `json:"fresh,omitempty"`
}

// lookCluster completes what was read of a live server whose data directory is to
// be exchanged as a whole. What could not be exchanged, or not be started again, is
// refused here, before anything is restored.
func lookCluster(c recovery.Component, s live.Server, l recovery.Live) (recovery.Live, error) {
	if s.Host == "" || s.Data == "" {
		return l, recovery.Errorf("run comeback on the server's own machine, as root or as the server's user; or write `into: "+intoDatabase+"`",
			"refused: the data directory of %s cannot be seen from here, and so not be exchanged", s.Address).WithExit(recovery.Refused)
	}
	if data := c.Settings.Text("data"); data != "" {
		named, err := filepath.EvalSymlinks(data)
		if err != nil || named != s.Data {
			return l, recovery.Errorf("correct one of them: url or data", "refused: the server at the component's url serves %s, and the runbook names %s", s.Data, data).WithExit(recovery.Refused)
		}
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

// lookDown reads a live target whose server does not answer, from its data
// directory, or where there is nothing yet. The server that is started there in the end must
// answer at the address: where that leads to another host a fresh place is refused; of a server
// that was there the address may lead to what passes its sessions on, so that it is a warning.
func lookDown(ctx context.Context, c recovery.Component, reference, address string, why error) (recovery.Live, error) {
	data := c.Settings.Text("data")
	if data == "" {
		return recovery.Live{}, recovery.Errorf("start the server; or where it is dead, or the host is fresh, give the component its data directory: data: /var/lib/postgresql/15/main",
			"%w", why).WithExit(recovery.ExitOf(why))
	}
	d, err := live.LookDown(ctx, data, time.Now())
	if err != nil {
		return recovery.Live{}, err
	}
	elsewhere, err := live.Elsewhere(ctx, address)
	if err != nil {
		return recovery.Live{}, err
	}
	if d.Fresh && elsewhere != "" {
		return recovery.Live{}, answersElsewhere(reference, elsewhere, d.Data)
	}
	t := clusterTarget{Into: intoCluster, Data: d.Data, Major: d.Major, Down: true, Fresh: d.Fresh}
	l := recovery.Live{Component: c.Name, At: d.At, Fresh: d.Fresh, Target: recovery.Target{ID: recovery.TargetID("live/" + c.Name), Component: c.Name,
		Switches: recovery.Postgres, Address: reference, Place: d.Data, Name: d.Host + ":" + d.Data}}
	if d.Fresh {
		if _, err := service(c, d.Data, postgres.Tools{}).Own(); err != nil {
			return l, err
		}
		if l.Beside, err = live.Placeable(d.Data); err != nil {
			return l, err
		}
		if l.Target.Identity, err = live.IdentifyPlace(d.Data); err != nil {
			return l, err
		}
		l.Effects = recovery.Effects{Target: []string{fmt.Sprintf("%s, %s: nothing is there yet, so nothing is exchanged", d.Host, d.Data)},
			NotUndone: []string{c.Name + ": what the system has done outside of it: e-mails sent, cards charged"}}
	} else if err := downCluster(c, d, &l); err != nil {
		return l, err
	}
	if elsewhere != "" {
		l.Warnings = append(l.Warnings, fmt.Sprintf("its server is down, and its address leads to %s, which is not this machine: where what is started here does not answer there, the switch fails; %s",
			elsewhere, leadHere(reference, elsewhere)))
	}
	if l.Facts, err = json.Marshal(d.Server); err == nil {
		l.Target.Facts, err = json.Marshal(t)
	}
	if err != nil {
		return l, fmt.Errorf("keep what the data directory says: %w", err)
	}
	return l, nil
}

// downCluster completes what was read of a dead server's data directory.
func downCluster(c recovery.Component, d live.Down, l *recovery.Live) error {
	if d.Standby {
		return recovery.Errorf("give the data directory of the primary", "refused: %s is that of a standby", d.Data).WithExit(recovery.Refused)
	}
	tools, err := postgres.FindTools(d.Major)
	if err != nil {
		return err
	}
	if l.Beside, err = live.Exchangeable(d.Data); err != nil {
		return err
	}
	if err := service(c, d.Data, tools).Check(); err != nil {
		return err
	}
	l.Target.Identity, l.Target.Within = d.OfCluster(), postgres.Lineage(d.SystemIdentifier)
	l.Effects = clusterEffects(c, d.Server)
	l.Effects.Target = []string{fmt.Sprintf("%s, %s, the server is down (%s), system %s, timeline %d", d.Host, d.Data, d.State, d.SystemIdentifier, d.Timeline)}
	return nil
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
	e := recovery.Effects{Target: []string{fmt.Sprintf("%s, %s, primary, system %s, timeline %d, %s, %s", s.Host, s.Data, s.SystemIdentifier, s.Timeline,
		recovery.FormatCount(len(s.Others)+1, "database"), recovery.FormatCount(sessions, "session"))}}
	for _, n := range s.Others {
		if n.Bare {
			continue
		}
		size := "of a size that this role may not know"
		if n.Size >= 0 {
			size = recovery.FormatBytes(n.Size)
		}
		e.GoesBack = append(e.GoesBack, fmt.Sprintf("%s: database %s of the same server, %s", c.Name, n.Name, size))
	}
	for _, one := range s.Standbys {
		from := one.Application
		if one.Client != "" {
			from += " (" + one.Client + ")"
		}
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: standby %s follows a timeline that ends: make it anew", c.Name, from))
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
	if t.Fresh {
		switch major, err := postgres.MajorOf(t.Data); {
		case errors.Is(err, fs.ErrNotExist):
			return live.IdentifyPlace(t.Data)
		case err != nil:
			return nil, err
		default:
			t.Major = major
		}
	}
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
