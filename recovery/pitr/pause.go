package pitr

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// pause proves where the server stands and leaves it there, read-only, for
// people to look at. It needs no log while it pauses.
func (r *replay) pause(ctx context.Context, feed *feeder) (recovery.Outcome, error) {
	at, err := r.look(ctx)
	if err != nil {
		return recovery.Outcome{}, r.explain(ctx, feed, err)
	}
	if !at.recovering {
		return recovery.Outcome{}, r.passedBy()
	}
	r.env.Meter().Phase("prove where it pauses", 0, recovery.NoUnit)
	if err := r.proveStopped(at); err != nil {
		return recovery.Outcome{}, err
	}
	if err := r.provePaused(ctx, at); err != nil {
		return recovery.Outcome{}, err
	}
	databases, err := r.names(ctx, databasesQuery)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if closed, err := r.closed(ctx, r.asked()); err != nil {
		return recovery.Outcome{}, err
	} else if closed {
		return recovery.Outcome{}, recovery.Errorf("choose a moment before that, or recover without looking",
			"database %s lets nobody in at this moment, and cannot be looked into before it is opened", r.asked()).WithExit(recovery.Refused)
	}
	database, err := r.choose(databases)
	if err != nil {
		return recovery.Outcome{}, err
	}
	var version string
	if err := r.conn.QueryRow(ctx, "select current_setting('server_version')").Scan(&version); err != nil {
		return recovery.Outcome{}, fmt.Errorf("ask for the server's version: %w", err)
	}
	standsClear, err := r.standsClear(ctx, database)
	if err != nil {
		return recovery.Outcome{}, err
	}
	r.disconnect(ctx)
	r.server.LogTo(nil) // it stays, this step's log does not
	address := r.cluster.URL(database)
	o := recovery.Outcome{
		Facts: map[string]string{
			recovery.ServerVersion:    version,
			recovery.SystemIdentifier: r.control.SystemIdentifier,
			"recovered along":         "timeline " + strconv.FormatUint(uint64(r.args.Timeline), 10),
			"replayed to":             at.replayed.String(),
			"databases":               strings.Join(databases, ", "),
			"archiving":               "off",
			"look":                    psql(address),
		},
		Bindings: []recovery.Binding{{Component: r.args.Component, URL: address, Scratch: r.handle.Scratch}},
		Says:     fmt.Sprintf("log replayed to %s, proven, paused there and read-only%s; look with: %s", at.replayed, standsClear, psql(address)),
	}
	if r.args.Look.Locked {
		o.Remarks = append(o.Remarks, "a table is locked where the server pauses, and the lock is older than the base backup's end: whoever reads that table waits")
	}
	r.tellRaised(o.Facts)
	r.server.TellIsolation(&o)
	return o, nil
}

// psql is the command that looks at a database of a server by its socket.
func psql(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "psql '" + address + "'"
	}
	q := u.Query()
	return fmt.Sprintf("psql -h %s -p %s -U %s %s", q.Get("host"), q.Get("port"), q.Get("user"), strings.TrimPrefix(u.Path, "/"))
}

// standsClear says why the server pauses before the point, or does not although
// it should; empty where it stands at the point and nothing is locked.
func (r *replay) standsClear(ctx context.Context, database string) (string, error) {
	look := r.args.Look
	if look.Lock == nil {
		return "", nil
	}
	table, err := r.tableName(ctx, database, *look.Lock)
	if err != nil {
		return "", err
	}
	if look.Locked {
		return fmt.Sprintf("; transaction %d holds a lock on %s there, which cannot be read", look.Lock.XID, table), nil
	}
	says := fmt.Sprintf(", just before transaction %d locks %s, so that all of it can be read", look.Lock.XID, table)
	if look.Kept.XID != 0 && look.Kept.XID != r.args.Kept.XID {
		says += fmt.Sprintf("; what was committed from there to xid %d of %s is kept, and not to be seen yet", look.Kept.XID, clock(look.Kept.Time))
	}
	return says, nil
}

// tableName names a locked table as the paused server knows it, or by its
// numbers.
func (r *replay) tableName(ctx context.Context, database string, lock tableLock) (string, error) {
	numbers := fmt.Sprintf("table %d of database %d", lock.Relation, lock.Database)
	conn, err := r.dial(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var table string
	err = conn.QueryRow(ctx, `select c.oid::regclass::text from pg_class c, pg_database d
		where c.oid = $1 and d.oid = $2 and d.datname = current_database()`, lock.Relation, lock.Database).Scan(&table)
	if errors.Is(err, pgx.ErrNoRows) {
		return numbers, nil
	}
	if err != nil {
		return "", fmt.Errorf("name %s: %w", numbers, err)
	}
	return table, nil
}

// beyond reports whether an earlier attempt has replayed more of the log.
func (r *replay) beyond() bool {
	if r.args.Inclusive {
		return r.control.MinRecoveryEnd > r.args.Facts.Needs
	}
	return r.control.MinRecoveryEnd > r.args.Stop
}

// passedBy is the error of a server that cannot be paused where people want to
// look, because it has come further or opened its database already. Doing the step again copies
// the base backup again.
func (r *replay) passedBy() error {
	err := recovery.Errorf("retry: the base backup is then copied again; if that does not help, choose the moment without a look",
		"the restored server is beyond %s already, or has opened its database, and cannot pause there", r.args.Stop)
	return errors.Join(err, setReplaying(r.handle.Dir, ruined))
}

// revivePaused pauses the server again where people look at it. Once it has gone
// on from there, that is not to be done any more: opening it brings it back.
func (r *replay) revivePaused(ctx context.Context, o recovery.Outcome, rebooted bool) error {
	var err error
	if r.handle, err = r.env.Target(ctx, r.args.Target); err != nil {
		return err
	}
	if handed, err := postgres.HandedOver(r.handle.Dir, rebooted); handed || err != nil {
		return err
	}
	begun, err := replaying(r.handle.Dir, rebooted)
	if err == nil && (!begun || len(o.Bindings) != 1) {
		err = fmt.Errorf("the paused server in %s was replaced by another attempt: %w", r.handle.Dir, recovery.ErrGone)
	}
	if err != nil {
		return err
	}
	if gone, err := opening(r.handle.Dir); gone || err != nil {
		return err
	}
	tools, err := r.Tools(r.args.Facts.Line.Major)
	if err != nil {
		return err
	}
	// Its address stays, whatever this process calls the temporary directory.
	u, err := url.Parse(o.Bindings[0].URL)
	if err != nil {
		return fmt.Errorf("read the address of the paused server: %w", err)
	}
	r.socket = u.Query().Get("host")
	r.cluster = clusterIn(r.handle, tools)
	r.cluster.Socket = r.socket
	if r.stillPaused(ctx) {
		return nil
	}
	if err := r.cluster.Is(ctx, r.args.Facts.Line.System); err != nil {
		if errors.Is(err, recovery.ErrGone) {
			err = errors.Join(err, setReplaying(r.handle.Dir, ruined))
		}
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if r.opened() || r.beyond() {
		return errors.Join(r.passedBy(), recovery.ErrGone)
	}
	_, err = r.untilThere(ctx)
	return err
}

// stillPaused reports whether a server of this process stands where it was left.
func (r *replay) stillPaused(ctx context.Context) bool {
	own, err := postgres.Attach(r.cluster)
	if err != nil || own.Ready() == nil {
		return false
	}
	r.server = own
	defer func() {
		r.disconnect(ctx)
		r.server = nil
	}()
	at, err := r.look(ctx)
	return err == nil && at.paused && r.reaches(at.replayed)
}
