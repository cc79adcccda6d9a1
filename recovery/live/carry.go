package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// carry gives the new database what belongs to a database and is in no dump of
// its contents: owner, privileges, settings, connection limit, comment, security
// labels. It proves that they are the same, and returns what could not be made the same.
func (s *server) carry(ctx context.Context, tx pgx.Tx, was, next one) (remarks []string, err error) {
	var owner string
	var comment *string
	err = tx.QueryRow(ctx, "select pg_get_userbyid(datdba)::text, shobj_description(oid, 'pg_database') from pg_database where oid = $1::oid", was.OID).Scan(&owner, &comment)
	if err != nil {
		return nil, fmt.Errorf("read what database %s has: %w", was.Name, err)
	}
	says := "null"
	if comment != nil {
		says = literal(*comment)
	}
	for _, c := range []struct{ what, sql string }{
		{"its owner", "alter database " + ident(next.Name) + " owner to " + ident(owner)},
		{"its connection limit", fmt.Sprintf("alter database %s connection limit %d", ident(next.Name), was.Limit)},
		{"its comment", "comment on database " + ident(next.Name) + " is " + says},
	} {
		if err := s.change(ctx, tx, "give the restored database "+c.what, c.sql); err != nil {
			return nil, err
		}
	}
	if remarks, err = s.carryPrivileges(ctx, tx, was, next); err != nil {
		return nil, err
	}
	if err := s.carrySettings(ctx, tx, was, next); err != nil {
		return nil, err
	}
	unlabelled, err := s.carryLabels(ctx, tx, was, next)
	return append(remarks, unlabelled...), err
}

// label is a security label of a database.
type label struct{ Provider, Says string }

// carryLabels gives the new database the security labels of the old one. A server
// that has not loaded a label's provider does not heed the label, and cannot set it:
// that is told.
func (s *server) carryLabels(ctx context.Context, tx pgx.Tx, was, next one) (remarks []string, err error) {
	found, err := tx.Query(ctx, "select provider, label from pg_shseclabel where objoid = $1::oid and classoid = 'pg_database'::regclass order by 1", was.OID)
	if err != nil {
		return nil, fmt.Errorf("read the security labels of database %s: %w", was.Name, err)
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByPos[label])
	if err != nil {
		return nil, fmt.Errorf("read the security labels of database %s: %w", was.Name, err)
	}
	for _, l := range all {
		if err := s.before(ctx, "give the restored database its security label of %s", l.Provider); err != nil {
			return nil, err
		}
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("security label for %s on database %s is %s", ident(l.Provider), ident(next.Name), literal(l.Says)))
			return err
		})
		switch {
		case codeOf(err) == invalidParameter:
			remarks = append(remarks, fmt.Sprintf("the security label of %s on database %s is not set anew: the server has not loaded its provider", l.Provider, s.name))
		case err != nil:
			return nil, fmt.Errorf("give the restored database its security label of %s: %w", l.Provider, secretless(err))
		}
	}
	return remarks, nil
}

// grant is one privilege of a role on a database.
type grant struct {
	Grantor, Grantee, Privilege string
	Grantable                   bool
}

// grants are a database's, with those that it has where nothing was granted. An
// empty grantee is everybody.
func grants(ctx context.Context, tx pgx.Tx, oid uint32) ([]grant, error) {
	found, err := tx.Query(ctx, `select pg_get_userbyid(a.grantor)::text, case when a.grantee = 0 then '' else pg_get_userbyid(a.grantee)::text end, a.privilege_type, a.is_grantable
		from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a where d.oid = $1::oid order by 2, 3, 1`, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByPos[grant])
}

// carryPrivileges makes the privileges the same. Those that a role has passed on
// are the owner's grants afterwards, which is told.
func (s *server) carryPrivileges(ctx context.Context, tx pgx.Tx, was, next one) (remarks []string, err error) {
	want, err := grants(ctx, tx, was.OID)
	if err != nil {
		return nil, fmt.Errorf("read the privileges of database %s: %w", was.Name, err)
	}
	have, err := grants(ctx, tx, next.OID)
	if err != nil {
		return nil, fmt.Errorf("read the privileges of database %s: %w", next.Name, err)
	}
	if slices.Equal(want, have) {
		return nil, nil
	}
	var statements []string
	for _, g := range have {
		statements = append(statements, fmt.Sprintf("revoke all on database %s from %s cascade", ident(next.Name), role(g.Grantee)))
	}
	for _, g := range want {
		sql := fmt.Sprintf("grant %s on database %s to %s", g.Privilege, ident(next.Name), role(g.Grantee))
		if g.Grantable {
			sql += " with grant option"
		}
		statements = append(statements, sql)
	}
	if err := s.before(ctx, "give the restored database its privileges"); err != nil {
		return nil, err
	}
	for _, sql := range slices.Compact(statements) {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("give the restored database its privileges: %w", err)
		}
	}
	if have, err = grants(ctx, tx, next.OID); err != nil {
		return nil, fmt.Errorf("read the privileges of database %s: %w", next.Name, err)
	}
	held := func(all []grant, g grant, grantor bool) bool {
		return slices.ContainsFunc(all, func(h grant) bool {
			return h.Grantee == g.Grantee && h.Privilege == g.Privilege && h.Grantable == g.Grantable && (!grantor || h.Grantor == g.Grantor)
		})
	}
	for _, g := range want {
		switch {
		case !held(have, g, false):
			return nil, fmt.Errorf("give the restored database its privileges: %s of %s is not there", g.Privilege, role(g.Grantee))
		case !held(have, g, true):
			remarks = append(remarks, fmt.Sprintf("the privilege %s of %s on database %s was granted by %s and is the owner's grant now", g.Privilege, role(g.Grantee), s.name, g.Grantor))
		}
	}
	for _, g := range have {
		if !held(want, g, false) {
			return nil, fmt.Errorf("give the restored database its privileges: %s of %s is too many", g.Privilege, role(g.Grantee))
		}
	}
	return remarks, nil
}

