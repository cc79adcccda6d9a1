package dump

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
)

// scratch is what the steps of a restore share: a directory with the cluster,
// the files of an archive with a ledger of them, and a mark.
type scratch struct {
	handle recovery.Handle
	args   args
}

func (s scratch) data() string { return filepath.Join(s.handle.Dir, "data") }

// archive is where the files of an archive lie while they are restored.
func (s scratch) archive() string { return filepath.Join(s.handle.Dir, "archive") }

func openScratch(ctx context.Context, env recovery.Env, step recovery.Step) (scratch, error) {
	var s scratch
	if err := step.Decode(&s.args); err != nil {
		return s, err
	}
	var err error
	s.handle, err = env.Target(ctx, s.args.Target)
	if err == nil && !s.handle.Scratch {
		err = recovery.Errorf("restore into scratch", "dumps are restored into scratch only, and %s is live", s.args.Target).WithExit(recovery.Refused)
	}
	return s, err
}

// clusterKind makes an empty scratch cluster and starts its server. What an
// earlier attempt left is removed first.
type clusterKind struct{ engine }

func (clusterKind) Name() string { return "dump.cluster" }

func (clusterKind) Restart() recovery.Restart { return recovery.Repeat }

func (k clusterKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, err := openScratch(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	tools, note, older, err := choose(k.Installed(), s.args.Head)
	if err != nil {
		return recovery.Outcome{}, err
	}
	server, m, err := s.fresh(ctx, env, tools)
	if err != nil {
		return recovery.Outcome{}, err
	}
	server.LogTo(nil)
	o := recovery.Outcome{
		Says: fmt.Sprintf("PostgreSQL %s runs in %s", tools.Version, s.data()),
		Facts: map[string]string{
			"PostgreSQL":              tools.Version,
			"data directory":          s.data(),
			recovery.SystemIdentifier: m.System,
		},
	}
	server.TellIsolation(&o)
	switch {
	case older:
		o.Exceptions = append(o.Exceptions, note)
	case note != "":
		o.Remarks = append(o.Remarks, note)
	}
	return o, nil
}

// fresh makes an empty cluster, tuned for a restore, and starts it. The files of
// an archive that an earlier attempt has fetched stay.
func (s scratch) fresh(ctx context.Context, env recovery.Env, tools postgres.Tools) (*postgres.Server, mark, error) {
	c := postgres.Cluster{Data: s.data(), Socket: postgres.SocketDir(s.data()), Owner: s.handle.Owner, Tools: tools}
	m := mark{Socket: c.Socket, Boot: ledger.Boot()}
	if err := s.removeMark(); err != nil {
		return nil, m, err
	}
	if err := (postgres.ReleaseCluster{Now: env.Now}).Release(ctx, c.Resource()); err != nil {
		return nil, m, err
	}
	env.Meter().Phase("create a cluster", 0, recovery.NoUnit)
	if err := c.Init(ctx, env, postgres.InitOptions{}); err != nil {
		return nil, m, err
	}
	if err := c.Configure(postgres.TuneSettingsHere()); err != nil {
		return nil, m, err
	}
	control, err := postgres.ReadControl(ctx, tools, c.Data)
	if err != nil {
		return nil, m, err
	}
	m.System = control.SystemIdentifier
	env.Meter().Phase("start the server", 0, recovery.NoUnit)
	server, err := postgres.Start(ctx, env, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		return nil, m, err
	}
	return server, m, s.setMark(m)
}

// cluster is the cluster that a mark is of. The error is fs.ErrNotExist where
// its directory is not there.
func (s scratch) cluster(installed []postgres.Tools, m mark) (postgres.Cluster, error) {
	c := postgres.Cluster{Data: s.data(), Socket: m.Socket, Owner: s.handle.Owner}
	text, err := os.ReadFile(filepath.Join(c.Data, "PG_VERSION"))
	if err != nil {
		return c, fmt.Errorf("read the version of the cluster: %w", err)
	}
	version := string(bytes.TrimSpace(text))
	for _, t := range installed {
		if strconv.Itoa(t.Major) == version {
			c.Tools = t
			return c, nil
		}
	}
	return c, recovery.Errorf("install postgresql-"+version+" again", "PostgreSQL %s, which has made the cluster in %s, is not installed here", version, c.Data)
}
