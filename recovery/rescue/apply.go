package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// ApplyOptions say what to do.
type ApplyOptions struct {
	Live *pgx.Conn
	// Identity is whom the session must be with, proven in the transaction.
	Identity recovery.Identity
	Preview  Preview
	// Dir is the directory that [Make] wrote into.
	Dir string
	// Definitions are the statements that make the tables which live does not
	// have, by the copy's name of the table as people write it.
	Definitions map[string]Definition
	// Undo opens the file for the script that takes everything back. It is
	// closed before anything is committed, and must be durable then.
	Undo func(xid uint64) (io.WriteCloser, error)
	// Committing is called before the commit with what is about to be
	// committed; what it returns other than nil takes everything back. After a
	// crash [Status] tells by the transaction's id whether it came to pass.
	Committing func(ctx context.Context, done Applied) error
	// LockTimeout is how long one lock is waited for; zero is five seconds.
	LockTimeout time.Duration
	// Progress, where it is not nil, is told what is being done.
	Progress func(says string)
}

// Applied is what was done.
type Applied struct {
	XID    uint64         `json:"xid,string"`
	Tables []TableApplied `json:"tables"`
}

// TableApplied is what was done to one table of live.
type TableApplied struct {
	Table    Name  `json:"table"`
	Created  bool  `json:"created,omitempty"`
	Inserted int64 `json:"inserted,string"`
	Updated  int64 `json:"updated,string"`
	Removed  int64 `json:"removed,string"`
	// Skipped are rows that live has changed since the preview, or that
	// others refer to by now: they were left alone.
	Skipped int64 `json:"skipped,string"`
	// Altered are the columns in which rows came out otherwise than before,
	// because a trigger sets them; AlteredRows is how many.
	Altered     []string `json:"altered,omitempty"`
	AlteredRows int64    `json:"altered_rows,string,omitempty"`
	// Without is what a table that was made could not be given: its owner,
	// rights and comments.
	Without []string `json:"without,omitempty"`
	// Advanced are sequences that gave keys which came back, Behind those that could
	// not be moved past them.
	Advanced []Advanced `json:"advanced,omitempty"`
	Behind   []string   `json:"behind,omitempty"`
}

// Apply does what a preview lists, in one transaction: everything is done, taken
// back by the script that was written for that, and compared with what was there
// before; then it is done again, and committed. An error leaves live as it was but
// for sequences, which may have been advanced, unless it wraps ErrUnknown.
func Apply(ctx context.Context, o ApplyOptions) (Applied, error) {
	if !o.Preview.Sealed() {
		return Applied{}, refusedf("look again: comeback rescue --dry-run", "the preview is not the one that was made")
	}
	a := &applying{ApplyOptions: o, ctx: ctx}
	tx, encoding, err := begin(ctx, o.Live, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return Applied{}, err
	}
	a.tx = tx
	defer tx.Rollback(context.WithoutCancel(ctx)) // after the commit it does nothing
	if err := prove(ctx, o.Live, o.Identity); err != nil {
		return Applied{}, err
	}
	if encoding != o.Preview.Encoding {
		return Applied{}, refusedf("look again", "the live database is another one than that of the preview")
	}
	if err := a.all(); err != nil {
		return Applied{}, err
	}
	return a.commit()
}

// ErrUnknown: the connection was lost while the transaction was committed.
var ErrUnknown = errors.New("it is not known whether it was committed")

// applying is a rescue under way.
type applying struct {
	ApplyOptions
	ctx    context.Context
	tx     pgx.Tx
	tables []*work
}

func (a *applying) say(format string, args ...any) {
	if a.Progress != nil {
		a.Progress(fmt.Sprintf(format, args...))
	}
}

