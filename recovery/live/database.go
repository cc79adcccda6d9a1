package live

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// Database is the switch of one database of a running server by one run. The
// same values may be used again, by another process too: how far the switch has
// come is read from the server, by the databases' OIDs.
type Database struct {
	// Address is the live database's; it may hold a password.
	Address string
	// Run is the run that switches. A switch back is given the run that has
	// switched.
	Run string
	// Was is the OID of the database that was live when the run was planned,
	// New that of the one that Load has made; zero where there is none yet.
	Was, New uint32
	// StaysClosed is the one that let nobody in already when it was fenced; zero where
	// there is none. Giving it back leaves it so: people had closed it.
	StaysClosed uint32
	// Before, where it is not nil, is called before each statement that changes
	// something on the live server, with what it does. Its error ends the
	// function, which gives live back.
	Before func(ctx context.Context, what string) error `json:"-"`
}

// maxName is how many bytes PostgreSQL keeps of a name.
const maxName = 63

// BesideName is what the restored database is called before it is live:
// "shop_cb_7c31"; AsideName what the old one is called afterwards:
// "shop_old_7c31".
func BesideName(database, run string) string { return derived(database, "_cb_"+run) }

// AsideName is what the old database is called after the switch.
func AsideName(database, run string) string { return derived(database, "_old_"+run) }

