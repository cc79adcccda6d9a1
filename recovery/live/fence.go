package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Fenced is what Fence has done.
type Fenced struct {
	// Ended are the sessions that were ended, others than ours.
	Ended []Sessions `json:"ended,omitempty"`
	// At is when the last of them was proven gone, by the server's clock: from
	// then on nothing is written to the database.
	At  time.Time    `json:"at"`
	LSN recovery.LSN `json:"lsn"`
}

// Fence ends the writes to the live database: nobody is let in any more, which is
// committed first; then all sessions are ended and proven gone, be they of a pool
// that comes back at once. The database stays closed until Unfence or Undo; an
// error opens it again. A prepared transaction is refused with what to do about
// it, before anything is changed.
func (d Database) Fence(ctx context.Context) (Fenced, error) {
	s, err := d.open(ctx)
	if err != nil {
		return Fenced{}, err
	}
	defer s.close(ctx)
	at, was, next, err := s.side(ctx)
	if err != nil {
		return Fenced{}, err
	}
	live := was
	if at == After {
		live = next
	}
	if err := s.noPrepared(ctx, live.Name); err != nil {
		return Fenced{}, err
	}
	f, err := s.fence(ctx, live)
	if err != nil {
		s.close(ctx)
		if at == After { // what came back is live: giving that up is for a switch back that has settled what it loses
			return Fenced{}, d.reopen(ctx, err)
		}
		return Fenced{}, d.undo(ctx, err)
	}
	return f, nil
}

// fence closes a database and drains it.
func (s *server) fence(ctx context.Context, o one) (f Fenced, err error) {
	if o.Open {
		what := fmt.Sprintf("let nobody into database %s", o.Name)
		if err := s.change(ctx, s.conn, what, "alter database "+ident(o.Name)+" allow_connections false"); err != nil {
			return f, explain(err)
		}
	}
	if f.Ended, err = s.drain(ctx, o); err != nil {
		return f, err
	}
	if err := s.noPrepared(ctx, o.Name); err != nil {
		return f, err
	}
	if err := s.proveEmpty(ctx, o); err != nil {
		return f, err
	}
	var lsn string
	if err := s.conn.QueryRow(ctx, "select clock_timestamp(), pg_current_wal_insert_lsn()::text").Scan(&f.At, &lsn); err != nil {
		return f, fmt.Errorf("ask the live server where its log ends: %w", err)
	}
	f.LSN, err = recovery.ParseLSN(lsn)
	return f, err
}

// noPrepared refuses a database with transactions that are prepared: they outlive
// their sessions, and whether they count is for people to say.
func (s *server) noPrepared(ctx context.Context, database string) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("list prepared transactions: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
	found, err := preparedIn(ctx, tx, database)
	if err != nil {
		return fmt.Errorf("list prepared transactions: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	var says []string
	for _, p := range found {
		says = append(says, fmt.Sprintf("%s of %s, since %s", literal(p.GID), p.Owner, p.At.UTC().Format(time.RFC3339)))
	}
	return recovery.Errorf(fmt.Sprintf("decide, in database %s: commit prepared %[2]s, or rollback prepared %[2]s", database, literal(found[0].GID)),
		"refused: database %s has transactions that are prepared and neither committed nor rolled back: %s", database, strings.Join(says, "; ")).WithExit(recovery.Refused)
}

// drainPoll is how often the sessions of a closed database are looked for.
const drainPoll = 50 * time.Millisecond

// drainFor is how long sessions may take to end.
const drainFor = 30 * time.Second

// drain ends the sessions of a database that lets nobody in, and returns when
// none is left.
func (s *server) drain(ctx context.Context, o one) ([]Sessions, error) {
	var ended []Sessions
	end, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for first := true; ; first = false {
		left, err := s.with(ctx, o)
		if err != nil {
			return ended, err
		}
		if len(left) == 0 {
			return ended, nil
		}
		if first {
			ended = left
		}
		if err := s.terminate(ctx, o, left, first); err != nil {
			return ended, err
		}
		select {
		case <-tick.C:
		case <-end.Done():
			if ctx.Err() != nil {
				return ended, context.Cause(ctx)
			}
			return ended, recovery.Errorf("end them by hand, then retry", "the sessions of database %s do not end: %s", o.Name, describeAll(left))
		}
	}
}

// terminate asks the sessions to end. A role that may not is told whose they are.
func (s *server) terminate(ctx context.Context, o one, left []Sessions, first bool) error {
	if first {
		if err := s.before(ctx, "end the sessions of database %s: %s", o.Name, describeAll(left)); err != nil {
			return err
		}
	}
	_, err := s.conn.Exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where datid = $1::oid and pid <> pg_backend_pid()", o.OID)
	if postgres.NotAllowed(err) {
		return recovery.Errorf(fmt.Sprintf("end them by hand, or as a superuser: grant pg_signal_backend to %s; sessions of superusers only a superuser can end", ident(s.conn.Config().User)),
			"refused: this role may not end the sessions of database %s (%s): %s", o.Name, describeAll(left), words(err)).WithExit(recovery.Refused)
	}
	if err != nil {
		return fmt.Errorf("end the sessions of database %s: %w", o.Name, err)
	}
	return nil
}

// with lists the sessions that are with a database.
func (s *server) with(ctx context.Context, o one) (found []Sessions, err error) {
	type row struct {
		User, Application, Client, State, Kind string
		Count                                  int64
	}
	all, err := s.conn.Query(ctx, `select coalesce(usename::text, ''), coalesce(application_name, ''),
			coalesce(host(client_addr), case when client_port = -1 then 'socket' end, ''), coalesce(state, ''), coalesce(backend_type, ''), count(*)
		from pg_stat_activity where datid = $1::oid and pid <> pg_backend_pid() group by 1, 2, 3, 4, 5 order by 6 desc, 1, 2, 3, 4, 5`, o.OID)
	if err != nil {
		return nil, fmt.Errorf("list the sessions of database %s: %w", o.Name, err)
	}
	list, err := pgx.CollectRows(all, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("list the sessions of database %s: %w", o.Name, err)
	}
	for _, r := range list {
		found = append(found, Sessions{Database: o.Name, User: r.User, Application: r.Application, Client: r.Client, State: r.State, Kind: r.Kind, Count: r.Count})
	}
	return found, nil
}

func describeAll(all []Sessions) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, ", ")
}

