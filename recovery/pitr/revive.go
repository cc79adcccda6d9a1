package pitr

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
)

// Revive brings the server back, which ends with its runner: opened, or paused
// for people to look at. It runs with fsync off, so after a reboot the step is
// gone.
func (k replayKind) Revive(ctx context.Context, env recovery.Env, s recovery.Step, o recovery.Outcome, rebooted bool) error {
	r := &replay{engine: k.engine, env: env}
	if err := s.Decode(&r.args); err != nil {
		return err
	}
	if r.args.Look != nil {
		return r.revivePaused(ctx, o, rebooted)
	}
	return r.reviveOpened(ctx, o, rebooted)
}

// reviveOpened starts the opened server again and proves that it is the restored
// one, on its timeline.
func (r *replay) reviveOpened(ctx context.Context, o recovery.Outcome, rebooted bool) error {
	env := r.env
	tools, err := r.Tools(r.args.Facts.Line.Major)
	if err != nil {
		return err
	}
	if r.handle, err = env.Target(ctx, r.args.Target); err != nil {
		return err
	}
	if handed, err := postgres.HandedOver(r.handle.Dir, rebooted); handed || err != nil {
		return err
	}
	r.cluster = clusterIn(r.handle, tools)
	begun, err := replaying(r.handle.Dir, rebooted)
	if err == nil && (!begun || len(o.Bindings) != 1) {
		err = fmt.Errorf("the restored database in %s was replaced by another attempt: %w", r.cluster.Data, recovery.ErrGone)
	}
	if err != nil {
		return err
	}
	// Its address stays, whatever this process calls the temporary directory.
	u, err := url.Parse(o.Bindings[0].URL)
	if err != nil {
		return fmt.Errorf("read the address of the restored database: %w", err)
	}
	r.cluster.Socket, r.cluster.Superuser = u.Query().Get("host"), u.Query().Get("user")
	r.server, err = postgres.Revive(ctx, env, r.cluster, postgres.StartOptions{}, o.Facts[recovery.SystemIdentifier], strings.TrimPrefix(u.Path, "/"))
	if err == nil {
		if err = r.stands(ctx, o.Facts["timeline"]); err != nil && !errors.Is(err, recovery.ErrGone) {
			err = r.server.Failure(ctx, err)
		}
	}
	if errors.Is(err, recovery.ErrGone) {
		// Doing the step again on the same data directory cannot help.
		err = errors.Join(err, setReplaying(r.handle.Dir, ruined))
	}
	return err
}

// stands proves that the server is open on a timeline.
func (r *replay) stands(ctx context.Context, timeline string) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	defer r.disconnect(context.WithoutCancel(ctx))
	var recovering bool
	if err := r.conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil {
		return fmt.Errorf("ask the restored server: %w", err)
	}
	if recovering {
		return fmt.Errorf("the server in %s recovers, and was open: %w", r.cluster.Data, recovery.ErrGone)
	}
	var file string
	if err := r.conn.QueryRow(ctx, "select pg_walfile_name(pg_current_wal_lsn())").Scan(&file); err != nil {
		return fmt.Errorf("ask the restored server: %w", err)
	}
	f, ok := walfile.Parse(file)
	if !ok {
		return errors.New("ask the restored server: its log is called " + file)
	}
	if now := strconv.FormatUint(uint64(f.Timeline), 10); now != timeline {
		return fmt.Errorf("the server in %s is on timeline %s, and was on %s: %w", r.cluster.Data, now, timeline, recovery.ErrGone)
	}
	return nil
}
