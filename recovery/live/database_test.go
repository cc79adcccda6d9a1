package live_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/live"
)

// The way of a database: loaded beside, fenced, swapped, opened, and back.
func TestDatabase(t *testing.T) {
	ctx := within(t)
	p := openPlace(t)
	root := connect(t, p.Layout.URL("postgres", "postgres"))
	run(t, root, "create role app login", "create role ghost", "create role boss",
		"alter database shop set app.token = 'very-secret ''quoted'''", `alter database shop set search_path = '$user', 'public', 'od"d', ''`,
		"alter role app in database shop set work_mem = '8MB'", "alter database shop connection limit 33",
		"comment on database shop is 'the ''shop'''", "revoke all on database shop from public", "grant connect, temp on database shop to app with grant option",
		"grant boss to app", "set role app", "grant connect on database shop to ghost", "reset role")
	wal := text(t, root, "show wal_level")
	// What the restored data name and live has not.
	inScratch := connect(t, p.scratch.URL("shop"))
	run(t, inScratch, `create role "old ""owner"""`, `create table kept (id int primary key, big text)`, `insert into kept select i, repeat('x', 100) from generate_series(1, 1000) i`,
		`alter table kept owner to "old ""owner"""`, "create materialized view sums as select count(*) from kept", "create materialized view empty as select 1 with no data")
	old := p.digest(t, "shop")
	d := p.database(t)
	e := &env{}
	loaded, err := d.Load(ctx, e, p.source())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("loads beside", func(t *testing.T) {
		if loaded.Database.Name != "shop_cb_7c31" || loaded.Database.OID == 0 || loaded.Tables == 0 || loaded.Rows < 1000 || e.items == 0 {
			t.Errorf("%+v, progress %d", loaded, e.items)
		}
		if len(loaded.Roles) != 1 || loaded.Roles[0] != `old "owner"` {
			t.Errorf("roles %q", loaded.Roles)
		}
		if n := text(t, root, "select rolcanlogin::text || (rolpassword is null)::text from pg_authid where rolname = $1", `old "owner"`); n != "falsetrue" {
			t.Errorf("the role that was made: %s", n)
		}
		p.intact(t, d, old)
		now := p.digest(t, "shop_cb_7c31")
		delete(now, "kept")
		if !maps.Equal(now, p.restored) {
			t.Error("what was loaded is not what was restored")
		}
		if entries, err := os.ReadDir(p.source().Dir); err != nil || len(entries) > 0 {
			t.Errorf("left on the way: %v, %v", entries, err)
		}
	})
	t.Run("knows what it has loaded", func(t *testing.T) {
		again, err := d.Load(ctx, &env{}, p.source())
		if err != nil || again.Database != loaded.Database || again.Rows != loaded.Rows || len(again.Roles) != 1 {
			t.Errorf("%+v, %v", again, err)
		}
	})
	t.Run("loads anew from another restored database", func(t *testing.T) {
		other := p.source()
		if err := inScratch.Close(ctx); err != nil { // a template has no sessions
			t.Fatal(err)
		}
		run(t, connect(t, p.scratch.URL("postgres")), `create database other template shop`)
		run(t, connect(t, p.scratch.URL("other")), `update kept set big = 'as it was at another moment'`)
		other.Address = p.scratch.URL("other")
		again, err := d.Load(ctx, &env{}, other)
		if err != nil || again.Rows != loaded.Rows {
			t.Fatalf("%+v, %v", again, err)
		}
		if big := text(t, connect(t, p.Layout.URL("postgres", "shop_cb_7c31")), "select min(big) from kept"); big != "as it was at another moment" {
			t.Errorf("what stands beside live is of the first: %q", big)
		}
		if loaded, err = d.Load(ctx, &env{}, p.source()); err != nil || loaded.Database.OID == again.Database.OID {
			t.Fatalf("back to the first: %+v, %v", loaded, err)
		}
	})
	d.New = loaded.Database.OID
	t.Run("is not swapped while it is open", func(t *testing.T) {
		if _, err := d.Swap(ctx); err == nil {
			t.Fatal("swapped")
		} else {
			refused(t, err, "is open")
		}
		p.intact(t, d, old)
	})
	t.Run("checks what can be checked before", func(t *testing.T) {
		remarks, err := d.Check(ctx)
		if err != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "granted by app") {
			t.Errorf("%q, %v", remarks, err)
		}
		p.intact(t, d, old)
	})
	app := connect(t, p.Layout.URL("app", "shop"))
	run(t, app, "begin", "select 1")
	fenced, err := d.Fence(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(fenced.Ended) == 0 || fenced.At.IsZero() || fenced.LSN == 0 {
		t.Errorf("%+v", fenced)
	}
	if _, err := app.Exec(ctx, "select 1"); err == nil {
		t.Error("the session goes on")
	}
	if wal == "logical" {
		t.Log("wal_level is logical")
	}
	swapped, err := d.Swap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if swapped.Live != (live.Named{Name: "shop", OID: d.New}) || swapped.Aside != (live.Named{Name: "shop_old_7c31", OID: d.Was}) {
		t.Errorf("%+v", swapped)
	}
	t.Run("has everything that a database has", func(t *testing.T) {
		for name, query := range map[string]string{
			"owner":      "select pg_get_userbyid(datdba)::text from pg_database where oid = $1::oid",
			"limit":      "select datconnlimit::text from pg_database where oid = $1::oid",
			"comment":    "select shobj_description($1::oid, 'pg_database')",
			"privileges": "select string_agg(distinct format('%s %s %s', grantee::regrole, privilege_type, is_grantable), ', ') from pg_database, aclexplode(datacl) where oid = $1::oid",
			"settings":   "select string_agg(format('%s %s', setrole::regrole, setconfig), ', ' order by setrole) from pg_db_role_setting where setdatabase = $1::oid",
		} {
			if was, is := text(t, root, query, d.Was), text(t, root, query, d.New); was != is || was == "" {
				t.Errorf("%s was %q and is %q", name, was, is)
			}
		}
	})
	t.Run("tells what it has done", func(t *testing.T) {
		again, err := d.Swap(ctx)
		if err != nil || again.Live != swapped.Live {
			t.Errorf("%+v, %v", again, err)
		}
	})
	if err := d.Unfence(ctx); err != nil {
		t.Fatal(err)
	}
	now := p.digest(t, "shop")
	delete(now, "kept")
	if !maps.Equal(now, p.restored) {
		t.Error("what is live is not what was restored")
	}
	t.Run("is not dropped", func(t *testing.T) {
		if err := d.Drop(ctx); err != nil {
			t.Fatal(err)
		}
		if all := p.databases(t); strings.Count(all, "shop") != 2 {
			t.Errorf("databases: %s", all)
		}
	})
	t.Run("goes back", func(t *testing.T) {
		if _, err := d.SwapBack(ctx); err == nil {
			t.Fatal("it is open, and what is written to it now would be lost")
		} else {
			refused(t, err, "is open")
		}
		// A fence that fails is no switch back: what came back stays, and is open.
		failing := d
		failing.Before = func(context.Context, string) error { return recovery.Errorf("wait", "the lease is lost") }
		if _, err := failing.Fence(ctx); err == nil || !strings.Contains(err.Error(), "the lease is lost") {
			t.Errorf("error %v", err)
		}
		if closed, err := d.Closed(ctx); err != nil || closed {
			t.Errorf("closed: %v, %v; databases: %s", closed, err, p.databases(t))
		}
		still := p.digest(t, "shop")
		delete(still, "kept")
		if !maps.Equal(still, p.restored) {
			t.Error("what is live is not what was restored")
		}
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
		back, err := d.SwapBack(ctx)
		if err != nil || back.Live.OID != d.Was || back.Aside.Name != "shop_cb_7c31" {
			t.Errorf("%+v, %v", back, err)
		}
		if err := d.Unfence(ctx); err != nil {
			t.Fatal(err)
		}
		p.intact(t, d, old)
	})
	t.Run("and forth again", func(t *testing.T) {
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Swap(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.Undo(ctx); err != nil {
			t.Fatal(err)
		}
		p.intact(t, d, old)
	})
	t.Run("what was open is kept when it is given back", func(t *testing.T) {
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Swap(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.Unfence(ctx); err != nil {
			t.Fatal(err)
		}
		user := connect(t, p.Layout.URL("postgres", "shop"))
		run(t, user, "create table written as select 'since' as says")
		// One that cannot be given back is live still, and open.
		failing := d
		failing.Before = func(_ context.Context, what string) error {
			if strings.HasPrefix(what, "end the sessions") {
				return errors.New("they may not be ended")
			}
			return nil
		}
		for name, undo := range map[string]func(context.Context) error{"undo": failing.Undo, "undo what was opened": failing.UndoOpened} {
			if err := undo(ctx); err == nil || !strings.Contains(err.Error(), "may not be ended") {
				t.Errorf("%s: error %v", name, err)
			}
			if all := p.databases(t); !strings.Contains(all, fmt.Sprintf("%d shop t", d.New)) {
				t.Errorf("%s: what was live is not open: %s", name, all)
			}
		}
		for range 2 {
			if err := d.UndoOpened(ctx); err != nil {
				t.Fatal(err)
			}
			if err := d.Undo(ctx); err != nil { // the exchange's own claim
				t.Fatal(err)
			}
			refused(t, d.Drop(ctx), "was open to its users")
		}
		p.intact(t, d, old)
		run(t, root, "alter database shop_cb_7c31 allow_connections true")
		beside := connect(t, p.Layout.URL("postgres", "shop_cb_7c31"))
		if got := text(t, beside, "select says from written"); got != "since" {
			t.Errorf("they wrote %q", got)
		}
		if err := beside.Close(ctx); err != nil {
			t.Fatal(err)
		}
		run(t, root, "comment on database shop_cb_7c31 is 'comeback 7c31: loaded, not live'")
	})
	t.Run("and is removed", func(t *testing.T) {
		for range 2 {
			if err := d.Drop(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if all := p.databases(t); strings.Contains(all, "_cb_") {
			t.Errorf("databases: %s", all)
		}
		p.intact(t, d, old)
	})
}

// What the restored database is, what the live one is called and where it lies: the
// new one has both, and what cannot be the same is told.
func (w *two) carries(t *testing.T) {
	ctx := within(t)
	spaces := filepath.Join(w.dir, "fast")
	if err := os.Mkdir(spaces, 0o700); err != nil {
		t.Fatal(err)
	}
	if owner := w.live.Cluster().Owner; owner.UID >= 0 {
		if err := os.Chown(spaces, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	run(t, w.root, "create role app", "create tablespace fast location '"+spaces+"'", "create database catalogue tablespace fast owner app",
		"comment on database catalogue is 'what we sell'", "alter database catalogue set search_path = shop, public",
		// No provider is loaded: that is how a server without sepgsql has them.
		"insert into pg_shseclabel select oid, 'pg_database'::regclass, 'selinux', 'system_u:object_r:sepgsql_db_t:s0' from pg_database where datname = 'catalogue'")
	scratch := connect(t, w.scratch.URL("postgres"))
	// Databases have a provider of their locales from 15 on, with rules from 16 on.
	major, err := strconv.Atoi(text(t, scratch, "select (current_setting('server_version_num')::int4 / 10000)::text"))
	if err != nil {
		t.Fatal(err)
	}
	libc, other, locale := "", "UTF8  C ", "locale 'C'"
	switch {
	case major >= 16:
		libc, other, locale = "c", "UTF8 i de-AT &a < g", "locale_provider icu icu_locale 'de-AT' icu_rules '&a < g'"
	case major == 15:
		libc, other, locale = "c", "UTF8 i de-AT ", "locale_provider icu icu_locale 'de-AT'"
	}
	run(t, scratch, "create role app", "create database catalogue template template0 encoding 'LATIN1' locale 'C'", "create database other template template0 encoding 'UTF8' "+locale)
	run(t, connect(t, w.scratch.URL("catalogue")), "create table goods as select 1 as id, 'M\u00fchle' as says", "create extension pg_trgm version '1.4'", "create extension hstore",
		"create publication news for table goods", "create schema shop", "alter default privileges for role app in schema shop grant select on tables to public",
		"select lo_from_bytea(4711, 'a picture')", "grant select on large object 4711 to app", "comment on table goods is 'what we sell'",
		"create collation german (provider = icu, locale = 'de')", "create statistics s on id, says from goods", "create foreign data wrapper nothing", "create server elsewhere foreign data wrapper nothing")
	anyLocale := false
	of := func(t *testing.T, name, restored string) live.Database {
		t.Helper()
		d := w.database(t, name)
		from := w.source()
		from.AnyLocale = anyLocale
		from.Address = w.scratch.URL(restored)
		l, err := d.Load(ctx, &env{}, from)
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(l.Remarks, "; "); restored == "catalogue" && !strings.Contains(said, "extension pg_trgm was of version 1.4 and is of ") || strings.Contains(said, "hstore") {
			t.Errorf("it says %q", said)
		}
		d.New = l.Database.OID
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
		swapped, err := d.Swap(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(swapped.Remarks, "; "); (name == "catalogue") != strings.Contains(said, "security label of selinux") {
			t.Errorf("it says %q", said)
		}
		if err := d.Unfence(ctx); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := of(t, "catalogue", "catalogue")
	inside := connect(t, w.live.URL("catalogue"))
	for query, want := range map[string]string{
		"select format('%s %s %s %s', pg_encoding_to_char(encoding), datcollate, datctype, to_jsonb(d) ->> 'datlocprovider') from pg_database d where datname = current_database()":                        "LATIN1 C C " + libc,
		"select format('%s %s %s', datdba::regrole, spcname, shobj_description(d.oid, 'pg_database')) from pg_database d join pg_tablespace t on t.oid = dattablespace where datname = current_database()": "app fast what we sell",
		"show search_path":              "shop, public",
		"select says from public.goods": "M\u00fchle",
		"select string_agg(extname, ' ' order by extname) from pg_extension":                                           "hstore pg_trgm plpgsql",
		"select string_agg(pubname || ' ' || tablename, ', ') from pg_publication_tables":                              "news goods",
		"select format('%s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclacl) from pg_default_acl": "app shop {=r/app}",
		"select format('%s %s', convert_from(lo_get(oid), 'UTF8'), lomacl) from pg_largeobject_metadata":               "a picture {postgres=rw/postgres,app=r/postgres}",
		"select obj_description('public.goods'::regclass)":                                                             "what we sell",
		"select collname::text from pg_collation where collname = 'german'":                                            "german",
		"select stxname::text from pg_statistic_ext":                                                                   "s",
		"select srvname::text from pg_foreign_server":                                                                  "elsewhere",
	} {
		if got := text(t, inside, query); got != want {
			t.Errorf("%s\nis %q, want %q", query, got, want)
		}
	}
	inside.Close(ctx)
	if err := errors.Join(d.Undo(ctx), d.Drop(ctx)); err != nil {
		t.Fatal(err)
	}
	before := localeOf(t, w.root, "shop")
	for asLive, want := range map[bool]string{false: other, true: before} { // its own, or where the dump said nothing the live one's
		anyLocale = asLive
		d = of(t, "shop", "other")
		if got := localeOf(t, w.root, "shop"); got != want || before == other {
			t.Errorf("as the live one %v: the restored database was %q, the live one %q, and it is %q", asLive, other, before, got)
		}
		if err := errors.Join(d.Undo(ctx), d.Drop(ctx)); err != nil {
			t.Fatal(err)
		}
	}
}

// localeOf is the encoding, provider, locale and rules of a database.
func localeOf(t *testing.T, conn *pgx.Conn, name string) string {
	t.Helper()
	return text(t, conn, `select format('%s %s %s %s', pg_encoding_to_char(encoding), to_jsonb(d) ->> 'datlocprovider', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', datcollate), to_jsonb(d) ->> 'daticurules')
		from pg_database d where datname = $1`, name)
}
