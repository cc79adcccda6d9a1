package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// table is one that holds rows, or a materialized view.
type table struct {
	Schema, Name string
	View, Filled bool
}

// is reports whether it is the same, whether it is filled or not.
func (t table) is(other table) bool {
	t.Filled = other.Filled
	return t == other
}

func (t table) String() string { return ident(t.Schema) + "." + ident(t.Name) }

// notOurs are the relations that pg_dump does not dump: PostgreSQL's own and those
// that belong to extensions.
const notOurs = `(n.nspname like 'pg\_%' or n.nspname = 'information_schema' or exists (
	select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e'))`

// tables lists the tables and materialized views.
func tables(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	found, err := conn.Query(ctx, `select n.nspname::text, c.relname::text, c.relkind = 'm', c.relispopulated from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and c.relpersistence <> 't' and not `+notOurs+` order by 1, 2`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByPos[table])
}

// objects counts what else a database consists of, by kind: as many on every major. Those of
// the constraints and triggers of partitions that come of their parents' are left out, which
// majors record in other numbers, and constraints that are NOT NULL, which they record from 18 on.
const objects = `
select case c.relkind when 'i' then 'indexes' when 'I' then 'partitioned indexes' when 'S' then 'sequences' when 'v' then 'views' when 'p' then 'partitioned tables'
            when 'f' then 'foreign tables' when 'c' then 'types' else c.relkind::text end, count(*)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind not in ('r', 'm', 't') and c.relpersistence <> 't' and not ` + notOurs + ` group by 1
union all
select 'constraints', count(*) from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace where k.contype <> 'n' and k.conparentid = 0 and not ` + notOurs + `
union all
select 'large objects', count(*) from pg_largeobject_metadata
union all
select 'triggers', count(*) from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace where not g.tgisinternal and g.tgparentid = 0 and not ` + notOurs + `
order by 1`

type count struct {
	Kind string
	N    int64
}

// verify holds the new database against the restored one: every table has the same
// number of rows, and there are as many objects of each kind. pg_restore makes the rows of
// materialized views anew, and cannot fill one that is made of another which is not filled.
func (l *load) verify(ctx context.Context) error {
	made, err := l.within(ctx)
	if err != nil {
		return err
	}
	defer made.Close(context.WithoutCancel(ctx))
	want, err := tables(ctx, l.scratch)
	if err != nil {
		return fmt.Errorf("list the tables of the restored database: %w", err)
	}
	have, err := tables(ctx, made)
	if err != nil {
		return fmt.Errorf("list the tables of database %s: %w", l.beside, err)
	}
	if !slices.EqualFunc(want, have, table.is) {
		return l.differs("the restored database has %d tables and %s has %d, or others of them", len(want), l.beside, len(have))
	}
	var emptied []string
	for i, t := range want {
		if t.Filled && !have[i].Filled {
			emptied = append(emptied, t.String())
		}
		want[i].Filled = t.Filled && have[i].Filled
	}
	if len(emptied) > 0 {
		l.result.Remarks = append(l.result.Remarks, "materialized views that were filled are not any more, because what they are made of was not filled in the backup; refresh them: "+strings.Join(emptied, ", "))
	}
	want = slices.DeleteFunc(want, func(t table) bool { return !t.Filled })
	if err := l.sameObjects(ctx, made); err != nil {
		return err
	}
	if err := l.otherVersions(ctx, made); err != nil {
		return err
	}
	meter := l.env.Meter()
	meter.Phase("count the rows of database "+l.beside, int64(len(want)), recovery.InTables)
	l.result.Tables, l.result.Rows = len(want), 0
	var refreshed []string
	for _, t := range want {
		meter.Note(t.String())
		restored, err := rowsOf(ctx, l.scratch, t)
		if err != nil {
			return fmt.Errorf("count the rows of %s in the restored database: %w", t, err)
		}
		loaded, err := rowsOf(ctx, made, t)
		if err != nil {
			return fmt.Errorf("count the rows of %s in database %s: %w", t, l.beside, err)
		}
		switch {
		case restored == loaded:
			l.result.Rows += loaded
		case t.View:
			refreshed = append(refreshed, fmt.Sprintf("%s (%d rows before, %d now)", t, restored, loaded))
		default:
			return l.differs("%s has %d rows in the restored database and %d in %s", t, restored, loaded, l.beside)
		}
		meter.Add(1)
	}
	if len(refreshed) > 0 {
		l.result.Remarks = append(l.result.Remarks, "what was loaded has materialized views as of its tables, which were behind them in the backup: "+strings.Join(refreshed, ", "))
	}
	return nil
}

// within is a session with the new database.
func (l *load) within(ctx context.Context) (*pgx.Conn, error) {
	config := l.conn.Config().Copy()
	config.Database = l.beside
	conn, err := postgres.DialLive(ctx, config)
	if err != nil {
		return nil, err
	}
	if err = postgres.Unhurry(ctx, conn); err == nil {
		// Rows that a policy hides are an error then, instead of missing.
		_, err = conn.Exec(ctx, "set row_security = off")
	}
	if err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("look into database %s: %w", l.beside, err)
	}
	return conn, nil
}

func rowsOf(ctx context.Context, conn *pgx.Conn, t table) (n int64, err error) {
	err = conn.QueryRow(ctx, "select count(*) from only "+t.String()).Scan(&n)
	return n, err
}

func (l *load) sameObjects(ctx context.Context, made *pgx.Conn) error {
	var sides [2][]count
	for i, conn := range []*pgx.Conn{l.scratch, made} {
		found, err := conn.Query(ctx, objects)
		if err == nil {
			sides[i], err = pgx.CollectRows(found, pgx.RowToStructByPos[count])
		}
		if err != nil {
			return fmt.Errorf("count the objects of database %s: %w", conn.Config().Database, err)
		}
	}
	if slices.Equal(sides[0], sides[1]) {
		return nil
	}
	return l.differs("the restored database has %s, and %s has %s", counted(sides[0]), l.beside, counted(sides[1]))
}

// otherVersions tells of extensions that are of another version than they were: a
// dump makes them in the version that the live server has installed.
func (l *load) otherVersions(ctx context.Context, made *pgx.Conn) error {
	var sides [2]map[string]string
	for i, conn := range []*pgx.Conn{l.scratch, made} {
		sides[i] = map[string]string{}
		found, err := conn.Query(ctx, "select extname::text, extversion from pg_extension order by 1")
		if err == nil {
			var name, version string
			_, err = pgx.ForEachRow(found, []any{&name, &version}, func() error { sides[i][name] = version; return nil })
		}
		if err != nil {
			return fmt.Errorf("list the extensions of database %s: %w", conn.Config().Database, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sides[0])) {
		switch was, is := sides[0][name], sides[1][name]; is {
		case was:
		case "":
			return l.differs("it lacks the extension %s", name)
		default:
			l.result.Remarks = append(l.result.Remarks, fmt.Sprintf("extension %s was of version %s and is of %s, which the live server has installed", name, was, is))
		}
	}
	return nil
}

func counted(all []count) string {
	var parts []string
	for _, c := range all {
		parts = append(parts, fmt.Sprintf("%d %s", c.N, c.Kind))
	}
	return strings.Join(parts, ", ")
}

// errDiffers: what was loaded is not what was restored.
var errDiffers = errors.New("loaded and restored differ")

func (l *load) differs(format string, args ...any) error {
	err := recovery.Errorf("retry: it is then removed and loaded anew; live was not touched", "the loaded database is not what was restored: "+format, args...)
	err.Err = errDiffers
	return err
}