// all does everything but the commit.
func (a *applying) all() error {
	wait := a.LockTimeout
	if wait <= 0 {
		wait = 5 * time.Second
	}
	if err := run(a.ctx, a.tx, fmt.Sprintf("set local lock_timeout = %d", wait.Milliseconds())); err != nil {
		return fmt.Errorf("limit the wait for locks: %w", err)
	}
	if err := a.prepare(); err != nil {
		return err
	}
	a.say("try it, and take it back")
	if err := a.attempt(); err != nil {
		return err
	}
	tried, err := a.fingerprint()
	if err != nil {
		return err
	}
	if err := a.try(); err != nil {
		return err
	}
	if err := a.advance(); err != nil {
		return err
	}
	a.say("do it")
	if err := a.attempt(); err != nil {
		return err
	}
	now, err := a.fingerprint()
	if err != nil {
		return err
	}
	if now != tried {
		return refusedf("try again", "live changed while the rescue was tried")
	}
	return nil
}

// attempt does everything to live.
func (a *applying) attempt() error {
	if err := run(a.ctx, a.tx, "savepoint comeback_rescue; set constraints all deferred; set local search_path to default"); err != nil {
		return fmt.Errorf("begin the rescue: %w", err)
	}
	if err := a.remove(); err != nil {
		return err
	}
	for _, w := range a.tables {
		if w.Update > 0 {
			if err := run(a.ctx, a.tx, w.updateRows()); err != nil {
				return a.failed(w, err, "update rows of")
			}
		}
		if w.Insert > 0 {
			if err := a.insert(w); err != nil {
				return err
			}
		}
		if w.Create != "" {
			if err := a.complete(w); err != nil {
				return err
			}
		}
	}
	// Some are free to go only now.
	if err := a.remove(); err != nil {
		return err
	}
	// What is deferred is checked here, and not by the commit.
	if err := run(a.ctx, a.tx, "set constraints all immediate; set local search_path = pg_catalog, pg_temp"); err != nil {
		return failed("look at the preview: leave out what does not fit, or bring more tables back together", err, "bring the rows back")
	}
	for _, w := range a.tables {
		if err := a.compare(w); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) remove() error {
	for _, w := range slices.Backward(a.tables) {
		if w.Remove > 0 {
			if err := run(a.ctx, a.tx, w.removeRows()); err != nil {
				return a.failed(w, err, "remove rows from")
			}
		}
	}
	return nil
}

func (a *applying) insert(w *work) error {
	astray, err := value(a.ctx, a.tx, w.insertRows())
	if err != nil {
		return a.failed(w, err, "insert rows into")
	}
	if astray != 0 {
		return refusedf("disable that trigger for the rescue", "a trigger of %s gave %d rows other keys than they had", w.Live.Name, astray)
	}
	return nil
}

// compare finds the columns that came out otherwise than they were to be.
func (a *applying) compare(w *work) error {
	w.altered = nil
	if len(w.Key) == 0 || w.Create != "" {
		return nil
	}
	results, err := a.tx.Conn().PgConn().Exec(a.ctx, w.differing()).ReadAll()
	if err != nil {
		return a.failed(w, err, "look at what came back of")
	}
	row := results[0].Rows[0]
	if w.alteredRows, err = strconv.ParseInt(string(row[0]), 10, 64); err != nil {
		return fmt.Errorf("count the rows that came out otherwise: %w", err)
	}
	for i, p := range w.Columns {
		if string(row[1+i]) == "t" {
			w.altered = append(w.altered, p.Name)
		}
	}
	return nil
}

// failed is a failure about one table, with what helps against locks.
func (a *applying) failed(w *work, err error, doing string) error {
	hint := "look at the preview: leave the table out, or bring it back under another name"
	if pg := pgError(err); pg != nil {
		switch {
		case pg.Code == "55P03":
			hint = "wait for whoever holds it, or allow more time; nothing was changed"
		case pg.Code == "40P01":
			hint = "try again; nothing was changed"
		case pg.Code == "23503":
			hint = fmt.Sprintf("look at the preview: bring back what it refers to as well; where tables refer to each other in a circle, let that be checked in the end (alter table %s alter constraint %s deferrable), then make the rescue again; nothing was changed",
				quote(pg.SchemaName)+"."+quote(pg.TableName), quote(pg.ConstraintName))
		case postgres.NotAllowed(err):
			hint = "use a role that owns the table; nothing was changed"
		}
	}
	return failed(hint, err, "%s %s", doing, w.Live.Name)
}

// fingerprint says what was done, to which rows.
func (a *applying) fingerprint() (string, error) {
	var all string
	for _, w := range a.tables {
		results, err := a.tx.Conn().PgConn().Exec(a.ctx, `select pg_catalog.count(*) filter (where act = 'i'), pg_catalog.count(*) filter (where act = 'u'), pg_catalog.count(*) filter (where act = 'd'),
			coalesce(pg_catalog.sum(pg_catalog.hashint8extended(n, 0)::pg_catalog.numeric), 0) from `+w.done()).ReadAll()
		if err != nil {
			return "", fmt.Errorf("count what was done: %w", err)
		}
		all += fmt.Sprintf("%d %q\n", w.n, results[0].Rows[0])
	}
	return all, nil
}

// counts reads how many rows were done something with.
func (a *applying) counts(w *work) (t TableApplied, err error) {
	t = TableApplied{Table: w.Live.Name, Created: w.Create != "", Altered: w.altered, AlteredRows: w.alteredRows, Without: w.without, Advanced: w.advanced, Behind: w.behind}
	for act, n := range map[string]*int64{insert: &t.Inserted, update: &t.Updated, remove: &t.Removed} {
		if *n, err = value(a.ctx, a.tx, "select pg_catalog.count(*) from "+w.done()+" where act = '"+act+"'"); err != nil {
			return t, fmt.Errorf("count what was done: %w", err)
		}
	}
	t.Skipped = w.Rows() - t.Inserted - t.Updated - t.Removed
	return t, nil
}

// commit writes the undo, records the transaction and commits it.
func (a *applying) commit() (Applied, error) {
	var done Applied
	for _, w := range a.tables {
		t, err := a.counts(w)
		if err != nil {
			return Applied{}, err
		}
		done.Tables = append(done.Tables, t)
		if sql := w.triggers(false); sql != "" {
			if err := run(a.ctx, a.tx, sql); err != nil {
				return Applied{}, a.failed(w, err, "enable triggers of")
			}
		}
	}
	xid, err := value(a.ctx, a.tx, "select pg_catalog.pg_current_xact_id()::pg_catalog.text")
	if err != nil {
		return Applied{}, fmt.Errorf("name the transaction: %w", err)
	}
	done.XID = uint64(xid)
	out, err := a.Undo(done.XID)
	if err != nil {
		return Applied{}, fmt.Errorf("write the undo script: %w", err)
	}
	err = a.writeUndo(out)
	if err = errors.Join(err, out.Close()); err != nil {
		return Applied{}, fmt.Errorf("write the undo script: %w", err)
	}
	if a.Committing != nil {
		if err := a.Committing(a.ctx, done); err != nil {
			return Applied{}, fmt.Errorf("record the transaction before its commit: %w", err)
		}
	}
	if err := a.tx.Commit(a.ctx); err != nil {
		if pgError(err) != nil {
			return Applied{}, failed("look at the preview again; nothing was changed", err, "commit the rescue")
		}
		return Applied{XID: done.XID}, fmt.Errorf("commit the rescue as transaction %d: %w; %w", done.XID, err, ErrUnknown)
	}
	return done, nil
}

// Status says what became of a transaction that Committing was told of:
// "committed", "aborted" or "in progress"; empty where the server does not know
// it any more.
func Status(ctx context.Context, live *pgx.Conn, xid uint64) (string, error) {
	var status *string
	if err := live.QueryRow(ctx, "select pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8)", strconv.FormatUint(xid, 10)).Scan(&status); err != nil {
		return "", failed("ask again", err, "ask what became of transaction %d", xid)
	}
	if status == nil {
		return "", nil
	}
	return *status, nil
}
