package dump_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// archived restores a dump of a database of the source, in any form, and gives the outcome.
// The database is gone after the test.
func archived(t *testing.T, database string, options ...string) recovery.Outcome {
	t.Helper()
	key := "a.sql"
	if strings.Contains(strings.Join(options, " "), "--format=") {
		key = "a.dump"
	}
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, key, dumpOf(t, database, options...))
	if err != nil {
		t.Fatalf("%v (%s)", err, recovery.HintOf(err))
	}
	if key == "a.dump" { // an archive has its database's name
		t.Cleanup(func() {
			conn, err := empty.Connect(context.WithoutCancel(t.Context()), "postgres")
			if err == nil {
				_, err = conn.Exec(context.WithoutCancel(t.Context()), "drop database "+database+" with (force)")
				conn.Close(context.WithoutCancel(t.Context()))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	return o
}

// A dump of the schema public, or one of a major before 11, says that it makes that schema,
// which every database has.
func TestRestore_SchemaPublic(t *testing.T) {
	filled(t, "publicly", `create table t (id integer primary key, note text); insert into t values (1, 'one');
		alter schema public owner to app; grant usage on schema public to reporting; comment on schema public is 'of the app'`)
	for _, options := range []string{"--format=custom", "--format=tar --inserts", "--format=custom --quote-all-identifiers", "--quote-all-identifiers", "--inserts"} {
		t.Run(options, func(t *testing.T) {
			url := archived(t, "publicly", append(strings.Fields(options), "--schema=public")...).Bindings[0].URL
			if diff := cmp.Diff(schema(t, source.URL("publicly")), schema(t, url)); diff != "" {
				t.Errorf("the schema differs (-source +comeback):\n%s", diff)
			}
			if got := ask(t, url, "select string_agg(id || note, ',') from t"); got != "1one" {
				t.Errorf("the rows are %q", got)
			}
		})
	}
}

// What roles may do is told to the server behind keys and indexes, as pg_restore does: an
// index is made as the owner of its table, who may call less in the end than when it was made.
func TestRestore_ArchiveRights(t *testing.T) {
	filled(t, "rights", `create table t (id integer primary key, note text); insert into t values (1, 'one');
		create function norm(text) returns text language plpgsql immutable as $$ begin return lower($1); end $$;
		create index t_norm on t (public.norm(note));
		create materialized view m as select note from t; create materialized view n as select norm(note) from t; alter materialized view m owner to app; grant select on t to app;
		create view v as select 1; alter default privileges in schema public grant select on tables to reporting;
		alter table t owner to app; revoke all on function norm from public; grant execute on function norm to reporting; grant select on v, m to reporting; revoke all on t from app; grant select on t to app`)
	for _, options := range []string{"--format=custom", "--format=custom --inserts"} {
		t.Run(options, func(t *testing.T) {
			o := archived(t, "rights", strings.Fields(options)...)
			if _, asScript := o.Facts["statements"]; asScript == strings.Contains(options, "--inserts") {
				t.Errorf("as a script: %t", asScript)
			}
			if diff := cmp.Diff(schema(t, source.URL("rights")), schema(t, o.Bindings[0].URL)); diff != "" {
				t.Errorf("the schema differs (-source +comeback):\n%s", diff)
			}
			if diff := cmp.Diff(digests(t, source.URL("rights")), digests(t, o.Bindings[0].URL)); diff != "" {
				t.Errorf("the rows differ (-source +comeback):\n%s", diff)
			}
		})
	}
}

// A function may be called begin, and name in its body what is: nothing behind it is part of it.
func TestRestore_CalledBegin(t *testing.T) {
	body := "begin atomic select b.begin from b; select case begin when 1 then 2 end from b; end"
	if source.Cluster().Tools.Major < 14 { // it has no functions in the words of the standard
		body = "language sql as 'select b.begin from b'"
	}
	filled(t, "begins", `create table b (begin integer); insert into b values (1);
		create function begin() returns integer language sql as 'select 1'; create function a() returns integer `+body+`;
		create table c (id integer primary key); alter table c owner to app; grant select on b to reporting`)
	for _, options := range []string{"--format=custom", "--format=custom --inserts", "--encoding=UTF8"} {
		t.Run(options, func(t *testing.T) {
			o := archived(t, "begins", strings.Fields(options)...)
			if diff := cmp.Diff(schema(t, source.URL("begins")), schema(t, o.Bindings[0].URL)); diff != "" {
				t.Errorf("the schema differs (-source +comeback):\n%s", diff)
			}
		})
	}
}

// What a materialized view has of another server, which scratch does not reach, and whatever
// is built on it, is an exception, also where pg_restore does the rest.
func TestRestore_ArchiveOfUnreachable(t *testing.T) {
	filled(t, "reaching", "create extension postgres_fdw; create table near (id integer); insert into near values (1), (2)")
	dir := ask(t, source.URL("reaching"), "select split_part(current_setting('unix_socket_directories'), ',', 1)")
	port := ask(t, source.URL("reaching"), "show port")
	if err := query(t.Context(), "reaching", fmt.Sprintf(`create server far foreign data wrapper postgres_fdw options (host '%s', port '%s', dbname 'reaching'); create user mapping for postgres server far;
		create foreign table far (id integer) server far options (table_name 'near');
		create materialized view fetched as select id from far; create materialized view built as select count(*) from fetched; create materialized view own as select id from near;
		alter server far options (set host '/nonexistent/of the source')`, dir, port)); err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{"--format=custom --inserts", "--format=custom", "--encoding=UTF8"} {
		t.Run(options, func(t *testing.T) {
			o := archived(t, "reaching", strings.Fields(options)...)
			exceptions := strings.Join(o.Exceptions, "\n")
			for _, want := range []string{`REFRESH MATERIALIZED VIEW public.fetched: could not connect to server "far"`, `REFRESH MATERIALIZED VIEW public.built: materialized view "fetched" has not been populated`} {
				if !strings.Contains(exceptions, want) {
					t.Errorf("the exceptions do not tell of %q: %q", want, o.Exceptions)
				}
			}
			if got := ask(t, o.Bindings[0].URL, "select string_agg(relname || ' ' || relispopulated, ',' order by relname) || ' ' || (select sum(id) from near) || (select sum(id) from own) from pg_class where relkind = 'm'"); got != "built false,fetched false,own true 33" {
				t.Errorf("restored is %s", got)
			}
		})
	}
}

// What belongs to the source's machine is left out of archives as it is out of scripts.
func TestRestore_ArchiveLeavesOut(t *testing.T) {
	filled(t, "labelled", `create table t (id integer primary key, note text); insert into t values (1, 'one'); create view v as select id from t;
		insert into pg_seclabel values ('t'::regclass, 'pg_class'::regclass, 2, 'nobody', 'MASKED'), ('v'::regclass, 'pg_class'::regclass, 0, 'nobody', 'MASKED');
		insert into pg_db_role_setting select oid, 0, '{lc_monetary=tlh_QO.UTF-8,no_such_setting=1,work_mem=5MB}' from pg_database where datname = 'labelled'`)
	for _, options := range []string{"--format=custom --inserts", "--format=custom"} {
		t.Run(options, func(t *testing.T) {
			o := archived(t, "labelled", strings.Fields(options)...)
			for _, want := range []string{"SECURITY LABEL FOR nobody ON COLUMN public.t.note", "SECURITY LABEL FOR nobody ON VIEW public.v"} {
				if !strings.Contains(strings.Join(o.Exceptions, "\n"), want) {
					t.Errorf("the exceptions do not tell of %q: %q", want, o.Exceptions)
				}
			}
			for _, want := range []string{"ALTER DATABASE labelled SET lc_monetary", "ALTER DATABASE labelled SET no_such_setting"} {
				if !strings.Contains(strings.Join(o.Remarks, "\n"), want) {
					t.Errorf("the remarks do not tell of %q: %q", want, o.Remarks)
				}
			}
			if got := ask(t, o.Bindings[0].URL, "select note || current_setting('work_mem') from t"); got != "one5MB" {
				t.Errorf("restored is %s", got)
			}
		})
	}
}
