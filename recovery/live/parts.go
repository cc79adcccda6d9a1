package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// rights are what a role is told less without.
const (
	readStats    = "pg_read_all_stats"
	readSettings = "pg_read_all_settings"
)

// may reports whether the role has another one's rights.
func may(ctx context.Context, tx pgx.Tx, role string) (ok bool, err error) {
	err = tx.QueryRow(ctx, "select pg_has_role(current_user, $1::text, 'usage')", role).Scan(&ok)
	return ok, err
}

func (l *looker) archiving(ctx context.Context, tx pgx.Tx) error {
	a := &l.Archiving
	var archived, failed *time.Time
	err := tx.QueryRow(ctx, `select current_setting('archive_mode'),
			current_setting('archive_command') not in ('', '(disabled)') or coalesce(current_setting('archive_library', true), '') <> '',
			coalesce(last_archived_wal, ''), last_archived_time, coalesce(last_failed_wal, ''), last_failed_time, failed_count,
			coalesce(current_setting('synchronous_standby_names', true), '')
		from pg_stat_archiver`).Scan(&a.Mode, &a.Command, &a.Archived, &archived, &a.Failed, &failed, &a.Failures, &l.Synchronous)
	if archived != nil {
		a.ArchivedAt = *archived
	}
	if failed != nil {
		a.FailedAt = *failed
	}
	return err
}

// propertiesQuery is the same for every major: what a major does not have is
// null.
const propertiesQuery = `
select d.datallowconn, d.datistemplate, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
       d.datconnlimit::int8, (select spcname::text from pg_tablespace t where t.oid = d.dattablespace),
       coalesce(d.datacl::text[], '{}'), coalesce(shobj_description(d.oid, 'pg_database'), ''),
       case when has_database_privilege(d.oid, 'connect') or pg_has_role(current_user, 'pg_read_all_stats', 'usage') then pg_database_size(d.oid) else -1 end
  from pg_database d where d.oid = $1`

func (l *looker) properties(ctx context.Context, tx pgx.Tx) error {
	p := &l.Target
	err := tx.QueryRow(ctx, propertiesQuery, l.OID).Scan(&p.Open, &p.Template, &p.Owner, &p.Encoding, &p.Collate, &p.CType, &p.Provider, &p.Locale,
		&p.Limit, &p.Tablespace, &p.ACL, &p.Comment, &p.Size)
	if err != nil {
		return err
	}
	if p.Size < 0 {
		l.unknown("the database's size", errors.New("this role may not connect to it"), readStats)
	}
	// The names alone.
	p.Settings, err = rows[Setting](ctx, tx, `select coalesce(pg_get_userbyid(nullif(setrole, 0))::text, ''), split_part(c, '=', 1)
		from pg_db_role_setting, unnest(setconfig) c where setdatabase = $1 order by 1, 2`, l.OID)
	return err
}

// rows reads a query into structs, field by field.
func rows[T any](ctx context.Context, tx pgx.Tx, query string, args ...any) ([]T, error) {
	found, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByPos[T])
}

// grown is how much larger than template0 a database may be in which nobody keeps anything,
// by the statistics and maps of its catalogs.
const grown = 512 << 10

func (l *looker) others(ctx context.Context, tx pgx.Tx) (err error) {
	l.Others, err = rows[Neighbour](ctx, tx, `
		with sized as (select datname, oid, datistemplate, case when has_database_privilege(oid, 'connect') or pg_has_role(current_user, 'pg_read_all_stats', 'usage') then pg_database_size(oid) else -1 end as size
			from pg_database where datname = 'template0' or oid <> $1 and not datistemplate)
		select datname::text, oid, size, datname = 'postgres' and size >= 0 and size <= coalesce((select t.size from sized t where t.datname = 'template0'), -1) + $2
		from sized where oid <> $1 and not datistemplate order by 1`, l.OID, int64(grown))
	return err
}

