package dump

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/dump/crew"
	"comeback/recovery/postgres"
)

// settleKind makes the restored cluster fit for use: statistics for the
// planner, the settings that guard against a crash, and everything on disk. From
// then on a reboot is survived. An interruption leaves a cluster that is not
// settled yet, and the step is done again, whole.
type settleKind struct{ engine }

func (settleKind) Name() string { return "dump.settle" }

func (settleKind) Restart() recovery.Restart { return recovery.Repeat }

func (k settleKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, m, c, err := k.standing(ctx, env, step, false)
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("stop the run and begin a new one", "settle the restored database: %w", err)
	}
	// Not started here: whoever does looks what the end of it has cost.
	server, err := postgres.Attach(c)
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("retry: the server is then started again", "settle the restored database: %w", err)
	}
	server.LogTo(env.Meter().Log)
	defer server.LogTo(nil)
	binding, ok := env.Binding(s.args.Component)
	if !ok {
		return recovery.Outcome{}, recovery.Errorf("retry the restore", "%s is not restored", s.args.Component)
	}
	without, err := k.analyze(ctx, env, server, databaseOf(binding))
	if err != nil {
		return recovery.Outcome{}, serverError(server, fmt.Errorf("gather statistics: %w", err))
	}
	env.Meter().Phase("write everything to disk", 0, recovery.NoUnit)
	// Written while files need not be synced one by one: toDisk does that for all.
	if err := checkpoint(ctx, server); err != nil {
		return recovery.Outcome{}, serverError(server, fmt.Errorf("write a checkpoint: %w", err))
	}
	if err := s.harden(ctx, server); err != nil {
		return recovery.Outcome{}, serverError(server, err)
	}
	if err := s.toDisk(ctx, env, c); err != nil {
		return recovery.Outcome{}, recovery.Errorf("check the disk that holds scratch, then retry", "write %s to disk: %w", c.Data, err)
	}
	m.Settled = true
	if err := s.setMark(m); err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: "statistics gathered, crash safety on, everything on disk", Exceptions: without}, nil
}

// harden gives the server the settings that guard against a crash, and returns
// when it heeds them and has written a checkpoint under them: whatever it writes
// from then on is written safely.
func (s scratch) harden(ctx context.Context, server *postgres.Server) error {
	safe := postgres.TuneSettingsHere()
	maps.Copy(safe, postgres.SafeSettings())
	room, err := postgres.RoomSettings(s.handle.Dir)
	if err != nil {
		return err
	}
	maps.Copy(safe, room)
	if err := server.Cluster().Configure(safe); err != nil {
		return err
	}
	if err := server.Reload(); err != nil {
		return err
	}
	tick := time.NewTicker(heedEvery)
	defer tick.Stop()
	for {
		// A new session has what the server has; the checkpointer was told
		// in the same moment.
		fsync, err := heeds(ctx, server)
		if err != nil {
			return err
		}
		if fsync == "on" {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("switch crash safety on: %w", context.Cause(ctx))
		}
	}
	if err := checkpoint(ctx, server); err != nil {
		return fmt.Errorf("write a checkpoint: %w", err)
	}
	return nil
}

// heedEvery is how often a server is asked whether it heeds new settings.
const heedEvery = 20 * time.Millisecond

func heeds(ctx context.Context, server *postgres.Server) (fsync string, err error) {
	conn, err := server.Connect(ctx, "postgres")
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, "show fsync").Scan(&fsync); err != nil {
		return "", fmt.Errorf("ask for the settings: %w", err)
	}
	return fsync, nil
}

// analyze gathers the statistics that are missing, those of the largest table first, so
// that it can be seen to move. It tells the tables of which none can be gathered.
func (k settleKind) analyze(ctx context.Context, env recovery.Env, server *postgres.Server, database string) (without []string, err error) {
	conns := make([]*pgx.Conn, k.Jobs)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close(context.WithoutCancel(ctx))
			}
		}
	}()
	for i := range conns {
		if conns[i], err = server.Connect(ctx, database); err != nil {
			return nil, err
		}
	}
	rows, err := conns[0].Query(ctx, `select format('%I.%I', n.nspname, c.relname), c.relpages
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
			and not exists (select from pg_stat_all_tables s where s.relid = c.oid and s.last_analyze is not null)
		order by c.relpages desc, 1`)
	if err != nil {
		return nil, err
	}
	type table struct {
		Name  string
		Pages int32
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	env.Meter().Phase("gather statistics", int64(len(tables)), recovery.InTables)
	c := crew.New(ctx, len(conns), env.Now)
	defer c.Close()
	for i, t := range tables {
		c.Add(crew.Task{Line: int64(i), Cost: int64(t.Pages), Do: func(ctx context.Context, worker int) error {
			env.Meter().Note(t.Name)
			_, err := conns[worker].Exec(ctx, "analyze "+t.Name)
			if says := postgres.WithoutStatistics(err); says != "" {
				mu.Lock()
				defer mu.Unlock()
				without = append(without, fmt.Sprintf("statistics of %s could not be gathered: %s; queries of it may be slow", t.Name, says))
			} else if err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			env.Meter().Add(1)
			return nil
		}})
	}
	if f := c.Wait(); f != nil {
		return nil, f.Err
	}
	slices.Sort(without)
	return without, nil
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
