package dump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
)

// Revive brings back what the steps of a restore leave: a cluster and its
// server, which ends with its runner. Before it is settled the cluster is worth
// nothing after a reboot, because it was built with fsync off; afterwards it
// survives one.

// Revive starts the server of the cluster again. One that a restore has begun to
// fill is left alone: the restore is done again, with a new one, or revives it.
func (k clusterKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, rebooted bool) error {
	s, m, c, err := k.standing(ctx, env, step, rebooted)
	if errors.Is(err, errHandedOver) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Begun {
		return c.Is(ctx, m.System)
	}
	if o.Facts[recovery.SystemIdentifier] != m.System {
		return fmt.Errorf("another cluster than the step's stands in %s: %w", s.data(), recovery.ErrGone)
	}
	_, err = postgres.Revive(ctx, env, c, postgres.StartOptions{Crashed: s.giveUp}, m.System, "postgres")
	return err
}

// giveUp says that a cluster whose server has crashed before it was settled is
// not taken up: with full_page_writes off a page that was half written stays so.
func (s scratch) giveUp() error {
	return fmt.Errorf("the server of %s was killed while it had full_page_writes off: %w", s.data(), recovery.ErrGone)
}

// Revive starts the server with the restored database again.
func (k restoreKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, rebooted bool) error {
	s, m, c, err := k.standing(ctx, env, step, rebooted)
	if errors.Is(err, errHandedOver) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.Facts[recovery.SystemIdentifier] != m.System || len(o.Bindings) != 1 {
		return fmt.Errorf("the restored database of %s was replaced by another attempt: %w", s.data(), recovery.ErrGone)
	}
	binding := o.Bindings[0]
	// Its address stays, whatever this process calls the temporary directory.
	if u, err := url.Parse(binding.URL); err == nil && u.Query().Get("host") != "" {
		c.Socket = u.Query().Get("host")
	}
	crashed := s.giveUp
	if m.Settled {
		// Noted before the server recovers: afterwards nothing tells.
		crashed = func() error {
			m.Crashed = true
			return s.setMark(m)
		}
	}
	server, err := postgres.Revive(ctx, env, c, postgres.StartOptions{Crashed: crashed}, m.System, databaseOf(binding))
	if err != nil || !m.Crashed {
		return err
	}
	return lostUnlogged(ctx, server, databaseOf(binding))
}

// lostUnlogged looks for tables that a crash of the server has emptied.
func lostUnlogged(ctx context.Context, server *postgres.Server, database string) error {
	conn, err := server.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var tables int
	var first string
	err = conn.QueryRow(ctx, `select count(*), coalesce(min(oid::regclass::text), '') from pg_class where relpersistence = 'u' and relkind in ('r', 'm')`).Scan(&tables, &first)
	if err != nil {
		return fmt.Errorf("look for unlogged tables: %w", err)
	}
	if tables > 0 {
		return fmt.Errorf("the server was killed, which has emptied its unlogged tables (%d, %s is one): %w", tables, first, recovery.ErrGone)
	}
	return nil
}

// Revive proves that the cluster is settled. Its server was brought back for the
// step before.
func (k settleKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, rebooted bool) error {
	s, m, c, err := k.standing(ctx, env, step, rebooted)
	if errors.Is(err, errHandedOver) {
		return nil
	}
	if err != nil {
		return err
	}
	if !m.Settled {
		return fmt.Errorf("the restored database in %s was replaced by another attempt, which is not settled: %w", s.data(), recovery.ErrGone)
	}
	return c.Is(ctx, m.System)
}

// errHandedOver: the cluster has left scratch whole, and runs on its own or is about
// to; there is nothing to bring back.
var errHandedOver = errors.New("the restored database was handed over")

// standing is what stands in a step's scratch directory. An error that wraps
// recovery.ErrGone says that nothing does that can be relied upon.
func (e engine) standing(ctx context.Context, env recovery.Env, step recovery.Step, rebooted bool) (s scratch, m mark, c postgres.Cluster, err error) {
	if s, err = openScratch(ctx, env, step); err != nil {
		return s, m, c, err
	}
	m, ok, err := s.mark()
	switch {
	case err != nil:
		return s, m, c, err
	case !ok:
		return s, m, c, fmt.Errorf("there is no cluster in %s: %w", s.data(), recovery.ErrGone)
	case !m.Settled && (rebooted || m.Boot != ledger.Boot()):
		return s, m, c, fmt.Errorf("the machine was started again, and the cluster in %s was built with fsync off: %w", s.data(), recovery.ErrGone)
	}
	c, err = s.cluster(e.Installed(), m)
	if errors.Is(err, fs.ErrNotExist) {
		handed, lost := postgres.HandedOver(s.handle.Dir, rebooted)
		if handed {
			return s, m, c, errHandedOver
		}
		if lost != nil {
			return s, m, c, lost
		}
		err = fmt.Errorf("the cluster in %s is not there any more: %w", s.data(), recovery.ErrGone)
	}
	return s, m, c, err
}
