package live

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// Swapped is what a switch of databases has done.
type Swapped struct {
	// Live and Aside are the databases that are live and kept from now on.
	Live  Named `json:"live"`
	Aside Named `json:"aside"`
	// Remarks are what was not carried over as it was; Stays what belongs to the
	// old database and must be made anew for the new one.
	Remarks []string `json:"remarks,omitempty"`
	Stays   []string `json:"stays,omitempty"`
}

// Named is a database by its name and OID.
type Named struct {
	Name string `json:"name"`
	OID  uint32 `json:"oid"`
}

// Swap makes the restored database live, in one transaction: it gets the owner,
// the privileges, the settings, the connection limit and the comment of the old
// one, the old one is renamed aside, and the new one gets its name. Fence must
// have closed the old one, else it is refused: what was written since would be
// lost without a word. The new one lets nobody in until Unfence.
//
// Where it has happened already it only tells. An error gives live back: the old
// database has its name and is open. The transaction is all or nothing, so that
// kill -9 at any point leaves the old database or the new one, each whole and
// closed; calling Swap again ends it, Undo takes it back.
func (d Database) Swap(ctx context.Context) (Swapped, error) {
	s, err := d.open(ctx)
	if err != nil {
		return Swapped{}, err
	}
	defer s.close(ctx)
	at, was, next, err := s.swappable(ctx)
	if err != nil {
		return Swapped{}, err
	}
	r := Swapped{Live: Named{s.name, next.OID}, Aside: Named{s.aside, was.OID}}
	if at == Before {
		if err := s.readyToSwap(ctx, was, next); err != nil {
			return Swapped{}, err
		}
		if r.Remarks, err = s.swap(ctx, was, next); err != nil {
			s.close(ctx)
			return Swapped{}, d.undo(ctx, err)
		}
	}
	r.Stays, err = s.stays(ctx, was.OID)
	return r, err
}

// Check does all of the switch that can be done while the old database is in use,
// and takes it back: so that a right, a role or a setting that is missing shows
// before anybody is locked out.
func (d Database) Check(ctx context.Context) (remarks []string, err error) {
	s, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	at, was, next, err := s.swappable(ctx)
	if err != nil || at == After {
		return nil, err
	}
	if err := s.free(ctx, s.aside); err != nil {
		return nil, err
	}
	if err := s.noPrepared(ctx, was.Name); err != nil {
		return nil, err
	}
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the switch of database %s: %w", s.name, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // what it is for
	s.Before = nil                                // nothing stays changed
	remarks, err = s.carry(ctx, tx, was, next)
	if err != nil {
		return nil, explain(err)
	}
	return remarks, nil
}

// swappable is side for a switch whose both databases exist.
func (s *server) swappable(ctx context.Context) (at Side, was, next one, err error) {
	if s.New == 0 {
		return "", was, next, fmt.Errorf("switch database %s: it is not known which was restored", s.name)
	}
	return s.side(ctx)
}

// readyToSwap refuses what must not be switched.
func (s *server) readyToSwap(ctx context.Context, was, next one) error {
	if !isLoaded(s.Run, next.Comment) {
		return recovery.Errorf("load it again", "refused: database %s is not one that this run has loaded whole: its comment is %q", next.Name, next.Comment).WithExit(recovery.Refused)
	}
	if was.Open {
		return recovery.Errorf("fence it, and settle anew what is lost", "refused: database %s is open, and what is written to it now would be lost", was.Name).WithExit(recovery.Refused)
	}
	return s.free(ctx, s.aside)
}

// free refuses a name that is taken.
func (s *server) free(ctx context.Context, name string) error {
	o, there, err := s.named(ctx, name)
	if err != nil || !there {
		return err
	}
	return recovery.Errorf("rename it, or remove it if you know that nobody needs it", "refused: there is a database %s already, oid %d", name, o.OID).WithExit(recovery.Refused)
}

// swap closes the new database and makes it live.
func (s *server) swap(ctx context.Context, was, next one) (remarks []string, err error) {
	for _, o := range []one{was, next} {
		if _, err := s.fence(ctx, o); err != nil {
			return nil, err
		}
	}
	err = s.transact(ctx, "make the restored database live", func(tx pgx.Tx) error {
		if remarks, err = s.carry(ctx, tx, was, next); err != nil {
			return err
		}
		return s.rename(ctx, tx, []renaming{{was, s.aside}, {next, s.name}})
	})
	return remarks, err
}

