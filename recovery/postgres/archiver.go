package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// Archiver is how far a live server's log is, and how far its archiver has come
// with it. What the server does not tell, or not to this role, is zero.
type Archiver struct {
	SystemIdentifier string
	Version          string
	Database         string
	// Timeline is that of the log that is being written.
	Timeline   uint32
	InRecovery bool
	// LSN is where the log ends: what was written, or on a standby replayed.
	LSN         recovery.LSN
	SegmentSize int64
	// Mode is archive_mode: "on", "off" or "always".
	Mode string
	// Archived is the last segment that the archive_command took, and when;
	// Failed the last one that it did not take.
	Archived   string
	ArchivedAt time.Time
	Failed     string
	FailedAt   time.Time
	Failures   int64
	// Commit is the time of the newest commit; known only where
	// track_commit_timestamp is on.
	Commit time.Time
	// Zone is the server's time zone by its name, Now its clock with that
	// zone's offset.
	Zone string
	Now  time.Time
}

// Failing reports whether the archive_command's last try failed. Its words are
// in the server's log, and nowhere else.
func (a Archiver) Failing() bool { return a.FailedAt.After(a.ArchivedAt) }

// Rest is what of the live log is not in a copy that ends at a position: the
// number of segments, the one that is being written among them, and bytes.
func (a Archiver) Rest(end recovery.LSN) (segments, bytes int64) {
	if a.SegmentSize <= 0 || a.LSN <= end {
		return 0, 0
	}
	size := recovery.LSN(a.SegmentSize)
	return int64((a.LSN-1)/size - end/size + 1), int64(a.LSN - end)
}

// archiverQuery asks for what every role may read.
const archiverQuery = `
select s.system_identifier::text, current_setting('server_version'), current_database()::text, pg_is_in_recovery(),
       case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_lsn() end::text,
       case when pg_is_in_recovery() then '' else pg_walfile_name(pg_current_wal_lsn()) end,
       (select setting::int8 * case unit when '8kB' then 8192 when 'kB' then 1024 when 'MB' then 1048576 else 1 end
          from pg_settings where name = 'wal_segment_size'),
       c.timeline_id::int8, current_setting('archive_mode'),
       coalesce(a.last_archived_wal, ''), a.last_archived_time, coalesce(a.last_failed_wal, ''), a.last_failed_time, a.failed_count,
       current_setting('TimeZone'), extract(timezone from now())::int4, now()
  from pg_control_system() s, pg_control_checkpoint() c, pg_stat_archiver a`

// ReadArchiver asks a live server, and changes nothing.
func ReadArchiver(ctx context.Context, conn *pgx.Conn) (Archiver, error) {
	var a Archiver
	err := AskLive(ctx, conn, func(tx pgx.Tx) error {
		var lsn, segment string
		var timeline int64
		var archived, failed *time.Time
		var offset int
		if err := tx.QueryRow(ctx, archiverQuery).Scan(&a.SystemIdentifier, &a.Version, &a.Database, &a.InRecovery, &lsn, &segment,
			&a.SegmentSize, &timeline, &a.Mode, &a.Archived, &archived, &a.Failed, &failed, &a.Failures, &a.Zone, &offset, &a.Now); err != nil {
			return err
		}
		a.Timeline = uint32(timeline)
		// A server that was promoted a moment ago may not have made a
		// checkpoint since.
		if segment != "" {
			name, ok := walfile.Parse(segment)
			if !ok {
				return fmt.Errorf("the server calls its segment %q", segment)
			}
			a.Timeline = name.Timeline
		}
		if archived != nil {
			a.ArchivedAt = *archived
		}
		if failed != nil {
			a.FailedAt = *failed
		}
		a.Now = a.Now.In(time.FixedZone(a.Zone, offset))
		var err error
		a.LSN, err = recovery.ParseLSN(lsn)
		return err
	})
	if refusal := Denied(err, "ask the live server how far it is", "grant pg_monitor to this role"); refusal != nil {
		return Archiver{}, refusal
	}
	if err != nil {
		return Archiver{}, recovery.Errorf("look at the server's log; what the copies hold is told without it", "ask the live server how far it is: %w", err)
	}
	a.Commit, err = newestCommit(ctx, conn)
	return a, err
}

// newestCommit is zero where the server does not keep the times of commits, or
// does not tell them.
func newestCommit(ctx context.Context, conn *pgx.Conn) (time.Time, error) {
	var at *time.Time
	err := AskLive(ctx, conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select case when current_setting('track_commit_timestamp')::bool and not pg_is_in_recovery()
			then (select timestamp from pg_last_committed_xact()) end`).Scan(&at)
	})
	if NotAllowed(err) || err == nil && at == nil {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the live server for its newest commit: %w", err)
	}
	return *at, nil
}
