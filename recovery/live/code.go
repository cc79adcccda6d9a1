package live

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Code is what of the code in a restored database the live one does not have in the same
// bytes. Whoever may write into a copy may put code there, and a superuser who loads it gives
// that his rights. What live has already adds none.
type Code struct {
	// Superuser is the role that loads it, where that is one. Where it is empty nothing else
	// is told: PostgreSQL refuses by itself what only a superuser may make.
	Superuser string
	// Database is the live one; Closed says that it lets nobody in, so that all is taken for
	// new in Powers, and nothing else is told.
	Database string
	Closed   bool
	// Powers are what only a superuser may make, in the order in which it is told.
	Powers []Power
	// Functions are those in trusted languages, Loading the ones among them that run while
	// rows are loaded, because a constraint, a generated column or a partition key calls them.
	Functions, Loading []string
	Extensions         []string
	// Digest tells the restored code, all of it, from any other.
	Digest string
}

// The words for powers that are no language's.
const (
	// EventTriggers run at what others do, with the rights of whoever does it.
	EventTriggers = "event-triggers"
	// Definers are functions that run with the rights of a superuser who owns them, whoever
	// calls them.
	Definers = "definers"
)

// Power is code with the rights of a superuser. Kind is the language of a function that
// reaches outside of the database, or one of the words.
type Power struct{ Kind, Says string }

// Untrusted are the powers that none of the words trusts.
func (c Code) Untrusted(trusts []string) []Power {
	return slices.DeleteFunc(slices.Clone(c.Powers), func(p Power) bool { return slices.Contains(trusts, p.Kind) })
}

// Code compares the code in a restored database with that of the live one. It only reads, and
// goes by what the catalogs of both say; what code that is the same calls is not followed.
func (d Database) Code(ctx context.Context, restored string) (Code, error) {
	conn, name, err := dial(ctx, d.Address)
	if err != nil {
		return Code{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	c := Code{Database: name}
	var super, open bool
	var role string
	var supers []string
	err = postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "select current_user::text, r.rolsuper, d.datallowconn from pg_roles r, pg_database d where r.rolname = current_user and d.datname = $1", name).Scan(&role, &super, &open)
		if err == nil {
			supers, err = namesIn(ctx, tx, "select rolname::text from pg_roles where rolsuper")
		}
		return err
	})
	if err != nil {
		return Code{}, fmt.Errorf("ask the live server who would load database %s: %w", name, err)
	}
	if !super {
		return c, nil
	}
	c.Superuser, c.Closed = role, !open
	scratch, err := connectScratch(ctx, restored)
	if err != nil {
		return Code{}, err
	}
	defer scratch.Close(context.WithoutCancel(ctx))
	in, err := codeOfScratch(ctx, scratch)
	if err != nil {
		return Code{}, err
	}
	var has code
	if open {
		if has, err = d.code(ctx); err != nil {
			return Code{}, err
		}
	}
	c.Digest = in.digest()
	c.compare(in, has, supers)
	return c, nil
}

// code reads that of the live database, from within.
func (d Database) code(ctx context.Context) (c code, err error) {
	config, err := liveConfig(d.Address)
	if err != nil {
		return c, err
	}
	conn, err := postgres.DialLive(ctx, config)
	if err != nil {
		return c, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		c, err = readCode(ctx, tx)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("look at the code of database %s: %w", config.Database, err)
	}
	return c, nil
}

func codeOfScratch(ctx context.Context, scratch *pgx.Conn) (c code, err error) {
	tx, err := scratch.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err == nil {
		defer tx.Rollback(context.WithoutCancel(ctx)) // nothing was written
		c, err = readCode(ctx, tx)
	}
	if err != nil {
		return c, recovery.Errorf("retry the restore", "look at the code of the restored database: %w", err)
	}
	return c, nil
}

// compare tells what of the restored code live does not have.
func (c *Code) compare(in, has code, supers []string) {
	for _, name := range slices.Sorted(maps.Keys(in.functions)) {
		f := in.functions[name]
		was, there := has.functions[name]
		there = there && was.sum() == f.sum()
		trusted := f.Trusted
		if live, known := has.languages[f.Language]; known { // the copy's own word is not taken for it
			trusted = trusted && live
		}
		switch {
		case there:
		case !trusted:
			c.power(f.Language, "function %s in %s", name, f.Language)
		case f.Loading:
			c.Loading = append(c.Loading, name)
			fallthrough
		default:
			c.Functions = append(c.Functions, name)
		}
		if f.Definer && slices.Contains(supers, f.Owner) && !(there && was.Definer && was.Owner == f.Owner) {
			c.power(Definers, "function %s, which runs with the rights of %s, whoever calls it", name, f.Owner)
		}
	}
	for _, t := range in.triggers {
		if !slices.ContainsFunc(has.triggers, func(was trigger) bool { return was.sum() == t.sum() }) {
			c.power(EventTriggers, "event trigger %s on %s", t.Name, t.Event)
		}
	}
	for _, name := range in.extensions {
		if !slices.Contains(has.extensions, name) {
			c.Extensions = append(c.Extensions, name)
		}
	}
	if c.Closed {
		c.Functions, c.Loading, c.Extensions = nil, nil, nil
	}
}

func (c *Code) power(kind, format string, args ...any) {
	c.Powers = append(c.Powers, Power{kind, fmt.Sprintf(format, args...)})
}

// unchanged refuses where the code of the restored database is not that of a digest; an empty
// one is of no look.
func (l *load) unchanged(ctx context.Context, digest string) error {
	if digest == "" {
		return nil
	}
	in, err := codeOfScratch(ctx, l.scratch)
	if err != nil {
		return err
	}
	if in.digest() != digest {
		return recovery.Errorf("find out what writes to it; then go to the moment again, or stop the run",
			"refused: the code in the restored database is not what it was when it was looked at").WithExit(recovery.Refused)
	}
	return nil
}
