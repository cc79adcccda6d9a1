package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// A live server is asked how far it is, made to close its segment, and watched
// until the copy has it.
func TestArchiver(t *testing.T) {
	ctx := within(t)
	s := shoptest.Open(t, shop.Options{Scale: 20})
	connect := func(role string) *pgx.Conn {
		t.Helper()
		conn, err := postgres.ConnectLive(ctx, s.Layout.URL(role, "shop"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	ours, root := connect("shop"), connect("postgres")
	if err := s.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, 3); err != nil {
		t.Fatal(err)
	}
	commits := s.Commits()
	newest := commits[len(commits)-1]

	t.Run("tells how far it is", func(t *testing.T) {
		a, err := postgres.ReadArchiver(ctx, ours)
		if err != nil {
			t.Fatal(err)
		}
		if a.Timeline != 1 || a.SegmentSize != 1<<20 || a.Mode != "on" || a.Zone != "UTC" || a.Database != "shop" || a.InRecovery || a.SystemIdentifier == "" {
			t.Errorf("%+v", a)
		}
		if a.LSN < newest.LSN || !a.Commit.Equal(newest.Time) {
			t.Errorf("at %s, newest commit %s; the newest is %s of %s", a.LSN, a.Commit, newest.LSN, newest.Time)
		}
		if len(a.Archived) < 24 || a.ArchivedAt.IsZero() || a.Failing() {
			t.Errorf("archived: %q at %s", a.Archived, a.ArchivedAt)
		}
	})
	t.Run("refuses a role without the right", func(t *testing.T) {
		_, err := postgres.SwitchWAL(ctx, ours)
		if err == nil || !strings.Contains(err.Error(), "permission denied for function pg_switch_wal") ||
			!strings.Contains(recovery.HintOf(err), "grant execute on function pg_switch_wal() to shop") {
			t.Errorf("%v; %s", err, recovery.HintOf(err))
		}
		if _, err := root.Exec(ctx, "grant execute on function pg_switch_wal() to shop"); err != nil {
			t.Fatal(err)
		}
	})
	inCopy := func(segment string) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) {
			_, err := os.Stat(filepath.Join(s.Archive(), segment))
			if errors.Is(err, os.ErrNotExist) {
				return false, nil
			}
			return err == nil, err
		}
	}
	t.Run("switches and waits", func(t *testing.T) {
		segment, err := postgres.SwitchWAL(ctx, ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.AwaitArchived(ctx, ours, segment, inCopy(segment)); err != nil {
			t.Fatal(err)
		}
		// Nothing is written meanwhile, but for what a server may write of itself.
		again, err := postgres.SwitchWAL(ctx, ours)
		if err != nil {
			t.Fatal(err)
		}
		var current string
		if err := ours.QueryRow(ctx, "select pg_walfile_name(pg_current_wal_lsn())").Scan(&current); err != nil {
			t.Fatal(err)
		}
		if again != segment && again >= current {
			t.Errorf("it names %s after %s, and the server writes %s", again, segment, current)
		}
		if err := postgres.AwaitArchived(ctx, ours, again, inCopy(again)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("says that the archive_command fails", func(t *testing.T) {
		for _, sql := range []string{"alter system set archive_command = 'false'", "select pg_reload_conf()"} {
			if _, err := root.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		// The archiver may still be at work with the command that it had.
		var segment string
		var err error
		for err == nil {
			if err = s.Write(ctx, 1); err != nil {
				t.Fatal(err)
			}
			if segment, err = postgres.SwitchWAL(ctx, ours); err != nil {
				t.Fatal(err)
			}
			err = postgres.AwaitArchived(ctx, ours, segment, inCopy(segment))
		}
		if !strings.Contains(err.Error(), "the archive_command failed for "+segment) || !strings.Contains(recovery.HintOf(err), "log") {
			t.Errorf("%v; %s", err, recovery.HintOf(err))
		}
	})
	t.Run("gives up in time", func(t *testing.T) {
		// Without an archive_command the archiver waits, and nothing fails.
		for _, sql := range []string{"alter system set archive_command = ''", "select pg_reload_conf()"} {
			if _, err := root.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		late, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := postgres.AwaitArchived(late, ours, "0000000100000000000000FF", inCopy("0000000100000000000000FF"))
		if err == nil || !strings.Contains(err.Error(), "0000000100000000000000FF") || recovery.HintOf(err) == "" {
			t.Errorf("%v; %s", err, recovery.HintOf(err))
		}
	})
}

func TestArchiver_Rest(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		lsn, end        recovery.LSN
		segments, bytes int64
	}{
		{5 * mb, 5 * mb, 0, 0},
		{4 * mb, 5 * mb, 0, 0},
		{5*mb + 1, 5 * mb, 1, 1},
		{6 * mb, 5 * mb, 1, mb},
		{6*mb + 1, 5 * mb, 2, mb + 1},
	} {
		if s, b := (postgres.Archiver{LSN: c.lsn, SegmentSize: mb}).Rest(c.end); s != c.segments || b != c.bytes {
			t.Errorf("%s after %s: %d segments, %d bytes, want %d, %d", c.lsn, c.end, s, b, c.segments, c.bytes)
		}
	}
}

// Whoever asks for a server that is not there learns it without a password.
func TestConnectLive_refused(t *testing.T) {
	for name, c := range map[string]struct{ address, says string }{
		"down":      {"postgres://ops:very-secret@127.0.0.1:1/shop", "cannot be asked"},
		"malformed": {"postgres://ops:very-secret@[::1/shop", "read the address"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.ConnectLive(within(t), c.address)
			if err == nil || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" || strings.Contains(err.Error(), "very-secret") {
				t.Errorf("%v; %s", err, recovery.HintOf(err))
			}
		})
	}
}
