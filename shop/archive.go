package shop

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// archivePoll is how often the archiver is asked how far it is.
const archivePoll = 20 * time.Millisecond

// Archived closes the current WAL segment and returns when it and all before it
// are in the copy: everything that has committed can then be restored. The
// error is the archiver's failure, or the end of ctx.
func (s *Shop) Archived(ctx context.Context) error {
	conn, err := connect(ctx, s.Layout.URL("postgres", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var failures int64
	if err := conn.QueryRow(ctx, "select failed_count from pg_stat_archiver").Scan(&failures); err != nil {
		return fmt.Errorf("archive the log: %w", err)
	}
	segment, err := postgres.CloseSegment(ctx, conn)
	if err != nil {
		return fmt.Errorf("archive the log: switch to a new segment: %w", err)
	}
	tick := time.NewTicker(archivePoll)
	defer tick.Stop()
	for {
		var last, failed string
		var failedCount int64
		// A backup's label counts as archived too; it has its segment's name.
		err := conn.QueryRow(ctx, "select coalesce(left(last_archived_wal, 24), ''), failed_count, coalesce(last_failed_wal, '') from pg_stat_archiver").Scan(&last, &failedCount, &failed)
		switch {
		case err != nil:
			return fmt.Errorf("archive the log: %w", err)
		case last >= segment:
			return nil
		case failedCount > failures:
			return recovery.Errorf("make room, or look at the server's log: "+s.log(), "archive the log: the archive_command failed for %s: %s", failed, s.lastWords())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("archive the log: wait for %s, archived until %s: %w", segment, last, context.Cause(ctx))
		}
	}
}

// LetSwitch lets the shop's own role close the segment that is being written, which
// only superusers may of themselves.
func (s *Shop) LetSwitch(ctx context.Context) error {
	conn, err := connect(ctx, s.Layout.URL("postgres", "shop"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "grant execute on function pg_switch_wal() to shop"); err != nil {
		return fmt.Errorf("let the shop's role switch the log: %w", err)
	}
	return nil
}
