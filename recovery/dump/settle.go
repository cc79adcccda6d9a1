package dump

import (
	"context"
	"fmt"
	"maps"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// settleKind makes the restored cluster fit for use: statistics for the
// planner, the settings that guard against a crash, and everything on disk.
type settleKind struct{ engine }

func (settleKind) Name() string { return "dump.settle" }

func (settleKind) Restart() recovery.Restart { return recovery.Repeat }

func (k settleKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, err := openScratch(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	server, usable, err := s.server(ctx, env, k.Installed())
	if err != nil {
		return recovery.Outcome{}, err
	}
	if !usable {
		return recovery.Outcome{}, recovery.Errorf("stop the run and begin a new one",
			"the machine was started again since the dump was restored, and a cluster built with fsync off does not survive that")
	}
	defer server.LogTo(nil)
	binding, ok := env.Binding(s.args.Component)
	if !ok {
		return recovery.Outcome{}, recovery.Errorf("retry the restore", "%s is not restored", s.args.Component)
	}
	if err := s.analyze(ctx, env, server, databaseOf(binding)); err != nil {
		return recovery.Outcome{}, serverError(server, fmt.Errorf("gather statistics: %w", err))
	}
	env.Meter().Phase("write everything to disk", 0, recovery.NoUnit)
	safe := tuning()
	maps.Copy(safe, postgres.SafeSettings())
	c := server.Cluster()
	if err := c.Configure(safe); err != nil {
		return recovery.Outcome{}, err
	}
	if err := server.Reload(); err != nil {
		return recovery.Outcome{}, err
	}
	if err := checkpoint(ctx, server); err != nil {
		return recovery.Outcome{}, serverError(server, fmt.Errorf("write a checkpoint: %w", err))
	}
	sync := recovery.Cmd{Path: c.Tools.Program("initdb"), Args: []string{"--sync-only", "--pgdata", c.Data}, Dir: "/",
		Env: []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}, User: userOf(s.handle)}
	if err := env.Command(ctx, sync); err != nil {
		return recovery.Outcome{}, recovery.Errorf("check the disk that holds scratch, then retry", "write %s to disk: %w", c.Data, err)
	}
	return recovery.Outcome{Says: "statistics gathered, crash safety on, everything on disk"}, nil
}

// analyze gathers statistics table by table, so that it can be seen to move.
func (s scratch) analyze(ctx context.Context, env recovery.Env, server *postgres.Server, database string) error {
	conn, err := server.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select format('%I.%I', n.nspname, c.relname)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
		order by c.relpages desc, 1`)
	if err != nil {
		return err
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	env.Meter().Phase("gather statistics", int64(len(tables)), recovery.InTables)
	for _, table := range tables {
		env.Meter().Note(table)
		if _, err := conn.Exec(ctx, "analyze "+table); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
		env.Meter().Add(1)
	}
	return nil
}

func checkpoint(ctx context.Context, server *postgres.Server) error {
	conn, err := server.Connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, "checkpoint")
	return err
}

// userOf is who runs programs on a target; nil is the run's own user.
func userOf(h recovery.Handle) *recovery.User {
	if h.Owner.UID < 0 {
		return nil
	}
	return &h.Owner
}