// String is "6 of shop (web at 10.0.0.9, idle)".
func (s Sessions) String() string {
	user := s.User
	if user == "" {
		user = "the server (" + s.Kind + ")"
	}
	text := fmt.Sprintf("%d of %s", s.Count, user)
	about := s.Application
	if s.Client != "" && s.Client != "socket" {
		about = strings.TrimSpace(about + " at " + s.Client)
	}
	if s.State != "" {
		about = strings.TrimPrefix(about+", "+s.State, ", ")
	}
	if about == "" {
		return text
	}
	return text + " (" + about + ")"
}

// proveEmpty lets PostgreSQL itself prove that nobody is with a database, not even
// a session that is on its way in: it renames no other. The rename is rolled back.
func (s *server) proveEmpty(ctx context.Context, o one) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("prove that nobody is with database %s: %w", o.Name, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // what it is for
	if _, err := tx.Exec(ctx, "alter database "+ident(o.Name)+" rename to "+ident(derived(o.Name, "_proof_"+s.Run))); err != nil {
		return fmt.Errorf("prove that nobody is with database %s: %w", o.Name, explain(err))
	}
	return nil
}

// Unfence lets people into the database that is live now, whichever that is, unless it
// stays closed.
func (d Database) Unfence(ctx context.Context) error {
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	at, was, next, err := s.side(ctx)
	if err != nil {
		return err
	}
	if at == After {
		return s.unfence(ctx, next)
	}
	return s.unfence(ctx, was)
}

func (s *server) unfence(ctx context.Context, o one) error {
	if o.Open || o.OID == s.StaysClosed {
		return nil
	}
	what := fmt.Sprintf("let people into database %s", o.Name)
	return explain(s.change(ctx, s.conn, what, "alter database "+ident(o.Name)+" allow_connections true"))
}

// explain adds what to do to the server's refusal.
func explain(err error) error {
	var pg *pgconn.PgError
	var told *recovery.Error
	if errors.As(err, &told) || !errors.As(err, &pg) {
		return err
	}
	hint, exit := "read the server's log, then retry", recovery.Failed
	says := err.Error()
	if pg.Detail != "" {
		says += " (" + pg.Detail + ")"
	}
	switch {
	case postgres.NotAllowed(err):
		hint, exit = "use a role that owns the database and may create databases, or a superuser", recovery.Refused
	case pg.Code == objectInUse:
		hint = "find out whose session or prepared transaction that is, then retry"
	case pg.Code == lockNotAvailable, pg.Code == queryCanceled:
		hint = "find out who holds a lock on the database, then retry"
	}
	return &recovery.Error{What: says, Hint: hint, Exit: exit, Err: err}
}

// codeOf is PostgreSQL's code of an error, or "".
func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// PostgreSQL's codes.
const (
	invalidParameter = "22023"
	objectInUse      = "55006"
	lockNotAvailable = "55P03"
	queryCanceled    = "57014"
)

// commandTag is what a statement says that it did.
type commandTag = pgconn.CommandTag
