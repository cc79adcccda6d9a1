package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Quietness is what was observed of writes.
type Quietness struct {
	// Quiet reports that two observations agreed: between them no transaction
	// that writes began or ended, and none was under way.
	Quiet bool `json:"quiet"`
	// From and To are when the two were made; where it is not quiet, the last
	// two.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Transactions is how many began to write between them, in all databases of
	// the server; Log how much of it was written, in bytes. Log alone is no
	// write of anybody's: checkpoints and vacuum write it too.
	Transactions int64        `json:"transactions,string"`
	Log          int64        `json:"log,string"`
	LSN          recovery.LSN `json:"lsn"`
	// LastCommit is known where the server keeps the times of commits.
	LastCommit time.Time `json:"last_commit,omitzero"`
	// Writers are the sessions that have a transaction under way that has
	// written; Connected all others that are with the database and may write.
	Writers   []Sessions `json:"writers,omitempty"`
	Connected []Sessions `json:"connected,omitempty"`
	// Prepared are transactions that hold their locks until somebody decides.
	Prepared []Prepared `json:"prepared,omitempty"`
}

// Quiet observes until two observations that lie apart (a second where it is not
// said) agree that nobody writes, or until ctx ends: then what still writes is in
// the result, which is no error. The transactions of the whole server are counted,
// because PostgreSQL numbers them for all its databases together.
func Quiet(ctx context.Context, address string, apart time.Duration) (Quietness, error) {
	if apart <= 0 {
		apart = time.Second
	}
	conn, database, err := dial(ctx, address)
	if err != nil {
		return Quietness{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	before, err := observe(ctx, conn, database)
	if err != nil {
		return Quietness{}, err
	}
	tick := time.NewTicker(apart)
	defer tick.Stop()
	q := before.Quietness
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return q, nil
		}
		now, err := observe(ctx, conn, database)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return q, nil
			}
			return q, err
		}
		q = now.Quietness
		q.From = before.To
		q.Transactions = now.next - before.next
		q.Log = int64(now.LSN - before.LSN)
		q.Quiet = q.Transactions == 0 && len(before.Writers) == 0 && len(q.Writers) == 0
		if q.Quiet {
			return q, nil
		}
		before = now
	}
}

// observation is one of them, with the number of the next transaction.
type observation struct {
	Quietness
	next int64
}

func observe(ctx context.Context, conn *pgx.Conn, database string) (o observation, err error) {
	err = postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		var standby bool
		if err := tx.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
			return err
		}
		if standby {
			return recovery.Errorf("give the address of the primary", "refused: the server is a standby, which tells nothing of what is written").WithExit(recovery.Refused)
		}
		var lsn string
		var last *time.Time
		// Whether a session writes is its transaction's number, which everybody
		// may see in the locks that it holds on itself.
		err := tx.QueryRow(ctx, `select clock_timestamp(), pg_snapshot_xmax(pg_current_snapshot())::text::int8, pg_current_wal_insert_lsn()::text,
			case when current_setting('track_commit_timestamp')::bool then (select timestamp from pg_last_committed_xact()) end`).Scan(&o.To, &o.next, &lsn, &last)
		if err != nil {
			return err
		}
		if last != nil {
			o.LastCommit = *last
		}
		if o.LSN, err = recovery.ParseLSN(lsn); err != nil {
			return err
		}
		o.From = o.To
		if o.Writers, err = who(ctx, tx, true, ""); err != nil {
			return err
		}
		if o.Connected, err = who(ctx, tx, false, database); err != nil {
			return err
		}
		o.Prepared, err = preparedIn(ctx, tx, "")
		return err
	})
	if err == nil {
		return o, nil
	}
	var refusal *recovery.Error
	if errors.As(err, &refusal) {
		return o, refusal
	}
	return o, fmt.Errorf("observe whether the live server is written to: %w", err)
}

// who lists the sessions that write, or those that do not but may.
func who(ctx context.Context, tx pgx.Tx, writing bool, database string) ([]Sessions, error) {
	type row struct {
		Database, User, Application, Client, State, Kind string
		Count                                            int64
		Oldest                                           *time.Time
	}
	found, err := rows[row](ctx, tx, `select coalesce(datname::text, ''), coalesce(usename::text, ''), coalesce(application_name, ''),
			coalesce(host(client_addr), case when client_port = -1 then 'socket' end, ''), coalesce(state, ''), coalesce(backend_type, ''), count(*), min(xact_start)
		from pg_stat_activity where datid is not null and pid <> pg_backend_pid()
			and coalesce(backend_type, '') not in ('autovacuum worker', 'parallel worker') and $2::text in ('', datname::text)
			and $1::bool = exists (select from pg_locks l where l.pid = pg_stat_activity.pid and l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted)
		group by 1, 2, 3, 4, 5, 6 order by 1, 7 desc, 2, 3, 4, 5, 6`, writing, database)
	var all []Sessions
	for _, r := range found {
		s := Sessions{Database: r.Database, User: r.User, Application: r.Application, Client: r.Client, State: r.State, Kind: r.Kind, Count: r.Count}
		if r.Oldest != nil {
			s.Oldest = *r.Oldest
		}
		all = append(all, s)
	}
	return all, err
}
