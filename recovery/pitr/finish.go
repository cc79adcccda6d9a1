package pitr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// finish gives the opened cluster a configuration without the recovery, looks
// at what a person should know about it, and binds its database.
func (r *replay) finish(ctx context.Context) (recovery.Outcome, error) {
	if err := setProven(r.handle.Dir, r.evidence); err != nil {
		return recovery.Outcome{}, err
	}
	if err := configureServing(r.cluster, r.sizes, r.args.BecomesLive); err != nil {
		return recovery.Outcome{}, err
	}
	reopened, err := r.reopen(ctx)
	if err != nil {
		return recovery.Outcome{}, err
	}
	databases, err := r.names(ctx, databasesQuery)
	if err != nil {
		return recovery.Outcome{}, err
	}
	remarks, err := r.oddities(ctx)
	if err != nil {
		return recovery.Outcome{}, err
	}
	remarks = append(remarks, reopened...)
	var version string
	if err := r.conn.QueryRow(ctx, "select current_setting('server_version')").Scan(&version); err != nil {
		return recovery.Outcome{}, fmt.Errorf("ask for the server's version: %w", err)
	}
	database, err := r.choose(databases)
	if err != nil {
		return recovery.Outcome{}, err
	}
	r.disconnect(ctx)
	r.server.LogTo(nil) // it runs on, this step's log does not
	o := recovery.Outcome{
		Facts: map[string]string{
			recovery.ServerVersion:    version,
			recovery.SystemIdentifier: r.control.SystemIdentifier,
			"timeline":                strconv.FormatUint(uint64(r.newTimeline), 10),
			"recovered along":         "timeline " + strconv.FormatUint(uint64(r.args.Timeline), 10),
			"replayed to":             r.reachedAt.String(),
			"databases":               strings.Join(databases, ", "),
			"archiving":               "off",
		},
		Remarks:  remarks,
		Bindings: []recovery.Binding{{Component: r.args.Component, URL: r.cluster.URL(database), Scratch: r.handle.Scratch}},
		Reached: &recovery.Reached{Component: r.args.Component, Time: r.args.Kept.Time, LSN: r.reachedAt,
			XID: r.args.Kept.XID, Timeline: r.newTimeline, Evidence: r.evidence},
	}
	o.Says = fmt.Sprintf("log replayed to %s, proven, database %s open on timeline %d", r.reachedAt, database, r.newTimeline)
	r.tellRaised(o.Facts)
	r.server.TellIsolation(&o)
	return o, nil
}

// tellRaised notes which settings had to be larger than when the backup was made.
func (r *replay) tellRaised(facts map[string]string) {
	for name, before := range sourceSettings(r.control) {
		if r.sizes[name] > before {
			facts[name] = fmt.Sprintf("%d, raised from %d as the source did", r.sizes[name], before)
		}
	}
}

// databasesQuery lists the databases that people use.
const databasesQuery = "select datname from pg_database where not datistemplate and datallowconn and datname <> 'postgres' order by datname"

// reopen opens the component's own database where it let nobody in at the moment, as
// while a switch takes it away: another one, loaded beside it for that switch, is not it.
func (r *replay) reopen(ctx context.Context) (remarks []string, err error) {
	asked := r.asked()
	if remarks, err = r.revalidate(ctx, asked); err != nil {
		return nil, err
	}
	if closed, err := r.closed(ctx, asked); err != nil || !closed {
		return remarks, err
	}
	if _, err := r.conn.Exec(ctx, "alter database "+pgx.Identifier{asked}.Sanitize()+" allow_connections true"); err != nil {
		return nil, fmt.Errorf("open database %s: %w", asked, err)
	}
	return append(remarks, fmt.Sprintf("database %s let nobody in at the moment, and was opened here", asked)), nil
}

