package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/postgres"
	"comeback/recovery/written"
)

// replayKind recovers the copied cluster to the point: it feeds the log, waits
// until the server stands at the record that the point names, proves that,
// opens the database, and proves it again. Where people want to look first, the
// server is left paused instead, and openKind does the rest. An interruption leaves a cluster
// that goes on from its last restart point when the step is done again; one
// that was opened already is only proven.
type replayKind struct{ *engine }

func (k replayKind) Name() string            { return k.name() + ".replay" }
func (replayKind) Restart() recovery.Restart { return recovery.Continue }

func (k replayKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return do(ctx, k.engine, env, s)
}

// do executes a step that ends with an opened or a paused server.
func do(ctx context.Context, e *engine, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	r := &replay{engine: e, env: env}
	if err := s.Decode(&r.args); err != nil {
		return recovery.Outcome{}, err
	}
	if err := r.prepare(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := replaying(r.handle.Dir, false); err != nil {
		return recovery.Outcome{}, recovery.Errorf("retry: the base backup is then copied again", "replay the log: %w", err)
	}
	if err := setReplaying(r.handle.Dir, ledger.Boot()); err != nil {
		return recovery.Outcome{}, err
	}
	switch {
	case r.args.Look != nil && (r.opened() || r.beyond()):
		return recovery.Outcome{}, r.passedBy()
	case r.opened():
		return r.again(ctx)
	}
	running, end := written.Roomy(ctx, r.handle.Room, nil) // how much the log adds nobody knows before
	o, err := r.untilThere(running)
	if full := end(); err != nil && full != nil {
		return o, fmt.Errorf("stop the replay before the disk is full: %w", full)
	}
	return o, err
}

// untilThere recovers, with larger settings where the server asks for them.
func (r *replay) untilThere(ctx context.Context) (recovery.Outcome, error) {
	for range maxRaises {
		outcome, err := r.attempt(ctx)
		var lacking *tooSmall
		if !errors.As(err, &lacking) || !r.sizes.raise(lacking.settings) {
			return outcome, err
		}
		r.env.Meter().Log("comeback: starting again with " + lacking.Error())
	}
	return recovery.Outcome{}, recovery.Errorf("look into the step's log for the settings that it asks for",
		"replay the log: the server still lacks settings of the source after %d starts", maxRaises)
}

// maxRaises bounds how often the server is started with larger settings.
const maxRaises = 12

// tooSmall: the source had larger settings at some point of the log.
type tooSmall struct{ settings map[string]int }

func (e *tooSmall) Error() string {
	var parts []string
	for name, n := range e.settings {
		parts = append(parts, fmt.Sprintf("%s = %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// replay is one execution of a replay step.
type replay struct {
	*engine
	env     recovery.Env
	args    replayArgs
	handle  recovery.Handle
	repo    Repository
	cluster postgres.Cluster
	control postgres.Control
	sizes   atLeast
	// socket is the directory of the server's socket, where it is to stay
	// what it was.
	socket string

	server *postgres.Server
	conn   *pgx.Conn
	says   *serverSays
	// evidence are the observations so far, newTimeline and reachedAt what
	// the opened cluster's history says.
	evidence    []string
	newTimeline uint32
	reachedAt   recovery.LSN
}

// prepare finds everything that the step needs and looks at the cluster.
func (r *replay) prepare(ctx context.Context) error {
	tools, err := r.Tools(r.args.Facts.Line.Major)
	if err != nil {
		return err
	}
	if r.handle, err = r.env.Target(ctx, r.args.Target); err != nil {
		return err
	}
	if r.repo, err = r.reenter(ctx, r.env, r.handle, r.args.Copy, r.args.Facts.Layout); err != nil {
		return err
	}
	r.cluster = clusterIn(r.handle, tools)
	r.cluster.Socket = r.socket
	if err := r.cluster.Claim(ctx, r.env); err != nil {
		return err
	}
	// A runner that died left a server that is shutting down: what it leaves
	// is looked at when it has ended.
	if err := r.cluster.Halt(ctx); err != nil {
		return err
	}
	if r.control, err = postgres.ReadControl(ctx, tools, r.cluster.Data); err != nil {
		return err
	}
	r.sizes = sourceSettings(r.control)
	return nil
}

// opened reports whether an earlier attempt has opened the database. Until the
// first start backup_label is there; while it recovers the state says so.
func (r *replay) opened() bool {
	if _, err := os.Lstat(filepath.Join(r.cluster.Data, "backup_label")); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return !strings.Contains(r.control.State, "recovery") || r.control.State == "in crash recovery"
}

// attempt recovers and opens the database. The server runs on only if it ends
// well.
func (r *replay) attempt(ctx context.Context) (o recovery.Outcome, err error) {
	if err := configureRecovery(r.cluster, r.args, r.sizes); err != nil {
		return o, err
	}
	exe := filepath.Join(r.handle.Dir, exeFile)
	if err := placeExe(fetchClient(r.Exe), exe, r.handle.Owner); err != nil {
		return o, err
	}
	meter := r.env.Meter()
	feed, err := newFeeder(ctx, r.repo, r.args, r.cluster.Data, filepath.Join(r.handle.Dir, feedDir), r.handle.Owner, meter.Log)
	if err != nil {
		return o, fetchHint(err)
	}
	socket, err := listen(postgres.SocketDir(r.cluster.Data), r.handle.Owner)
	if err != nil {
		return o, errors.Join(err, feed.close())
	}
	feed.serve(socket)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.halt(ctx))
		}
		err = errors.Join(err, socket.Close(), feed.close(), removeFile(exe))
	}()
	r.says = &serverSays{}
	r.server, err = postgres.Start(ctx, r.env, r.cluster, postgres.StartOptions{
		Env: []string{exeEnv + "=" + exe, walfetch.SocketEnv + "=" + socket.Addr().String(), shelfEnv + "=" + feed.ready.dir},
		Log: r.says.add,
	})
	if err != nil {
		return o, err
	}
	if err := r.untilStopped(ctx, feed); err != nil {
		return o, err
	}
	if r.args.Look != nil {
		return r.pause(ctx, feed)
	}
	if err := r.open(ctx, feed); err != nil {
		return o, err
	}
	if o, err = r.finish(ctx); err == nil {
		o.Facts["waited for the log"] = feed.waitedSays()
	}
	return o, err
}

// halt stops the server after a failure.
func (r *replay) halt(ctx context.Context) error {
	r.disconnect(ctx)
	if r.server == nil {
		return nil
	}
	err := r.server.Stop(ctx)
	r.server = nil
	return err
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

// lookEvery is how often a recovering server is asked how far it is.
const lookEvery = 200 * time.Millisecond

// untilStopped watches until the server has stopped at its target.
func (r *replay) untilStopped(ctx context.Context, feed *feeder) error {
	meter := r.env.Meter()
	from := r.control.RedoLSN
	meter.Phase("replay the log", int64(r.args.Facts.Needs-from), recovery.InLSN)
	show := func(at recovery.LSN) {
		if at > from {
			meter.Set(int64(min(at, r.args.Facts.Needs) - from))
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("replay the log: %w", context.Cause(ctx))
		case <-feed.failed:
			return feed.failure()
		case <-r.server.Exited():
			return r.ended(feed)
		case <-tick.C:
		}
		show(max(r.says.progress(), feed.position()))
		at, err := r.look(ctx)
		if err != nil {
			return r.explain(ctx, feed, err)
		}
		show(at.replayed)
		if !at.time.IsZero() {
			meter.Note(fmt.Sprintf("at %s of %s UTC", at.time.UTC().Format(time.TimeOnly), r.goal().UTC().Format(time.TimeOnly)))
		}
		if lacking := r.says.lacks(); lacking != nil {
			return &tooSmall{lacking}
		}
		if at.known && (at.paused || !at.recovering) {
			if line, _, _ := r.says.stopped(); line != "" {
				return nil
			}
			if !at.recovering {
				return recovery.Errorf("stop the run, and look into the step's log for the reason",
					"the restored server opened its database before it came to %s", r.args.Stop)
			}
		}
	}
}

// goal is the time of the last commit to come.
func (r *replay) goal() time.Time {
	if !r.args.Kept.Time.IsZero() {
		return r.args.Kept.Time
	}
	return r.args.Lost.Time
}

// lastBreath is how long a server that broke off a session may take to be gone.
const lastBreath = 5 * time.Second

// explain gives the reason behind a session that could not be had or was broken
// off: often the server is about to end, and says why.
func (r *replay) explain(ctx context.Context, feed *feeder, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && !strings.HasPrefix(refused.Code, operatorIntervention) || ctx.Err() != nil {
		return err
	}
	timer := time.NewTimer(lastBreath)
	defer timer.Stop()
	select {
	case <-feed.failed:
		return feed.failure()
	case <-r.server.Exited():
		return r.ended(feed)
	case <-timer.C:
	case <-ctx.Done():
	}
	return err
}

// ended says why the server ended before it came to its target.
func (r *replay) ended(feed *feeder) error {
	if lacking := r.says.lacks(); lacking != nil {
		return &tooSmall{lacking}
	}
	if err := feed.failure(); err != nil {
		return err
	}
	err := r.server.Err()
	if err == nil {
		return recovery.Errorf("find out who stopped it, then retry", "replay the log: the server was shut down by somebody else")
	}
	switch broken := r.says.complaint(); {
	case strings.Contains(err.Error(), "could not restore file"):
		return recovery.Errorf("let the server's user start programs in scratch (it must not be mounted noexec), then retry",
			"feed the log: the server could not ask for it: %w%s", err, r.says.shell())
	case strings.Contains(err.Error(), "recovery ended before configured recovery target was reached") && broken != "":
		return recovery.Errorf("get that segment from another copy or from the server's pg_wal, or stop and choose a moment before it",
			"replay the log: it is damaged before %s: %s", r.args.Stop, broken)
	}
	return fmt.Errorf("replay the log: %w", err)
}

// open proves that the server stands at the point, opens the database, and
// proves it again. A server that cannot be asked while it recovers has opened
// the database by itself when it came to its target; then the second proof
// alone counts.
func (r *replay) open(ctx context.Context, feed *feeder) error {
	at, err := r.look(ctx)
	if err != nil {
		return r.explain(ctx, feed, err)
	}
	if err := r.proveStopped(at); err != nil {
		return err
	}
	meter := r.env.Meter()
	if at.recovering {
		meter.Phase("prove the point", 0, recovery.NoUnit)
		if err := r.provePaused(ctx, at); err != nil {
			return err
		}
		if err := meter.Checkpoint(ctx, strings.Join(r.evidence, "; ")); err != nil {
			return err
		}
		meter.Phase("open the database", 0, recovery.NoUnit)
		if _, err := r.conn.Exec(ctx, "select pg_wal_replay_resume()"); err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for at.recovering {
		select {
		case <-ctx.Done():
			return fmt.Errorf("open the database: %w", context.Cause(ctx))
		case <-feed.failed:
			return feed.failure()
		case <-r.server.Exited():
			return fmt.Errorf("open the database: %w", r.ended(feed))
		case <-tick.C:
		}
		if at, err = r.look(ctx); err != nil {
			return r.explain(ctx, feed, err)
		}
	}
	return r.proveOpened(ctx)
}

// again proves the point of a cluster that an earlier attempt has opened.
func (r *replay) again(ctx context.Context) (o recovery.Outcome, err error) {
	if err := configureServing(r.cluster, r.sizes, r.args.BecomesLive); err != nil {
		return o, err
	}
	r.says = &serverSays{}
	r.env.Meter().Phase("start what was opened before", 0, recovery.NoUnit)
	r.server, err = postgres.Ensure(ctx, r.env, r.cluster, postgres.StartOptions{WaitReady: true, Log: r.says.add})
	if err != nil {
		return o, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.halt(ctx))
		}
	}()
	if err := r.connect(ctx); err != nil {
		return o, err
	}
	r.env.Meter().Phase("prove the point", 0, recovery.NoUnit)
	if err := r.proveOpened(ctx); err != nil {
		return o, err
	}
	return r.finish(ctx)
}
