package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// scratch is what the steps of a restore share: a directory with the cluster,
// the files of an archive, and two marks.
type scratch struct {
	handle recovery.Handle
	args   args
}

func (s scratch) data() string { return filepath.Join(s.handle.Dir, "data") }

// archive is where the files of an archive lie while they are restored.
func (s scratch) archive() string { return filepath.Join(s.handle.Dir, "archive") }

// begun is a mark: the restore has begun, and whoever begins again needs a new
// cluster.
func (s scratch) begun() string { return filepath.Join(s.handle.Dir, "begun") }

// boot is a mark: the boot in which the cluster was made. It was made with
// fsync off, so another boot may find it damaged.
func (s scratch) boot() string { return filepath.Join(s.handle.Dir, "boot_id") }

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
	server, err := s.fresh(ctx, env, tools)
	if err != nil {
		return recovery.Outcome{}, err
	}
	server.LogTo(nil)
	o := recovery.Outcome{
		Says: fmt.Sprintf("PostgreSQL %s runs in %s", tools.Version, s.data()),
		Facts: map[string]string{
			"PostgreSQL":     tools.Version,
			"data directory": s.data(),
			"network":        map[bool]string{true: "none but loopback", false: "the host's (it gives no namespace); the server listens on no port"}[server.Isolated()],
		},
	}
	switch {
	case older:
		o.Exceptions = append(o.Exceptions, note)
	case note != "":
		o.Remarks = append(o.Remarks, note)
	}
	return o, nil
}

// fresh makes an empty cluster, tuned for a restore, and starts it.
func (s scratch) fresh(ctx context.Context, env recovery.Env, tools postgres.Tools) (*postgres.Server, error) {
	c := postgres.Cluster{Data: s.data(), Owner: s.handle.Owner, Tools: tools}
	if err := (postgres.ReleaseCluster{Now: env.Now}).Release(ctx, c.Resource()); err != nil {
		return nil, err
	}
	for _, path := range []string{s.begun(), s.archive()} {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
		}
	}
	env.Meter().Phase("create a cluster", 0, recovery.NoUnit)
	if err := c.Init(ctx, env, postgres.InitOptions{}); err != nil {
		return nil, err
	}
	if err := c.Configure(tuning()); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.boot(), bootID(), 0o600); err != nil {
		return nil, fmt.Errorf("note the boot: %w", err)
	}
	env.Meter().Phase("start the server", 0, recovery.NoUnit)
	return postgres.Start(ctx, env, c, postgres.StartOptions{WaitReady: true})
}

// server is the server of the cluster that is there, started again if it has
// ended. usable is false where there is none that can be gone on with.
func (s scratch) server(ctx context.Context, env recovery.Env, installed []postgres.Tools) (server *postgres.Server, usable bool, err error) {
	then, err := os.ReadFile(s.boot())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(then, bootID()) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the boot of the cluster: %w", err)
	}
	version, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if err != nil {
		return nil, false, nil //nolint:nilerr // initdb did not come this far
	}
	major, err := strconv.Atoi(string(bytes.TrimSpace(version)))
	if err != nil {
		return nil, false, nil
	}
	for _, t := range installed {
		if t.Major == major {
			c := postgres.Cluster{Data: s.data(), Owner: s.handle.Owner, Tools: t}
			server, err := postgres.Ensure(ctx, env, c, postgres.StartOptions{WaitReady: true})
			if err == nil {
				server.LogTo(env.Meter().Log)
			}
			return server, err == nil, err
		}
	}
	return nil, false, nil
}

// tuning fits the settings of a restore to this machine.
func tuning() map[string]string {
	memory := int64(1 << 30) // where the kernel does not tell
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		memory = int64(info.Totalram) * int64(info.Unit)
	}
	return postgres.TuneSettings(memory, runtime.NumCPU())
}

// bootID names this boot of the machine; it is empty where the kernel does not
// tell.
func bootID() []byte {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	return id
}