// derived appends to a name. What does not fit is replaced by a digest of the
// whole, so that two long names stay two.
func derived(name, suffix string) string {
	if len(name)+len(suffix) <= maxName {
		return name + suffix
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	suffix = fmt.Sprintf("_%08x", h.Sum32()) + suffix
	cut := max(0, maxName-len(suffix))
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + suffix
}

// server is a session of the switch with the live server.
type server struct {
	Database
	conn *pgx.Conn
	// name is the live database's; beside and aside are the others.
	name, beside, aside string
}

// open opens a session from which the switch is made. Only one at a time works on
// a database: an earlier attempt whose process was killed may still have a
// statement under way, and is waited for.
func (d Database) open(ctx context.Context) (*server, error) {
	conn, name, err := admin(ctx, d.Address)
	if err != nil {
		return nil, err
	}
	s := &server{Database: d, conn: conn, name: name, beside: BesideName(name, d.Run), aside: AsideName(name, d.Run)}
	if err := s.enter(ctx); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// close ends the session, and with it the lock.
func (s *server) close(ctx context.Context) { s.conn.Close(context.WithoutCancel(ctx)) }

// lockSpace is the class of our advisory locks: "cb".
const lockSpace = 0x6362

// lockWait is how long another session of ours may take to end.
var lockWait = 20 * time.Second

func (s *server) enter(ctx context.Context) error {
	if s.Run == "" || len(s.Run) > 40 {
		return fmt.Errorf("switch database %s: %q is not the id of a run", s.name, s.Run)
	}
	var standby bool
	if err := s.conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return fmt.Errorf("ask the live server for its role: %w", err)
	}
	if standby {
		return recovery.Errorf("give the address of the primary", "refused: the live server is a standby, and takes no writes").WithExit(recovery.Refused)
	}
	h := fnv.New32a()
	h.Write([]byte(s.name))
	if _, err := s.conn.Exec(ctx, fmt.Sprintf("set lock_timeout = %d", lockWait.Milliseconds())); err != nil {
		return fmt.Errorf("lock database %s against other runs: %w", s.name, err)
	}
	_, err := s.conn.Exec(ctx, "select pg_advisory_lock($1::int4, $2::int4)", lockSpace, int32(h.Sum32()))
	if codeOf(err) == lockNotAvailable {
		return recovery.Errorf("find out who that is: comeback runs; if it was killed, wait until the server has noticed",
			"refused: another comeback is at work on database %s", s.name).WithExit(recovery.Refused)
	}
	if err != nil {
		return fmt.Errorf("lock database %s against other runs: %w", s.name, err)
	}
	return nil
}

// before announces a change.
func (s *server) before(ctx context.Context, format string, args ...any) error {
	if s.Before == nil {
		return nil
	}
	return s.Before(ctx, fmt.Sprintf(format, args...))
}

// change announces and makes one.
func (s *server) change(ctx context.Context, on interface {
	Exec(context.Context, string, ...any) (commandTag, error)
}, what, sql string) error {
	if err := s.before(ctx, "%s", what); err != nil {
		return err
	}
	if _, err := on.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// one is a database as the server lists it.
type one struct {
	OID     uint32
	Name    string
	Open    bool
	Limit   int64
	Comment string
}

// find reads a database by its OID; there may be none.
func (s *server) find(ctx context.Context, oid uint32) (one, bool, error) {
	return s.lookUp(ctx, "oid = $1::oid", oid)
}

// named reads a database by its name.
func (s *server) named(ctx context.Context, name string) (one, bool, error) {
	return s.lookUp(ctx, "datname = $1::name", name)
}

func (s *server) lookUp(ctx context.Context, where string, arg any) (o one, found bool, err error) {
	err = s.conn.QueryRow(ctx, `select oid, datname::text, datallowconn, datconnlimit::int8, coalesce(shobj_description(oid, 'pg_database'), '')
		from pg_database where `+where, arg).Scan(&o.OID, &o.Name, &o.Open, &o.Limit, &o.Comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return one{}, false, nil
	}
	if err != nil {
		return one{}, false, fmt.Errorf("look at the live server's databases: %w", err)
	}
	return o, true, nil
}

// Side says which database is live.
type Side string

// Which database is live.
const (
	// Before: the one that was.
	Before Side = "before"
	// After: the one that was restored.
	After Side = "after"
)

// side reads which of the two is live. Any other arrangement is a refusal:
// somebody has made, renamed or removed one of them.
func (s *server) side(ctx context.Context) (at Side, was, next one, err error) {
	if s.Was == 0 {
		return "", was, next, fmt.Errorf("switch database %s: it is not known which was live", s.name)
	}
	was, there, err := s.find(ctx, s.Was)
	if err != nil {
		return "", was, next, err
	}
	if !there {
		return "", was, next, s.stranger(ctx, fmt.Sprintf("the database that was live, oid %d, is gone", s.Was))
	}
	if s.New == 0 {
		if was.Name != s.name {
			return "", was, next, s.stranger(ctx, fmt.Sprintf("the database that was live, oid %d, is called %s", s.Was, was.Name))
		}
		return Before, was, next, nil
	}
	if next, there, err = s.find(ctx, s.New); err != nil {
		return "", was, next, err
	}
	switch {
	case !there:
		return "", was, next, s.stranger(ctx, fmt.Sprintf("the restored database, oid %d, is gone", s.New))
	case was.Name == s.name && next.Name == s.beside:
		return Before, was, next, nil
	case was.Name == s.aside && next.Name == s.name:
		return After, was, next, nil
	}
	return "", was, next, s.stranger(ctx, fmt.Sprintf("the database that was live is called %s, the restored one %s", was.Name, next.Name))
}

// stranger refuses, with what is called by the live name now.
func (s *server) stranger(ctx context.Context, says string) error {
	now, there, err := s.named(ctx, s.name)
	if err != nil {
		return err
	}
	if there && now.OID != s.Was && now.OID != s.New {
		says += fmt.Sprintf(", and %s is another one, oid %d", s.name, now.OID)
	}
	return recovery.Errorf("find out who changed it, then make a new plan; nothing was changed by this step",
		"refused: %s", says).WithExit(recovery.Refused)
}

// undoing bounds what is done to give live back, also when ctx has ended.
const undoing = 2 * time.Minute

// undo gives live back after a failure: on a session of its own, because the one
// that failed may be broken.
func (d Database) undo(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	d.Before = nil // what may stop a change must not stop its undoing
	if undo := d.Undo(ctx); undo != nil {
		return errors.Join(err, fmt.Errorf("give live back: %w", undo))
	}
	return err
}