func role(name string) string {
	if name == "" {
		return "public"
	}
	return ident(name)
}

// setting is what is set for sessions with a database, of a role or of all.
type setting struct{ Role, Name, Value string }

func settings(ctx context.Context, tx pgx.Tx, oid uint32) ([]setting, error) {
	found, err := tx.Query(ctx, `select coalesce(pg_get_userbyid(nullif(setrole, 0))::text, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		from pg_db_role_setting, unnest(setconfig) c where setdatabase = $1::oid order by 1, 2`, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByPos[setting])
}

// carrySettings makes the settings the same; what is in the way is reset.
func (s *server) carrySettings(ctx context.Context, tx pgx.Tx, was, next one) error {
	want, err := settings(ctx, tx, was.OID)
	if err != nil {
		return fmt.Errorf("read the settings of database %s: %w", was.Name, err)
	}
	have, err := settings(ctx, tx, next.OID)
	if err != nil {
		return fmt.Errorf("read the settings of database %s: %w", next.Name, err)
	}
	if slices.Equal(want, have) {
		return nil
	}
	if err := s.before(ctx, "give the restored database its settings"); err != nil {
		return err
	}
	for _, h := range have {
		if _, err := tx.Exec(ctx, h.on(next.Name)+" reset "+qualified(h.Name)); err != nil {
			return fmt.Errorf("reset %s of the restored database: %w", h.Name, err)
		}
	}
	for _, w := range want {
		value, err := w.sql()
		if err != nil {
			return fmt.Errorf("give the restored database the setting %s: %w", w.Name, err)
		}
		if _, err := tx.Exec(ctx, w.on(next.Name)+" set "+qualified(w.Name)+" = "+value); err != nil {
			return fmt.Errorf("give the restored database the setting %s: %w", w.Name, secretless(err))
		}
	}
	if have, err = settings(ctx, tx, next.OID); err != nil {
		return fmt.Errorf("read the settings of database %s: %w", next.Name, err)
	}
	for i, w := range want {
		if i >= len(have) || have[i] != w {
			return fmt.Errorf("give the restored database the setting %s: it is another one afterwards", w.Name)
		}
	}
	return nil
}

// on is the statement that changes a setting, up to its verb.
func (c setting) on(database string) string {
	if c.Role == "" {
		return "alter database " + ident(database)
	}
	return "alter role " + ident(c.Role) + " in database " + ident(database)
}

// qualified writes the name of a setting, which may have a dot.
func qualified(name string) string {
	return pgx.Identifier(strings.Split(name, ".")).Sanitize()
}

// listSettings hold lists of names, each quoted for itself, as PostgreSQL's
// pg_dump knows them.
var listSettings = []string{"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

// sql writes the value so that it is stored as it was.
func (c setting) sql() (string, error) {
	if !slices.ContainsFunc(listSettings, func(name string) bool { return strings.EqualFold(name, c.Name) }) {
		return literal(c.Value), nil
	}
	names, err := splitNames(c.Value)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "''", nil
	}
	for i, name := range names {
		names[i] = literal(name)
	}
	return strings.Join(names, ", "), nil
}

// splitNames reads a list of names as PostgreSQL stores it: `"$user", public`.
func splitNames(list string) ([]string, error) {
	var names []string
	rest := strings.TrimSpace(list)
	for rest != "" {
		var name string
		if after, quoted := strings.CutPrefix(rest, `"`); quoted {
			for {
				part, tail, ok := strings.Cut(after, `"`)
				if !ok {
					return nil, errors.New("a quoted name does not end")
				}
				name, after = name+part, tail
				if !strings.HasPrefix(after, `"`) {
					break
				}
				name, after = name+`"`, after[1:]
			}
			rest = strings.TrimSpace(after)
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		names = append(names, name)
		if rest == "" {
			return names, nil
		}
		after, ok := strings.CutPrefix(rest, ",")
		if after = strings.TrimSpace(after); !ok || after == "" {
			return nil, errors.New("a name is missing")
		}
		rest = after
	}
	return names, nil
}

// secretless is the server's refusal without the value that it may repeat.
func secretless(err error) error {
	code := codeOf(err)
	if code == "" {
		return err
	}
	if postgres.NotAllowed(err) {
		return &recovery.Error{What: "this role may not set it", Hint: "use a superuser, or reset it on the live database first", Exit: recovery.Refused, Err: err}
	}
	return &recovery.Error{What: "the server refuses its value (" + code + ")", Hint: "reset it on the live database first", Err: err}
}

// stays lists what belongs to the old database and is not the new one's: slots
// and subscriptions.
func (s *server) stays(ctx context.Context, old uint32) ([]string, error) {
	found, err := s.conn.Query(ctx, `select format('replication slot %s (%s) follows the old database: make a new one and copy its subscribers'' data again, then drop it', slot_name, plugin)
			from pg_replication_slots s join pg_database d on d.datname = s.database where d.oid = $1::oid
		union all select format('subscription %s is the old database''s and gets nothing any more: make it anew in the new one, then drop it', subname)
			from pg_subscription where subdbid = $1::oid order by 1`, old)
	if err != nil {
		return nil, fmt.Errorf("list what stays with the old database: %w", err)
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list what stays with the old database: %w", err)
	}
	return list, nil
}
