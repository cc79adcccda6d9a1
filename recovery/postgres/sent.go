package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// Sent is the log that a server sends to whoever follows it through a slot.
type Sent struct {
	Timeline uint32
	// History is the timeline's, as its file has it; timeline 1 has none.
	History string
	// Until is where the log ends that is sent now.
	Until       recovery.LSN
	SegmentSize int64
	// Kept is where the log begins that the slot keeps; zero where it keeps none.
	Kept recovery.LSN
}

// ReadSent asks a live server for the log that it sends, as one of its standbys does, and
// changes nothing. The role must be one that may replicate.
func ReadSent(ctx context.Context, address, slot string) (Sent, error) {
	conn, err := ConnectLive(ctx, address)
	if err != nil {
		return Sent{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	a, err := ReadArchiver(ctx, conn)
	if err != nil {
		return Sent{}, err
	}
	s := Sent{SegmentSize: a.SegmentSize}
	failed := func(err error) error {
		return recovery.Errorf("let the role replicate (alter role … replication), and allow it in pg_hba.conf for replication; see the server's log", "ask the live server what log it sends: %w", err)
	}
	var kept string
	err = AskLive(ctx, conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select coalesce((select restart_lsn from pg_replication_slots where slot_name = $1::text), '0/0')::text", slot).Scan(&kept)
	})
	if err == nil {
		s.Kept, err = recovery.ParseLSN(kept)
	}
	if err != nil {
		return Sent{}, failed(err)
	}
	config := conn.Config().Config
	config.RuntimeParams["replication"] = "true"
	ctx, cancel := context.WithTimeout(ctx, liveConnect+liveStatement)
	defer cancel()
	follower, err := pgconn.ConnectConfig(ctx, &config)
	if err != nil {
		return Sent{}, failed(err)
	}
	defer follower.Close(context.WithoutCancel(ctx))
	if err := s.ask(ctx, follower); err != nil {
		return Sent{}, failed(err)
	}
	return s, nil
}

// ask asks what every follower asks before it follows.
func (s *Sent) ask(ctx context.Context, follower *pgconn.PgConn) error {
	row := func(command string, columns int) ([][]byte, error) {
		all, err := follower.Exec(ctx, command).ReadAll()
		if err == nil && (len(all) != 1 || len(all[0].Rows) != 1 || len(all[0].Rows[0]) < columns) {
			err = errors.New("the answer is not one row")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		return all[0].Rows[0], nil
	}
	system, err := row("IDENTIFY_SYSTEM", 3)
	if err != nil {
		return err
	}
	timeline, err := strconv.ParseUint(string(system[1]), 10, 32)
	if err != nil {
		return err
	}
	s.Timeline = uint32(timeline)
	if s.Until, err = recovery.ParseLSN(string(system[2])); err != nil || timeline <= 1 {
		return err
	}
	history, err := row(fmt.Sprintf("TIMELINE_HISTORY %d", timeline), 2)
	if err != nil {
		return err
	}
	s.History = string(history[1])
	return nil
}
