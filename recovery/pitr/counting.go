package pitr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// application is the name of pg_basebackup's sessions.
func (t *basing) application() string { return "comeback " + t.Stamp }

// starts is how often the server is asked whether the base backup has started.
const starts = 50 * time.Millisecond

// counting is what is recorded of the tables beside a base backup.
type counting struct {
	snapshot recovery.Snapshot
	at       recovery.LSN
	tables   []recovery.TableRecord
	err      error
}

// record counts the rows of the component's database beside the base backup, in a
// snapshot that is taken once the backup has started: what that does not see commits
// in the log that the backup begins with, and where the snapshot is older than the
// backup's end, each moment that can be reached is after it.
//
// conn is of a role that sees the backup's progress, and is used until finish returns.
// finish is called when the backup has ended, with its error. It waits for the count,
// unless the backup failed, and puts it into the manifest.
func (t *basing) record(ctx context.Context, conn *pgx.Conn) (finish func(m *recovery.Manifest, failed error) error) {
	switch wanted := t.Component.Settings.Text("record"); wanted {
	case "no":
		return func(*recovery.Manifest, error) error { return nil }
	case "", "yes":
	default:
		return func(*recovery.Manifest, error) error {
			return fmt.Errorf("`record` of %s is %q: write yes or no", t.Component.Name, wanted)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	over, counted := make(chan struct{}), make(chan counting, 1)
	go func() { counted <- t.count(ctx, conn, over) }()
	return func(m *recovery.Manifest, failed error) error {
		defer stop()
		close(over)
		if failed != nil {
			stop()
		}
		c := <-counted
		if failed != nil || c.err != nil {
			return c.err
		}
		m.Tables, m.TableDigest, m.Snapshot, m.SnapshotAt = c.tables, postgres.TableDigest, c.snapshot, c.at
		return nil
	}
}

// count waits until the backup has started, or is over, and counts.
func (t *basing) count(ctx context.Context, admin *pgx.Conn, over <-chan struct{}) (c counting) {
	if c.err = t.awaitStart(ctx, admin, over); c.err != nil {
		return c
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return counting{err: err}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return counting{err: fmt.Errorf("begin: %w", err)}
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only reads
	if err := postgres.UnhurryWithin(ctx, tx); err != nil {
		return counting{err: err}
	}
	var snapshot, at string
	err = tx.QueryRow(ctx, "select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text").Scan(&snapshot, &at)
	if err == nil {
		c.snapshot, err = recovery.ParseSnapshot(snapshot)
	}
	if err == nil {
		c.at, err = recovery.ParseLSN(at)
	}
	if err != nil {
		return counting{err: fmt.Errorf("take a snapshot: %w", err)}
	}
	c.tables, c.err = postgres.ReadTables(ctx, tx, nil)
	return c
}

// awaitStart returns when the base backup's checkpoint is done, or the backup over.
// The server tells of it only by being asked.
func (t *basing) awaitStart(ctx context.Context, conn *pgx.Conn, over <-chan struct{}) error {
	ask := time.NewTicker(starts)
	defer ask.Stop()
	for {
		var started bool
		err := conn.QueryRow(ctx, `select exists (select from pg_catalog.pg_stat_progress_basebackup b join pg_catalog.pg_stat_activity a using (pid)
			where a.application_name = $1 and b.phase not in ('initializing', 'waiting for checkpoint to finish'))`, t.application()).Scan(&started)
		if err != nil {
			return fmt.Errorf("ask whether the base backup has started: %w", err)
		}
		if started {
			return nil
		}
		select {
		case <-ask.C:
		case <-over:
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), context.Cause(ctx))
		}
	}
}

// connect connects to the component's database.
func (t *basing) connect(ctx context.Context) (*pgx.Conn, error) {
	address, err := t.address()
	if text := t.Component.Settings.Text("url"); text != "" {
		address, err = t.Secret(text)
	}
	if err != nil {
		return nil, err
	}
	config, err := postgres.LiveConfig(address)
	if err != nil {
		return nil, err
	}
	if database := t.Component.Settings.Text("database"); database != "" {
		config.Database = database
	}
	return postgres.DialLive(ctx, config)
}
