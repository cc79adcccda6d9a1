package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// Keeping is what a live server keeps of its log, and for whom. What the server
// does not tell this role is zero.
type Keeping struct {
	// ArchiveTimeout is after how long a segment is closed that nobody has filled;
	// zero is never.
	ArchiveTimeout time.Duration
	// WALBytes is how much lies in pg_wal.
	WALBytes int64
	// DataDirectory is on the server's own host.
	DataDirectory string
	Slots         []Slot
	// MaxSlotKeep is max_slot_wal_keep_size in bytes; negative is without limit.
	MaxSlotKeep int64
}

// Slot is a replication slot.
type Slot struct {
	Name   string
	Active bool
	// Bytes is how much log it holds.
	Bytes int64
	// Status is PostgreSQL's wal_status: "reserved", "extended", "lost".
	Status string
}

// ReadKeeping asks a live server, and changes nothing. What this role may not ask
// is left out.
func ReadKeeping(ctx context.Context, conn *pgx.Conn) (Keeping, error) {
	var k Keeping
	err := AskLive(ctx, conn, func(tx pgx.Tx) error {
		var seconds int64
		err := tx.QueryRow(ctx, `select (select setting::int8 from pg_settings where name = 'archive_timeout'),
			coalesce((select setting::int8 * 1048576 from pg_settings where name = 'max_slot_wal_keep_size' and setting::int8 >= 0), -1)`).Scan(&seconds, &k.MaxSlotKeep)
		if err != nil {
			return err
		}
		k.ArchiveTimeout = time.Duration(seconds) * time.Second
		rows, err := tx.Query(ctx, `select slot_name::text, active, coalesce(pg_wal_lsn_diff(
				case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn), 0)::int8, coalesce(wal_status, '')
			from pg_replication_slots order by 1`)
		if err != nil {
			return err
		}
		k.Slots, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Slot])
		return err
	})
	if err != nil {
		return Keeping{}, recovery.Errorf("look at the server's log; what the copies hold is told without it", "ask the live server what it keeps of its log: %w", err)
	}
	// These two need pg_monitor.
	err = AskLive(ctx, conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select coalesce(sum(size), 0)::int8, current_setting('data_directory') from pg_ls_waldir()").Scan(&k.WALBytes, &k.DataDirectory)
	})
	if err != nil && !NotAllowed(err) {
		return k, fmt.Errorf("ask the live server what it keeps of its log: %w", err)
	}
	return k, nil
}