// revalidate lets people into a database that was being dropped at the moment. Dropping
// closes it for good, by -2 as its limit of connections, before it writes a checkpoint,
// during which others may commit, and only then removes its files. So what it held is there.
func (r *replay) revalidate(ctx context.Context, asked string) (remarks []string, err error) {
	dropped, err := r.names(ctx, "select datname from pg_database where not datistemplate and datconnlimit = -2")
	if err != nil {
		return nil, err
	}
	for _, name := range dropped {
		if asked != "" && name != asked {
			continue
		}
		closed, err := r.closed(ctx, name)
		if err != nil {
			return nil, err
		}
		// ALTER DATABASE refuses it.
		const set = "update pg_catalog.pg_database set datconnlimit = $2, datallowconn = $3 where datname = $1"
		if _, err := r.conn.Exec(ctx, set, name, -1, true); err != nil {
			return nil, fmt.Errorf("open database %s: %w", name, err)
		}
		if err := r.complete(ctx, name); err != nil {
			if _, again := r.conn.Exec(context.WithoutCancel(ctx), set, name, -2, !closed); again != nil || asked != "" {
				return nil, errors.Join(err, again)
			}
			remarks = append(remarks, "left out: "+err.Error()) // whose loss it is nobody has asked for
			continue
		}
		remarks = append(remarks, fmt.Sprintf("database %s was being dropped at the moment, and was opened here without a limit of connections", name))
	}
	return remarks, nil
}

// complete refuses a database of which a file is missing, as where a base backup was taken
// when a drop was cut off that had removed some.
func (r *replay) complete(ctx context.Context, database string) error {
	lacks := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return recovery.Errorf("choose an earlier moment", "database %s was being dropped when the base backup was taken, and is not whole: %w", database, err).WithExit(recovery.Refused)
	}
	conn, err := r.dial(ctx, database)
	if err != nil {
		return lacks(err)
	}
	defer conn.Close(ctx)
	// A file after the first of a table is missing where the rest is shorter than the table
	// was when it was last counted.
	var missing string
	err = conn.QueryRow(ctx, `select coalesce(min(oid::regclass::text), '') from pg_class
		where pg_relation_filepath(oid) is not null and relpersistence = 'p'
		and (pg_stat_file(pg_relation_filepath(oid), true) is null or pg_relation_size(oid) = 1::int8 << 30 and relpages > pg_relation_size(oid) / current_setting('block_size')::int8)`).Scan(&missing)
	switch {
	case err != nil:
		return lacks(err)
	case missing != "":
		return lacks(fmt.Errorf("a file of %s is missing", missing))
	}
	return nil
}

// closed reports whether a database lets nobody in.
func (r *replay) closed(ctx context.Context, database string) (bool, error) {
	closed, err := r.names(ctx, "select datname from pg_database where not datistemplate and not datallowconn")
	return slices.Contains(closed, database), err
}

// asked is the database that is meant; empty where nothing says which.
func (r *replay) asked() string {
	if r.args.Database != "" {
		return r.args.Database
	}
	if u := r.liveURL(); u != nil {
		return strings.TrimPrefix(u.Path, "/")
	}
	return ""
}

// choose picks the database that checks look at.
func (r *replay) choose(databases []string) (string, error) {
	asked := r.asked()
	switch {
	case asked != "" && (slices.Contains(databases, asked) || asked == "postgres"):
		return asked, nil
	case r.args.Database == "" && len(databases) == 1:
		return databases[0], nil
	case r.args.Database == "" && len(databases) == 0:
		return "postgres", nil
	}
	hint := "set `database:` of the component to one of them, then make a new plan"
	if asked != "" {
		return "", recovery.Errorf(hint, "the restored cluster has no database %q, only: %s", asked, strings.Join(databases, ", ")).WithExit(recovery.Usage)
	}
	return "", recovery.Errorf(hint, "the restored cluster has several databases: %s", strings.Join(databases, ", ")).WithExit(recovery.Usage)
}

// oddities are what is otherwise than on the source, or waits for a decision.
func (r *replay) oddities(ctx context.Context) ([]string, error) {
	var all []string
	prepared, err := r.names(ctx, `select format('transaction %s of database %s (%s) is prepared and neither committed nor rolled back: decide with COMMIT PREPARED or ROLLBACK PREPARED',
		quote_literal(gid), database, owner) from pg_prepared_xacts order by gid`)
	if err != nil {
		return nil, err
	}
	all = append(all, prepared...)
	if !postgres.RecordsCollations(r.cluster.Tools.Major) {
		return all, nil
	}
	collations, err := r.names(ctx, `select format('database %s was built with version %s of its collation and this machine has %s: its text indexes may be corrupt, check them with amcheck',
		datname, datcollversion, pg_database_collation_actual_version(oid)) from pg_database
		where not datistemplate and datcollversion is distinct from pg_database_collation_actual_version(oid) order by datname`)
	return append(all, collations...), err
}

// names is a query of one text column.
func (r *replay) names(ctx context.Context, query string) ([]string, error) {
	rows, err := r.conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("look at the opened cluster: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look at the opened cluster: %w", err)
	}
	return list, nil
}
