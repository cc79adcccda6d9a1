package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// SwitchWAL makes a live server close the segment that it writes, so that it can
// be archived: everything that has committed is in it or before it. It returns
// PostgreSQL's name of that segment; where nothing was written since the last
// switch nothing is closed, and it is the segment before.
//
// It changes nothing but the log, and archives up to a whole segment.
func SwitchWAL(ctx context.Context, conn *pgx.Conn) (segment string, err error) {
	a, err := ReadArchiver(ctx, conn)
	if err != nil {
		return "", err
	}
	if a.InRecovery {
		return "", recovery.Errorf("ask the primary: give its address as the component's url",
			"switch the log: the live server is a standby, which archives nothing of its own").WithExit(recovery.Refused)
	}
	ctx, cancel := context.WithTimeout(ctx, liveStatement)
	defer cancel()
	segment, err = CloseSegment(ctx, conn)
	if refusal := Denied(err, "switch the log", "grant execute on function pg_switch_wal() to this role"); refusal != nil {
		var role string
		if conn.QueryRow(ctx, "select quote_ident(current_user)").Scan(&role) == nil {
			refusal.Hint = fmt.Sprintf("as a superuser, in database %s: grant execute on function pg_switch_wal() to %s", a.Database, role)
		}
		return "", refusal
	}
	if err != nil {
		return "", recovery.Errorf("look at the server's log, then try again", "switch the log: %w", err)
	}
	return segment, nil
}

// CloseSegment lets a server close the segment that it writes, and names the last that
// is closed.
func CloseSegment(ctx context.Context, conn *pgx.Conn) (segment string, err error) {
	var text string
	if err := conn.QueryRow(ctx, "select pg_switch_wal()::text").Scan(&text); err != nil {
		return "", err
	}
	end, err := recovery.ParseLSN(text)
	if err != nil {
		return "", err
	}
	// Where nothing was written since the last switch it is where a segment begins, and of
	// that, pg_walfile_name names the one before only until PostgreSQL 16.
	err = conn.QueryRow(ctx, "select pg_walfile_name($1::text::pg_lsn)", (end - 1).String()).Scan(&segment)
	return segment, err
}

// archivedPoll is how often a copy is asked for a segment.
const archivedPoll = 250 * time.Millisecond

// AwaitArchived returns when arrived says that a segment is in a copy. It gives
// up with ctx, and as soon as the archive_command fails anew.
func AwaitArchived(ctx context.Context, conn *pgx.Conn, segment string, arrived func(context.Context) (bool, error)) error {
	before, err := ReadArchiver(ctx, conn)
	if err != nil {
		return err
	}
	now := before
	tick := time.NewTicker(archivedPoll)
	defer tick.Stop()
	for {
		there, err := arrived(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("wait for segment %s: %w", segment, err)
		case there:
			return nil
		}
		if ctx.Err() == nil {
			if now, err = ReadArchiver(ctx, conn); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if now.Failures > before.Failures {
			return recovery.Errorf("read the server's log: it has the words of the archive_command",
				"segment %s is closed and not in the copy: the archive_command failed for %s at %s", segment, now.Failed, now.FailedAt.Format(time.RFC3339))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return context.Cause(ctx)
			}
			return now.late(segment)
		}
	}
}

// late says that a segment did not come into a copy in time.
func (a Archiver) late(segment string) error {
	says := fmt.Sprintf("segment %s is closed and did not come into the copy in time", segment)
	if a.Mode == "off" {
		return recovery.Errorf("set archive_mode = on and an archive_command, and restart the server; or look after its pg_receivewal",
			"%s: archive_mode is off, so that only a pg_receivewal could bring it", says)
	}
	if a.Archived != "" {
		says += fmt.Sprintf("; the last that the archive_command took is %s, at %s", a.Archived, a.ArchivedAt.Format(time.RFC3339))
	}
	return recovery.Errorf("wait and look again with comeback moments: it comes when the archiver gets to it; if it does not, read the server's log", "%s", says)
}