// renaming is one rename.
type renaming struct {
	of one
	to string
}

// rename renames databases, and proves by their OIDs that it were the right ones.
func (s *server) rename(ctx context.Context, tx pgx.Tx, all []renaming) error {
	for _, r := range all {
		what := fmt.Sprintf("rename database %s to %s", r.of.Name, r.to)
		if err := s.change(ctx, tx, what, "alter database "+ident(r.of.Name)+" rename to "+ident(r.to)); err != nil {
			return err
		}
	}
	for _, r := range all {
		var name string
		if err := tx.QueryRow(ctx, "select datname::text from pg_database where oid = $1::oid", r.of.OID).Scan(&name); err != nil {
			return fmt.Errorf("prove that the right databases are renamed: %w", err)
		}
		if name != r.to {
			return s.stranger(ctx, fmt.Sprintf("database %d is called %s and not %s", r.of.OID, name, r.to))
		}
	}
	return nil
}

// transact makes changes in one transaction.
func (s *server) transact(ctx context.Context, what string, do func(pgx.Tx) error) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after a commit it does nothing
	if err := do(tx); err != nil {
		return explain(err)
	}
	if err := s.before(ctx, "commit: %s", what); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

// SwapBack gives the old database its name again, in one transaction; the one that
// was live goes back beside. What was written to it stays in it. Like Swap it must
// be fenced first, tells where it has happened already, and its error lets the one
// that was live stay live.
func (d Database) SwapBack(ctx context.Context) (Swapped, error) {
	s, err := d.open(ctx)
	if err != nil {
		return Swapped{}, err
	}
	defer s.close(ctx)
	at, was, next, err := s.swappable(ctx)
	if err != nil {
		return Swapped{}, err
	}
	r := Swapped{Live: Named{s.name, was.OID}, Aside: Named{s.beside, next.OID}}
	if at == After {
		if next.Open {
			return Swapped{}, recovery.Errorf("fence it, and settle anew what is lost", "refused: database %s is open, and what is written to it now would be lost", next.Name).WithExit(recovery.Refused)
		}
		if err := s.swapBack(ctx, was, next, markLoaded(s.Run)); err != nil {
			s.close(ctx)
			return Swapped{}, d.reopen(ctx, err)
		}
	}
	r.Stays, err = s.stays(ctx, next.OID)
	return r, err
}

// swapBack exchanges the names again, and marks the one that was live.
func (s *server) swapBack(ctx context.Context, was, next one, mark string) error {
	for _, o := range []one{was, next} {
		if _, err := s.fence(ctx, o); err != nil {
			return err
		}
	}
	return s.transact(ctx, "make the old database live again", func(tx pgx.Tx) error {
		if err := s.rename(ctx, tx, []renaming{{next, s.beside}, {was, s.name}}); err != nil {
			return err
		}
		return s.change(ctx, tx, "mark the database that is not live any more", "comment on database "+ident(s.beside)+" is "+literal(mark))
	})
}

// reopen lets people into whatever is live, after a failure.
func (d Database) reopen(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	d.Before = nil
	if undo := d.Unfence(ctx); undo != nil {
		return fmt.Errorf("%w; and database stays closed: %w", err, undo)
	}
	return err
}

// Undo gives live back from whatever a switch has come to: the old database has
// its name and lets people in; the restored one, where there is one, is beside. It
// may be repeated. An error lets people into what is live, where they were in before.
func (d Database) Undo(ctx context.Context) error {
	return d.giveBack(ctx, markLoaded(d.Run)) // as it was, so that it may be switched to again
}

// UndoOpened is Undo of a switch that may have let people in: what they may have
// written to lets nobody in any more, and Drop refuses to remove it.
func (d Database) UndoOpened(ctx context.Context) error {
	return d.giveBack(ctx, markOpened(d.Run))
}

func (d Database) giveBack(ctx context.Context, mark string) error {
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
		if err := s.swapBack(ctx, was, next, mark); err != nil {
			if !next.Open && mark != markOpened(d.Run) {
				return err // nobody was let in yet
			}
			s.close(ctx)
			return d.reopen(ctx, err)
		}
		if was, _, err = s.find(ctx, was.OID); err != nil {
			return err
		}
	}
	return s.unfence(ctx, was)
}