// sessions groups them; a busy server has hundreds that are alike.
func (l *looker) sessions(ctx context.Context, tx pgx.Tx) error {
	all, err := may(ctx, tx, readStats)
	if err != nil {
		return err
	}
	if !all {
		l.unknown("what sessions of other roles do", errors.New("this role sees only its own"), readStats)
	}
	ours := make([]int64, len(l.ours))
	for i, pid := range l.ours {
		ours[i] = int64(pid)
	}
	type row struct {
		Database, User, Application, Client, State, Kind string
		Count                                            int64
		Oldest                                           *time.Time
	}
	found, err := rows[row](ctx, tx, `select coalesce(datname::text, ''), coalesce(usename::text, ''), coalesce(application_name, ''),
			coalesce(host(client_addr), case when backend_type in ('client backend', 'walsender') and client_port = -1 then 'socket' end, ''),
			coalesce(state, ''), coalesce(backend_type, ''), count(*), min(xact_start)
		from pg_stat_activity where (datid is not null or usesysid is not null) and pid <> all($1::int8[])
			and coalesce(backend_type, '') not in ('autovacuum launcher', 'logical replication launcher', 'parallel worker')
		group by 1, 2, 3, 4, 5, 6 order by 1, 7 desc, 2, 3, 4, 5, 6`, ours)
	for _, r := range found {
		s := Sessions{Database: r.Database, User: r.User, Application: r.Application, Client: r.Client, State: r.State, Kind: r.Kind, Count: r.Count}
		if r.Oldest != nil {
			s.Oldest = *r.Oldest
		}
		l.Sessions = append(l.Sessions, s)
	}
	return err
}

func (l *looker) prepared(ctx context.Context, tx pgx.Tx) (err error) {
	l.Prepared, err = preparedIn(ctx, tx, "")
	return err
}

// preparedIn lists the prepared transactions of a database, or of all where it is
// empty.
func preparedIn(ctx context.Context, tx pgx.Tx, database string) ([]Prepared, error) {
	return rows[Prepared](ctx, tx, `select gid, owner::text, database::text, prepared from pg_prepared_xacts
		where $1::text in ('', database::text) order by prepared, gid`, database)
}

func (l *looker) standbys(ctx context.Context, tx pgx.Tx) error {
	type row struct{ Application, Client, State, Sync, Replayed string }
	found, err := rows[row](ctx, tx, `select coalesce(application_name, ''), coalesce(host(client_addr), ''), coalesce(state, ''), coalesce(sync_state, ''),
			coalesce(replay_lsn::text, '') from pg_stat_replication
		where not exists (select from pg_replication_slots s where s.active_pid = pid and s.slot_type = 'logical') order by 1, 2, pid`)
	for _, r := range found {
		s := Standby{Application: r.Application, Client: r.Client, State: r.State, Sync: r.Sync}
		if err := s.Replayed.UnmarshalText([]byte(r.Replayed)); err != nil {
			return err
		}
		l.Standbys = append(l.Standbys, s)
	}
	return err
}

func (l *looker) slots(ctx context.Context, tx pgx.Tx) error {
	type row struct {
		Name, Kind, Plugin, Database string
		Active                       bool
		Restart                      string
	}
	found, err := rows[row](ctx, tx, `select slot_name::text, slot_type, coalesce(plugin::text, ''), coalesce(database::text, ''), active,
			coalesce(restart_lsn::text, '') from pg_replication_slots where not temporary order by 1`)
	for _, r := range found {
		s := Slot{Name: r.Name, Kind: r.Kind, Plugin: r.Plugin, Database: r.Database, Active: r.Active}
		if err := s.Restart.UnmarshalText([]byte(r.Restart)); err != nil {
			return err
		}
		l.Slots = append(l.Slots, s)
	}
	return err
}

func (l *looker) subscriptions(ctx context.Context, tx pgx.Tx) (err error) {
	l.Subscriptions, err = rows[Subscription](ctx, tx, `select subname::text, datname::text, subenabled, coalesce(subslotname::text, '')
		from pg_subscription s join pg_database d on d.oid = s.subdbid order by 2, 1`)
	return err
}

func (l *looker) tablespaces(ctx context.Context, tx pgx.Tx) (err error) {
	l.Tablespaces, err = rows[Tablespace](ctx, tx, `select spcname::text, pg_tablespace_location(oid) from pg_tablespace
		where spcname not in ('pg_default', 'pg_global') order by 1`)
	return err
}

// inside reads what only a session with the database itself sees.
func (l *looker) inside(ctx context.Context, tx pgx.Tx) error {
	var oid uint32
	err := tx.QueryRow(ctx, "select oid from pg_database where datname = current_database()").Scan(&oid)
	if err == nil && oid != l.OID {
		return recovery.Errorf("give the address of the server itself, not of a pooler that leads elsewhere",
			"the address leads to database %d, and %s is %d", oid, l.Database, l.OID).WithExit(recovery.Refused)
	}
	if err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, "select not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where not "+notOurs+")").Scan(&l.Empty); err != nil {
		return err
	}
	if l.Extensions, err = rows[Extension](ctx, tx, "select extname::text, extversion from pg_extension order by 1"); err != nil {
		return err
	}
	type row struct{ Name string }
	found, err := rows[row](ctx, tx, "select pubname::text from pg_publication order by 1")
	for _, r := range found {
		l.Publications = append(l.Publications, r.Name)
	}
	if err != nil {
		return fmt.Errorf("list publications: %w", err)
	}
	return nil
}
