package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/dump/script"
)

// try takes back what was done, by the script, and compares what is left with
// what was there.
func (a *applying) try() (err error) {
	path := filepath.Join(a.Dir, "undo.sql")
	file, err := create(path)
	if err != nil {
		return fmt.Errorf("write the undo script: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	if err := a.writeUndo(file); err != nil {
		return fmt.Errorf("write the undo script: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the undo script: %w", err)
	}
	const hint = "nothing was changed; disable the table's triggers for the rescue, or bring the rows back into a table of their own"
	if err := runScript(a.ctx, a.tx, file); err != nil {
		return failed(hint, err, "try the undo script")
	}
	for _, w := range a.tables {
		if w.Create != "" {
			_, there, err := readTable(a.ctx, a.tx, w.Live.Name)
			if err != nil {
				return err
			}
			if there {
				return refusedf(hint, "the undo script does not work: the table %s stays", w.Live.Name)
			}
			continue
		}
		n, err := value(a.ctx, a.tx, w.unlike())
		if err != nil {
			return a.failed(w, err, "compare what the undo script left of")
		}
		if n != 0 {
			return refusedf(hint, "the undo script does not work: %d rows of %s are not as they were", n, w.Live.Name)
		}
	}
	if err := run(a.ctx, a.tx, "rollback to savepoint comeback_rescue"); err != nil {
		return fmt.Errorf("take the trial back: %w", err)
	}
	return nil
}

// runScript executes what writeUndo wrote, but for its transaction.
func runScript(ctx context.Context, tx pgx.Tx, in io.Reader) error {
	r := script.NewReader(in)
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Kind == script.Command {
			return fmt.Errorf("line %d: a command of psql is none of it", p.Line)
		}
		if p.Kind != script.Statement {
			continue
		}
		if t := p.Tokens(); len(t) == 1 && (t[0].Is("begin") || t[0].Is("commit")) {
			continue
		}
		if p.Copies {
			if _, err := tx.Conn().PgConn().CopyFrom(ctx, r.Data(), string(p.Text)); err != nil {
				return err
			}
			continue
		}
		if err := run(ctx, tx, string(p.Text)); err != nil {
			return err
		}
	}
}

// UndoOptions say what to take back.
type UndoOptions struct {
	Live *pgx.Conn
	// Identity is as in [ApplyOptions].
	Identity recovery.Identity
	// Script is what Apply wrote.
	Script io.Reader
	// Leave leaves rows alone that were changed since the rescue, and does the
	// rest; without it nothing is done then.
	Leave bool
	// Committing is called before the commit, as in [ApplyOptions].
	Committing func(ctx context.Context, xid uint64, done []Undone) error
}

// Undone is what was taken back of one kind of row.
type Undone struct {
	// What is the table and what stays where Done is less than Wanted.
	What   string `json:"what"`
	Wanted int64  `json:"wanted,string"`
	Done   int64  `json:"done,string"`
}

// Undo takes back what a rescue did, in one transaction.
func Undo(ctx context.Context, o UndoOptions) ([]Undone, error) {
	tx, _, err := begin(ctx, o.Live, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after the commit it does nothing
	if err := prove(ctx, o.Live, o.Identity); err != nil {
		return nil, err
	}
	how := "off"
	if o.Leave {
		how = "on"
	}
	if err := run(ctx, tx, "set local "+leave+" = "+how); err != nil {
		return nil, fmt.Errorf("begin the undo: %w", err)
	}
	if err := runScript(ctx, tx, o.Script); err != nil {
		if pg := pgError(err); pg != nil && pg.Code == changedSince {
			return nil, refusedf("look at them; to leave them alone and take the rest back, undo with --leave-changed", "take the rescue back: %s", pg.Message)
		}
		return nil, failed("nothing was changed; look at it, then try again", err, "take the rescue back")
	}
	results, err := tx.Conn().PgConn().Exec(ctx, "select what, wanted, done from pg_temp.comeback_undone order by what").ReadAll()
	if err != nil {
		return nil, fmt.Errorf("count what was taken back: %w", err)
	}
	var all []Undone
	for _, row := range results[0].Rows {
		u := Undone{What: string(row[0])}
		if _, err := fmt.Sscan(string(row[1])+" "+string(row[2]), &u.Wanted, &u.Done); err != nil {
			return nil, fmt.Errorf("count what was taken back: %w", err)
		}
		all = append(all, u)
	}
	xid, err := value(ctx, tx, "select pg_catalog.pg_current_xact_id()::pg_catalog.text")
	if err != nil {
		return nil, fmt.Errorf("name the transaction: %w", err)
	}
	if o.Committing != nil {
		if err := o.Committing(ctx, uint64(xid), all); err != nil {
			return nil, fmt.Errorf("record the transaction before its commit: %w", err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		if pgError(err) != nil {
			return nil, failed("nothing was changed; look at it, then try again", err, "commit the undo")
		}
		return nil, fmt.Errorf("commit the undo as transaction %d: %w; %w", xid, err, ErrUnknown)
	}
	return all, nil
}
