package live

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// properties are those of a database that the new one shares: the restored one's, or
// where it came without a locale the live one's.
type properties struct {
	Encoding, Collate, CType, Provider, Locale string
	Rules                                      string // of ICU, from 16 on
	Major                                      int
}

// propertiesOf are those of the database that a condition on pg_database finds.
func propertiesOf(ctx context.Context, conn *pgx.Conn, where string, args ...any) (p properties, err error) {
	err = conn.QueryRow(ctx, `select pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
			coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''), coalesce(to_jsonb(d) ->> 'daticurules', ''), current_setting('server_version_num')::int4 / 10000
		from pg_database d where `+where, args...).Scan(&p.Encoding, &p.Collate, &p.CType, &p.Provider, &p.Locale, &p.Rules, &p.Major)
	return p, err
}

// admissible refuses what could not be loaded, before anything is made: another
// major, extensions that the live server does not have, names that it cannot give.
func (l *load) admissible(ctx context.Context) error {
	var err error
	if l.source, err = propertiesOf(ctx, l.scratch, "d.datname = current_database()"); err != nil {
		return fmt.Errorf("look at the restored database: %w", err)
	}
	if l.from.AnyLocale {
		was, err := propertiesOf(ctx, l.conn, "d.oid = $1::oid", l.Was)
		if err != nil {
			return fmt.Errorf("look at database %s: %w", l.name, err)
		}
		if was.Encoding == l.source.Encoding {
			was.Major = l.source.Major
			l.source = was
		}
	}
	if err := l.conn.QueryRow(ctx, "select current_setting('server_version_num')::int4 / 10000").Scan(&l.major); err != nil {
		return fmt.Errorf("ask the live server for its version: %w", err)
	}
	if l.major < l.source.Major {
		return recovery.Errorf("restore with the live server's major, or hand the restored server over",
			"refused: the restored database is of PostgreSQL %d, and the live server is of %d, which is older", l.source.Major, l.major).WithExit(recovery.Refused)
	}
	if err := l.extensions(ctx, l.major); err != nil {
		return err
	}
	return l.nameable(ctx)
}

// tied are extensions that a server lets exist in the one database only that a setting names.
var tied = map[string]string{"pg_cron": "cron.database_name"}

// untied refuses extensions that the new database cannot have, because it is not the one
// that they are tied to: it has another name until it is live.
func (l *load) untied(ctx context.Context, wanted []string) error {
	for _, name := range wanted {
		setting, ok := tied[name]
		if !ok {
			continue
		}
		var database string
		if err := l.conn.QueryRow(ctx, "select coalesce(current_setting($1::text, true), '')", setting).Scan(&database); err != nil {
			return fmt.Errorf("ask the live server for %s: %w", setting, err)
		}
		if database != l.beside {
			return recovery.Errorf("bring the whole server back with `into: cluster`, or hand the restored one over with `into: hand-over`",
				"refused: the restored database has the extension %s, which can be only in the database that %s names, and not in one that is loaded beside it", name, setting).WithExit(recovery.Refused)
		}
	}
	return nil
}

// extensions refuses what the live server has not installed, or not for another database.
func (l *load) extensions(ctx context.Context, major int) error {
	wanted, err := names(ctx, l.scratch, "select extname::text from pg_extension order by 1")
	if err != nil {
		return fmt.Errorf("list the extensions of the restored database: %w", err)
	}
	if err := l.untied(ctx, wanted); err != nil {
		return err
	}
	available, err := names(ctx, l.conn, "select name::text from pg_available_extensions")
	if err != nil {
		return fmt.Errorf("list the extensions of the live server: %w", err)
	}
	var missing, packages []string
	for _, name := range wanted {
		if !slices.Contains(available, name) {
			missing = append(missing, name)
			packages = append(packages, postgres.PackageOf(name, major))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(packages)
	return recovery.Errorf("install them on the live server's machine (Debian: apt-get install "+strings.Join(slices.Compact(packages), " ")+"), then retry",
		"refused: the live server has no extension %s, and the restored database uses it", strings.Join(missing, ", ")).WithExit(recovery.Refused)
}

// neededRoles are the roles that own something in the restored database or are
// named in its privileges. The role that initdb made is pinned and listed nowhere,
// so it is asked for separately.
const neededRoles = `
select distinct r.rolname::text from pg_shdepend s join pg_authid r on r.oid = s.refobjid and s.refclassid = 'pg_authid'::regclass
 where s.dbid = (select oid from pg_database where datname = current_database())
union select rolname::text from pg_roles where oid = 10 and exists (select from pg_class c where relowner = 10 and relnamespace not in (
       select oid from pg_namespace where nspname like 'pg\_%' or nspname = 'information_schema'))
order by 1`

// nameable refuses roles that the live server cannot be given: PostgreSQL keeps
// names that begin with pg_ to itself.
func (l *load) nameable(ctx context.Context) error {
	missing, err := l.missingRoles(ctx)
	if err != nil {
		return err
	}
	for _, name := range missing {
		if strings.HasPrefix(name, "pg_") {
			return recovery.Errorf("restore with the live server's major, or hand the restored server over",
				"refused: the restored database needs the role %s, which the live server's PostgreSQL does not know", name).WithExit(recovery.Refused)
		}
	}
	return nil
}

func (l *load) missingRoles(ctx context.Context) ([]string, error) {
	needed, err := names(ctx, l.scratch, neededRoles)
	if err != nil {
		return nil, fmt.Errorf("list the roles that the restored database needs: %w", err)
	}
	have, err := names(ctx, l.conn, "select rolname::text from pg_roles")
	if err != nil {
		return nil, fmt.Errorf("list the roles of the live server: %w", err)
	}
	return slices.DeleteFunc(needed, func(name string) bool { return slices.Contains(have, name) }), nil
}

// roles makes the roles that the live server lacks: without login, without a
// password, members of nothing. The comment that each gets in the same transaction
// tells a later attempt that it is this run's.
func (l *load) roles(ctx context.Context) error {
	missing, err := l.missingRoles(ctx)
	if err != nil {
		return err
	}
	for _, name := range missing {
		err := l.transact(ctx, "make role "+name+" without login", func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "create role "+ident(name)+" nologin"); err != nil {
				return fmt.Errorf("make role %s: %w", name, err)
			}
			_, err := tx.Exec(ctx, "comment on role "+ident(name)+" is "+literal(markRole(l.Run)))
			return err
		})
		if err != nil {
			return explain(err)
		}
	}
	l.result.Roles, err = l.madeRoles(ctx)
	return err
}

func markRole(run string) string { return "comeback " + run + ": the restored data name it" }

// madeRoles are those that this run has made.
func (l *load) madeRoles(ctx context.Context) ([]string, error) {
	made, err := names(ctx, l.conn, "select rolname::text from pg_roles where shobj_description(oid, 'pg_authid') = $1::text order by 1", markRole(l.Run))
	if err != nil {
		return nil, fmt.Errorf("list the roles that this run has made: %w", err)
	}
	return made, nil
}

// createSQL is CREATE DATABASE with the encoding and locale of the source, the live
// one's owner and tablespace.
func (l *load) createSQL(ctx context.Context) (string, error) {
	var owner, space string
	err := l.conn.QueryRow(ctx, `select pg_get_userbyid(datdba)::text, (select spcname::text from pg_tablespace t where t.oid = dattablespace)
		from pg_database where oid = $1::oid`, l.Was).Scan(&owner, &space)
	if err != nil {
		return "", fmt.Errorf("read what database %s has: %w", l.name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "create database %s template template0 owner %s tablespace %s encoding %s lc_collate %s lc_ctype %s connection limit %d",
		ident(l.beside), ident(owner), ident(space), literal(l.source.Encoding), literal(l.source.Collate), literal(l.source.CType), ownLimit(l.Run, l.beside))
	switch l.source.Provider {
	case "c":
		if postgres.NamesProviders(l.major) {
			b.WriteString(" locale_provider libc") // else it would be the template's
		}
	case "i":
		b.WriteString(" locale_provider icu icu_locale " + literal(l.source.Locale))
		if l.source.Rules != "" {
			b.WriteString(" icu_rules " + literal(l.source.Rules))
		}
	case "b":
		b.WriteString(" locale_provider builtin builtin_locale " + literal(l.source.Locale))
	}
	return b.String(), nil
}

// notCreated says what a live server that cannot make such a database lacks.
func (l *load) notCreated(err error) error {
	switch codeOf(err) {
	case "42809", "22023", "0A000": // wrong object type, invalid parameter, not supported
		locale := l.source.Collate
		if locale == "C" || locale == "POSIX" { // which every machine has
			locale = l.source.CType
		}
		return recovery.Errorf(fmt.Sprintf("install the locale %s on the live server's machine, then retry", locale),
			"refused: the live server cannot make a database as the restored one is: %w", err).WithExit(recovery.Refused)
	}
	return explain(err)
}

// names is a query of one text column.
func names(ctx context.Context, conn *pgx.Conn, query string, args ...any) ([]string, error) {
	found, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// jobs is how many sessions work side by side.
func (l *load) jobs() string { return strconv.Itoa(max(1, l.from.Jobs)) }
