package dump_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storagetest"
)

// plainDump is a script around some statements, as pg_dump frames it.
func plainDump(version string, statements ...string) []byte {
	return fmt.Appendf(nil, "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version %s\n-- Dumped by pg_dump version %s\n\n%s\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n",
		version, version, strings.Join(statements, "\n"))
}

const rows = "CREATE TABLE public.t (id integer, note text);\nCOPY public.t (id, note) FROM stdin;\n1\tone\n2\ttwo\n\\.\n"

// Each bad dump is refused with a sentence and a next step; nothing counts as
// restored, and nothing is left.
func TestRestore_BadDumps(t *testing.T) {
	major := source.Cluster().Tools.Major
	own := fmt.Sprintf("%d.1", major)
	whole := dumpOf(t, "shop")
	zipped := gz(t, whole)
	large := largeDump()
	custom := dumpOf(t, "shop", "--format=custom")
	tar := dumpOf(t, "shop", "--format=tar")
	marker := t.TempDir() + "/pwned"
	for name, test := range map[string]struct {
		key     string
		content []byte
		says    []string
		hint    string
		exit    recovery.Exit
	}{
		"gzip cut off":             {"a.sql.gz", half(zipped), []string{"a.sql.gz is cut off", "end before their end"}, "older dump", recovery.Failed},
		"gzip with a flipped byte": {"a.sql.gz", flip(zipped, len(zipped)-6), []string{"a.sql.gz is damaged", "checksum"}, "another dump", recovery.Failed},
		"zstd cut off":             {"a.sql.zst", half(zst(t, large)), []string{"a.sql.zst is cut off"}, "older dump", recovery.Failed},
		"pg_dump died":             {"a.sql.gz", gz(t, bytes.TrimSuffix(plainDump(own, rows), []byte("--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"))), []string{"a.sql.gz is not whole", "dump complete"}, "older dump", recovery.Failed},
		"pg_dump died in data":     {"a.sql.gz", gz(t, whole[:bytes.Index(whole, []byte("order 17\t"))]), []string{"a.sql.gz is not whole", "cut off in COPY data"}, "older dump", recovery.Failed},
		"pg_dump died in a body":   {"a.sql.gz", gz(t, whole[:bytes.Index(whole, []byte("a comment; with"))]), []string{"a.sql.gz is not whole", "cut off in the statement"}, "older dump", recovery.Failed},
		"wrong SQL":                {"a.sql.gz", gz(t, plainDump(own, rows, "CREATE TABLE public.t (id integer);")), []string{"line 16", `CREATE TABLE public.t (id integer)`, `relation "t" already exists`}, "that line", recovery.Failed},
		"wrong row":                {"a.sql.gz", gz(t, plainDump(own, "CREATE TABLE public.t (id integer);\nCOPY public.t (id) FROM stdin;\n1\none\n\\.\n")), []string{"line 13", "COPY public.t", "invalid input syntax for type integer"}, "that line", recovery.Failed},
		"shell command":            {"a.sql.gz", gz(t, plainDump(own, `\! touch `+marker, rows)), []string{"refused", "line 10", `\!`}, "remove that line", recovery.Refused},
		"output to a program":      {"a.sql.gz", gz(t, plainDump(own, `\o |touch `+marker, rows)), []string{"refused", `\o`}, "remove that line", recovery.Refused},
		"copy from a program":      {"a.sql.gz", gz(t, plainDump(own, `\copy t from program 'touch `+marker+`'`, rows)), []string{"refused", `\copy`}, "remove that line", recovery.Refused},
		"connect elsewhere":        {"a.sql.gz", gz(t, plainDump(own, `\connect "host=db1 dbname=shop"`, rows)), []string{"refused", `\connect`}, "remove that line", recovery.Refused},
		"command in a statement":   {"a.sql.gz", gz(t, plainDump(own, rows, `select 'touch `+marker+`' \g |sh`)), []string{"refused", "inside a statement"}, "as pg_dump writes it", recovery.Refused},
		"COPY PROGRAM":             {"a.sql.gz", gz(t, plainDump(own, rows, `COPY t FROM PROGRAM 'touch `+marker+`';`)), []string{"refused", "runs a program"}, "remove that statement", recovery.Refused},
		"COPY to a file":           {"a.sql.gz", gz(t, plainDump(own, rows, `COPY t TO '`+marker+`';`)), []string{"refused", "file on the server"}, "remove that statement", recovery.Refused},
		"subscription":             {"a.sql.gz", gz(t, plainDump(own, rows, `CREATE SUBSCRIPTION s CONNECTION 'host=db1' PUBLICATION p;`)), []string{"refused", "slot"}, "remove that statement", recovery.Refused},
		"missing extension":        {"a.sql.gz", gz(t, plainDump(own, "CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;", rows)), []string{"line 10", "CREATE EXTENSION", "postgis"}, fmt.Sprintf("postgresql-%d-postgis-3", major), recovery.Failed},
		"custom cut off":           {"a.dump", custom[:len(custom)-3000], []string{"restore a.dump: ", "end of file"}, "cut off", recovery.Failed},
		"custom without contents":  {"a.dump", custom[:300], []string{"read the contents of a.dump", "end of file"}, "another dump", recovery.Failed},
		"tar cut off":              {"a.tar", tar[:len(tar)-20_000], []string{"a.tar"}, "", recovery.Failed},
		"cluster of several":       {"all.sql", clusterDump("a", "b"), []string{"several databases: a, b"}, "set database", recovery.Usage},
		"cluster cut off":          {"all.sql.gz", gz(t, bytes.TrimSuffix(clusterDump("c"), []byte("--\n-- PostgreSQL database cluster dump complete\n--\n"))), []string{"cluster dump complete", "is missing"}, "older dump", recovery.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, test.key, test.content)
			if err == nil {
				t.Fatal("it was restored")
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			hint := recovery.HintOf(err)
			if !strings.Contains(hint, test.hint) || hint == "" {
				t.Errorf("for %q the next step is %q, want %q", err, hint, test.hint)
			}
			if strings.Contains(err.Error(), "exit status") && !strings.Contains(err.Error(), "error: ") {
				t.Errorf("it says %q (%s)", err, hint)
			}
			if got := recovery.ExitOf(err); got != test.exit {
				t.Errorf("exit code %d, want %d", got, test.exit)
			}
			if _, err := os.Lstat(marker); err == nil {
				t.Error("the dump has run a program")
			}
		})
	}
}

// into restores an object into a server that runs already.
func into(t *testing.T, server *postgres.Server, c recovery.Component, key string, content []byte) (recovery.Outcome, error) {
	t.Helper()
	return intoAll(t, server, c, map[string][]byte{key: content})
}

// intoAll restores a dump of several objects into a server that runs already.
func intoAll(t *testing.T, server *postgres.Server, c recovery.Component, objects map[string][]byte) (recovery.Outcome, error) {
	t.Helper()
	store := directory(t, objects)
	return intoBy(t, plainEnv{store: store}, server, c, store)
}

// intoBy restores the dump in a store in an environment.
func intoBy(t *testing.T, env recovery.Env, server *postgres.Server, c recovery.Component, store storage.Store) (recovery.Outcome, error) {
	t.Helper()
	s := survey(t, c, store)
	if len(s.Backups) != 1 {
		t.Fatalf("the survey finds %+v", s)
	}
	dir, err := os.MkdirTemp("", "dump-into-") // which the server's user can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dump.RestoreInto(t.Context(), env, server, dir, s.Backups[0], c)
}

// A directory archive with a file that is cut off is refused, though pg_restore
// would take it as whole.
func TestRestore_CutOffDirectory(t *testing.T) {
	for name, test := range map[string]struct {
		is   func(name string) bool // the largest such file is cut
		cut  func([]byte) []byte
		says string
	}{
		"rows":                  {func(name string) bool { return strings.Trim(name, "0123456789") == ".dat.gz" }, func([]byte) []byte { return nil }, "it is empty"},
		"large object":          {func(name string) bool { return strings.HasPrefix(name, "blob_") }, half, "the compressed data end before their end"},
		"list of large objects": {func(name string) bool { return strings.HasSuffix(name, ".toc") }, half, "and its list names 0"},
	} {
		t.Run(name, func(t *testing.T) {
			files, key := directoryDump(t), ""
			for k := range files {
				if test.is(path.Base(k)) && len(files[k]) > len(files[key]) {
					key = k
				}
			}
			files[key] = test.cut(files[key])
			_, err := intoAll(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, files)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(recovery.HintOf(err), "older dump") {
				t.Errorf("with %q cut off: %v (%s)", key, err, recovery.HintOf(err))
			}
		})
	}
}

// A whole run with a bad dump ends as failed, counts nothing as restored and
// leaves nothing behind, which enginetest looks for.
func TestRestore_BadDumpsInARun(t *testing.T) {
	zipped := gz(t, largeDump())
	custom := dumpOf(t, "shop", "--format=custom")
	for name, test := range map[string]struct {
		key     string
		content []byte
		says    string
		exit    recovery.Exit
		result  recovery.Result
	}{
		"gzip cut off":   {"a.sql.gz", half(zipped), "a.sql.gz is cut off", recovery.Failed, recovery.ResultFailed},
		"custom cut off": {"a.dump", custom[:len(custom)-3000], "end of file", recovery.Failed, recovery.ResultFailed},
		"shell command":  {"a.sql", plainDump("15.1", `\! sh`), "refused", recovery.Refused, recovery.ResultRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end, restored := run(t, enginetest.Options{}, directory(t, map[string][]byte{test.key: test.content}))
			says, hint := enginetest.Failure(end)
			if !strings.Contains(says, test.says) || hint == "" {
				t.Errorf("it says %q (%s), want %q", says, hint, test.says)
			}
			if end.Result != test.result || len(end.Bindings) > 0 || restored != "" {
				t.Errorf("the run ended as %s with %v", end.Result, end.Bindings)
			}
			if st := step(t, end, "restore"); st.ExitCode != test.exit {
				t.Errorf("exit code %d, want %d", st.ExitCode, test.exit)
			}
		})
	}
}

// largeDump is more than a survey reads, and hardly shrinks.
func largeDump() []byte {
	random := rand.NewChaCha8([32]byte{})
	var b strings.Builder
	b.WriteString("CREATE TABLE public.t (id integer, note text);\nCOPY public.t (id, note) FROM stdin;\n")
	for id := range 40_000 {
		fmt.Fprintf(&b, "%d\t%x\n", id, random.Uint64())
	}
	b.WriteString("\\.\n")
	return plainDump(fmt.Sprintf("%d.1", source.Cluster().Tools.Major), b.String())
}

// half is content without its end.
func half(content []byte) []byte { return content[:len(content)/2] }

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// newer is an archive in a format that does not exist yet.
func newer(archive []byte) []byte {
	b := bytes.Clone(archive)
	b[6] = 99
	return b
}

// clusterDump is pg_dumpall's frame around some databases.
func clusterDump(databases ...string) []byte {
	var b bytes.Buffer
	b.WriteString("--\n-- PostgreSQL database cluster dump\n--\n\n\\connect postgres\n\nCREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'x';\n")
	for _, name := range databases {
		fmt.Fprintf(&b, "CREATE DATABASE %s WITH TEMPLATE = template0 ENCODING = 'UTF8';\n\\connect %s\n%s", name, name, plainDump("15.1", rows, "GRANT SELECT ON t TO app;"))
	}
	b.WriteString("--\n-- PostgreSQL database cluster dump complete\n--\n")
	return b.Bytes()
}

// What cannot hold in scratch is left out and listed, and the rest restores.
func TestRestore_LeavesOut(t *testing.T) {
	for name, test := range map[string]struct {
		dump       []byte
		database   string
		remarks    []string
		exceptions []string
	}{
		"the machine's": {
			dump: plainDump("15.1", "ALTER SYSTEM SET archive_command = 'touch /tmp/x';", "SET default_tablespace = fast;",
				"CREATE TABLESPACE fast LOCATION '/mnt/fast';", rows, "ALTER TABLE t OWNER TO nobody_knows;", "BEGIN;", "GRANT SELECT ON t TO in_transaction;", "COMMIT;"),
			remarks: []string{"ALTER SYSTEM SET archive_command", "SET default_tablespace", "CREATE TABLESPACE", "without login: in_transaction, nobody_knows"},
		},
		"a newer server's": {
			dump:    plainDump("99.1", "SET transaction_timeout_of_99 = 0;", rows),
			remarks: []string{"transaction_timeout_of_99"},
		},
		"settings that this machine does not have": {
			dump: plainDump("15.1", "CREATE ROLE settled;", "ALTER ROLE settled SET no_such_setting TO 'on';", "CREATE DATABASE settled WITH TEMPLATE = template0 ENCODING = 'UTF8';",
				"ALTER DATABASE settled SET lc_monetary TO 'tlh_QO.UTF-8';", "ALTER DATABASE settled SET no_such_setting TO '1';", "ALTER ROLE settled IN DATABASE settled SET lc_time TO 'tlh_QO.UTF-8';", `\connect settled`, rows),
			remarks: []string{"ALTER ROLE settled SET no_such_setting TO '…' (unrecognized", `ALTER DATABASE settled SET lc_monetary TO '…' (invalid value for parameter "lc_monetary"`,
				"ALTER DATABASE settled SET no_such_setting TO '…' (unrecognized", "ALTER ROLE settled IN DATABASE settled SET lc_time"},
		},
		"labels of a library": {
			dump:       plainDump("15.1", rows, "SECURITY LABEL FOR nobody ON COLUMN public.t.note IS 'MASKED';", "CREATE ROLE masked;", "SECURITY LABEL FOR nobody ON ROLE masked IS 'MASKED';"),
			exceptions: []string{`left out: line 16: SECURITY LABEL FOR nobody ON COLUMN public.t.note IS '…' (security label provider "nobody" is not loaded)`, "ON ROLE masked"},
		},
		"an unknown locale": {
			dump:       plainDump("15.1", "CREATE DATABASE klingon WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'tlh_QO.UTF-8';", `\connect klingon`, rows),
			exceptions: []string{"klingon", "tlh_QO", "sort"},
		},
		"other databases": {
			dump:     bytes.ReplaceAll(clusterDump("billing", "goods", "wiki"), []byte("GRANT SELECT ON t TO app;"), []byte("GRANT SELECT ON t TO app;\nGRANT CONNECT ON DATABASE billing TO app;")),
			database: "goods",
			remarks:  []string{"CREATE DATABASE billing", "CREATE DATABASE wiki", "database is goods", "GRANT CONNECT ON DATABASE billing TO app (it is about a database that was not asked for)"},
		},
		"an encoding that is not UTF8": {
			dump:    plainDump("15.1", "SET client_encoding = 'LATIN1';", rows),
			remarks: []string{"written in LATIN1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := recovery.Component{Name: t.Name(), Kind: recovery.Postgres}
			if test.database != "" {
				c.Settings = recovery.Settings{"database": {test.database}}
			}
			o, err := into(t, empty, c, "a.sql", test.dump)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.remarks {
				if !strings.Contains(strings.Join(o.Remarks, "\n"), want) {
					t.Errorf("the remarks do not tell of %q: %q", want, o.Remarks)
				}
			}
			for _, want := range test.exceptions {
				if !strings.Contains(strings.Join(o.Exceptions, "\n"), want) {
					t.Errorf("the exceptions do not tell of %q: %q", want, o.Exceptions)
				}
			}
			if len(test.exceptions) == 0 && len(o.Exceptions) > 0 {
				t.Errorf("exceptions %q", o.Exceptions)
			}
			if got := ask(t, o.Bindings[0].URL, "select string_agg(id || note, ',' order by id) from t"); got != "1one,2two" {
				t.Errorf("the rows are %q", got)
			}
			lists := 0
			for _, r := range slices.Concat(o.Remarks, o.Exceptions) {
				if strings.HasPrefix(r, "left out: ") {
					lists++
				}
			}
			says := "took every statement of it;"
			if lists > 0 {
				says = fmt.Sprintf("took every statement of it but the %d listed as left out;", lists)
			}
			if !strings.Contains(o.Reached.Evidence[0], says) {
				t.Errorf("of %d statements that are left out the evidence says %q", lists, o.Reached.Evidence)
			}
		})
	}
}

// What a source's own rights, roles and limits make of a dump does not keep it from coming
// back.
func TestRestore_RolesAndLimits(t *testing.T) {
	major := source.Cluster().Tools.Major
	trigger := "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;\nCREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION public.f();\n"
	triggersOwner := "select evtowner::regrole || ' ' || rolsuper || ' ' || rolcanlogin from pg_event_trigger join pg_roles r on r.oid = evtowner"
	denied := []string{rows, "CREATE SCHEMA closed;", "SET SESSION AUTHORIZATION 'inserts';", "CREATE TABLE closed.u (id integer);", "CREATE TABLE closed.xids AS SELECT txid_current() AS id;"}
	for i := range 1000 {
		denied = append(denied, fmt.Sprintf("INSERT INTO closed.u VALUES (%d);", i))
	}
	denied = append(denied, "INSERT INTO closed.xids SELECT txid_current();", "RESET SESSION AUTHORIZATION;")
	for name, test := range map[string]struct {
		since     int // the major that has it
		dump      []byte
		ask, want string
	}{
		"numbers of a role": {dump: plainDump("15.1", "CREATE ROLE limited;", "ALTER ROLE limited WITH NOSUPERUSER LOGIN CONNECTION LIMIT 20 PASSWORD 'x' VALID UNTIL '2040-01-01';", rows),
			ask: "select rolconnlimit || ' ' || rolcanlogin from pg_roles where rolname = 'limited'", want: "20 false"},
		"settings of another database, behind globals": {dump: slices.Concat([]byte("--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE behind;\nALTER ROLE behind IN DATABASE nowhere SET search_path TO 'a';\nALTER ROLE behind SET search_path TO 'b';\n\n--\n-- PostgreSQL database cluster dump complete\n--\n"), plainDump("15.1", rows)),
			ask: "select setdatabase || setconfig::text from pg_db_role_setting where setrole = 'behind'::regrole", want: "0{search_path=b}"},
		"granted by another superuser": {dump: plainDump("15.1", "CREATE ROLE granting;", "ALTER ROLE granting WITH SUPERUSER;", "CREATE ROLE granted;", "CREATE ROLE member;", "GRANT granted TO member GRANTED BY granting;", rows),
			ask: "select pg_has_role('member', 'granted', 'member')", want: "t"},
		"owner of an event trigger": {dump: plainDump("15.1", trigger, "ALTER EVENT TRIGGER ddl OWNER TO owns_trigger;", rows),
			ask: triggersOwner, want: "owns_trigger false false"},
		"owner of a wrapper": {dump: plainDump("15.1", "CREATE FOREIGN DATA WRAPPER w;", "ALTER FOREIGN DATA WRAPPER w OWNER TO owns_wrapper;", rows),
			ask: "select fdwowner::regrole::text from pg_foreign_data_wrapper where fdwname = 'w'", want: "owns_wrapper"},
		"missing where another is the user": {dump: plainDump("15.1", rows, "ALTER TABLE public.t OWNER TO leads;", "SET SESSION AUTHORIZATION leads;", "GRANT SELECT ON TABLE public.t TO follows;", "RESET SESSION AUTHORIZATION;"),
			ask: "select has_table_privilege('follows', 't', 'select')", want: "t"},
		"a database that ends idle sessions": {since: 14, dump: plainDump("15.1", "CREATE DATABASE idle TEMPLATE template0;", "ALTER DATABASE idle SET idle_session_timeout TO '1ms';", `\connect idle`, rows, "CREATE INDEX a ON public.t (id);", "CREATE INDEX b ON public.t (note);", "CREATE INDEX c ON public.t (id, note);", "ALTER DATABASE idle RESET idle_session_timeout;"),
			ask: "select count(*)::text from pg_indexes where tablename = 't'", want: "3"},
		"a database that is only read": {dump: plainDump("15.1", "CREATE DATABASE archived TEMPLATE template0;", "ALTER DATABASE archived SET default_transaction_read_only TO 'on';", `\connect archived`, rows, "CREATE INDEX a ON public.t (id);", "CREATE INDEX b ON public.t (note);"),
			ask: "select count(*) || current_setting('default_transaction_read_only') from pg_indexes where tablename = 't'", want: "2on"},
		"an encoding of other locales": {dump: plainDump("9.6.1", "CREATE DATABASE latin WITH TEMPLATE = template0 OWNER = postgres ENCODING = 'LATIN1';", `\connect latin`, rows),
			ask: "select pg_encoding_to_char(encoding)::text from pg_database where datname = current_database()", want: "LATIN1"},
		"made by its owner": {dump: plainDump("15.1", "SET SESSION AUTHORIZATION 'makes';", "CREATE SCHEMA own;", rows, "COMMENT ON TABLE public.t IS 'theirs';", "ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id);",
			"CREATE VIEW own.v AS SELECT id FROM public.t;", "RESET SESSION AUTHORIZATION;", "CREATE SCHEMA closed;", "SET SESSION AUTHORIZATION 'makes';",
			"CREATE TABLE closed.u (id integer);", "COPY closed.u (id) FROM stdin;\n1\n\\.\n", "INSERT INTO closed.u VALUES (2);", "CREATE SEQUENCE closed.s;", "SELECT pg_catalog.setval('closed.s', 7, true);", "GRANT SELECT ON TABLE public.t TO PUBLIC;", "RESET SESSION AUTHORIZATION;"),
			ask:  "select string_agg(relname || ' ' || relowner::regrole || ' ' || rolsuper, ',' order by relname) from pg_class join pg_roles r on r.oid = relowner where relname in ('t', 't_pkey', 'u', 'v') having (select sum(id) + (select last_value from closed.s) from closed.u) = 10",
			want: "t makes false,t_pkey makes false,u makes false,v makes false"},
		"a superuser by the dump that owns": {dump: plainDump("15.1", "CREATE ROLE admin;", "ALTER ROLE admin WITH SUPERUSER;", "SET SESSION AUTHORIZATION 'admin';", rows, "RESET SESSION AUTHORIZATION;"),
			ask: "select relowner::regrole || ' ' || rolsuper from pg_class join pg_roles r on r.oid = relowner where relname = 't'", want: "admin true"},
		"made a superuser behind its rows": {dump: plainDump("15.1", "CREATE ROLE late;", "SET SESSION AUTHORIZATION 'late';", rows, "RESET SESSION AUTHORIZATION;", "ALTER ROLE late WITH SUPERUSER;", "SET SESSION AUTHORIZATION 'late';", "CREATE TABLE public.u ();"),
			ask: "select relowner::regrole || ' ' || rolsuper from pg_class join pg_roles r on r.oid = relowner where relname = 't'", want: "late true"},
		// A transaction for each row, and not two more that make its user a superuser.
		"rows that are denied one by one": {dump: plainDump("15.1", denied...),
			ask: "select count(*) || ' ' || (select max(id) - min(id) < 1500 from closed.xids) || ' ' || (select rolsuper from pg_roles where rolname = 'inserts') from closed.u", want: "1000 true false"},
		"a database of a locale that is not here": {dump: plainDump("15.1", "CREATE DATABASE elsewhere WITH TEMPLATE = template0 OWNER = owns_database ENCODING = 'UTF8' LC_COLLATE = 'tlh_QO.UTF-8' LC_CTYPE = 'tlh_QO.UTF-8' CONNECTION LIMIT = 10;", `\connect elsewhere`, rows),
			ask: "select datdba::regrole || ' ' || datconnlimit from pg_database where datname = current_database()", want: "owns_database 10"},
		"a database that says what is wrong in its own language": {dump: plainDump("15.1", "CREATE DATABASE worded TEMPLATE template0;", "ALTER DATABASE worded SET lc_messages TO 'C.UTF-8';", `\connect worded`, rows, "CREATE TABLE public.said AS SELECT current_setting('lc_messages') AS messages;"),
			ask: "select messages || ' ' || current_setting('lc_messages') from said", want: "C C.UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			if major < test.since {
				return // it has nothing of the kind
			}
			o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", test.dump)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			if got := ask(t, o.Bindings[0].URL, test.ask); got != test.want {
				t.Errorf("restored is %s, want %s", got, test.want)
			}
			if got := ask(t, o.Bindings[0].URL, "select string_agg(id || note, ',' order by id) from t"); got != "1one,2two" {
				t.Errorf("the rows are %q", got)
			}
		})
	}
	t.Run("a database that ends long statements", func(t *testing.T) {
		script := plainDump(fmt.Sprintf("%d.1", major), "CREATE DATABASE hasty TEMPLATE template0;", "ALTER DATABASE hasty SET statement_timeout TO '1ms';", `\connect hasty`, "SET statement_timeout = 0;", rows,
			"CREATE TABLE long AS SELECT n, md5(n::text) AS note FROM generate_series(1, 100000) n;")
		// Nobody else looks at it: its limit is theirs.
		end := enginetest.Restore(t, newest(t, enginetest.Options{Component: recovery.Component{Name: "hasty", Kind: recovery.Postgres}}, directory(t, map[string][]byte{"a.sql": script})))
		if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
			t.Errorf("%s: %s (%s)", end.Result, says, hint)
		}
	})
	t.Run("who looks at a database whose logins are recorded is not", func(t *testing.T) {
		if major < 17 {
			return // it has no such triggers
		}
		o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", plainDump("17.1", rows, "CREATE TABLE public.logins (at timestamptz);",
			"CREATE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.logins VALUES (now()); END $$;", "CREATE EVENT TRIGGER a ON login EXECUTE FUNCTION public.audit();"))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, o.Bindings[0].URL, "select count(*) from logins"); got != "0" {
			t.Errorf("%s logins are recorded", got)
		}
	})
	t.Run("an archive with an event trigger", func(t *testing.T) {
		t.Cleanup(func() { // when its database is gone
			if err := query(context.WithoutCancel(t.Context()), "postgres", "drop role trigger_owner"); err != nil {
				t.Error(err)
			}
		})
		filled(t, "triggered", strings.TrimSuffix(trigger, "\n")+"create role trigger_owner superuser; alter event trigger ddl owner to trigger_owner")
		archive := dumpOf(t, "triggered", "--format=custom")
		o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.dump", archive)
		if err != nil {
			t.Fatalf("%v (%s)", err, recovery.HintOf(err))
		}
		if got := ask(t, o.Bindings[0].URL, triggersOwner); got != "trigger_owner false false" {
			t.Errorf("restored is %s", got)
		}
	})
}

// Text of a dump that does not say how it sorts is sorted by its code points, which is
// told, so that whoever replaces a live database knows better.
func TestRestore_AnyLocale(t *testing.T) {
	for name, test := range map[string]struct {
		dump []byte
		any  bool
		is   string
	}{
		"says nothing":           {plainDump("15.1", rows), true, "C C.UTF-8"},
		"another encoding's":     {plainDump("15.1", "SET client_encoding = 'LATIN1';", rows), true, "C C.UTF-8"},
		"makes it, says nothing": {plainDump("15.1", "CREATE DATABASE locale WITH TEMPLATE = template0 ENCODING = 'UTF8';", `\connect locale`, rows), true, "C C.UTF-8"},
		"says it":                {plainDump("15.1", "CREATE DATABASE said WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C.UTF-8';", `\connect said`, rows), false, "C.UTF-8 C.UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", test.dump)
			if err != nil {
				t.Fatal(err)
			}
			if o.Bindings[0].AnyLocale != test.any {
				t.Errorf("it is told as %+v", o.Bindings[0])
			}
			if got := ask(t, o.Bindings[0].URL, "select datcollate || ' ' || datctype from pg_database where datname = current_database()"); got != test.is {
				t.Errorf("it sorts as %s, want %s", got, test.is)
			}
			if got := ask(t, o.Bindings[0].URL, "select string_agg(w, '' order by w) || upper('\u00e9') from unnest(array['\u00e9', 'z', 'a', 'Z', '\u20ac', '\U0001F600', '_']) w"); got != "Z_az\u00e9\u20ac\U0001F600\u00c9" {
				t.Errorf("it sorts %q", got)
			}
		})
	}
}

// Dumps of the databases that every server has come back under their names, and
// nothing of the server's own is in them.
func TestRestore_InitialDatabases(t *testing.T) {
	creates := "CREATE DATABASE postgres WITH TEMPLATE = template0 ENCODING = 'UTF8';"
	marks := "select coalesce(to_regclass('t')::text, 'no t')"
	for _, test := range []struct {
		name     string
		dump     []byte
		database string // of the runbook
		is, t    string
	}{
		{"plain", plainDump("15.1", rows), "postgres", "postgres", "t"},
		{"archive", dumpOf(t, "postgres", "--format=custom"), "", "postgres", "no t"},
		{"creates", plainDump("15.1", creates, `\connect postgres`, rows), "", "postgres", "t"},
		{"drops and creates", plainDump("15.1", "DROP DATABASE postgres;", creates, `\connect postgres`), "postgres", "postgres", "no t"},
		{"archive of the template", dumpOf(t, "template1", "--format=custom"), "template1", "template1", "no t"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := recovery.Component{Name: t.Name(), Kind: recovery.Postgres, Settings: recovery.Settings{}}
			if test.database != "" {
				c.Settings["database"] = []string{test.database}
			}
			key := "a.sql"
			if bytes.HasPrefix(test.dump, []byte("PGDMP")) {
				key = "a.dump"
			}
			o, err := into(t, empty, c, key, test.dump)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			if got := ask(t, o.Bindings[0].URL, marks+" || ' in ' || current_database()"); got != test.t+" in "+test.is {
				t.Errorf("restored is %s", got)
			}
		})
	}
	if got := ask(t, empty.URL("postgres"), "select string_agg(datname, ' ' order by datname) from pg_database where datistemplate"); got != "template0 template1" {
		t.Errorf("the templates are %s", got)
	}
}

// A script of a database that takes any bytes is restored into one that does.
func TestRestore_AnyBytes(t *testing.T) {
	c := recovery.Component{Name: t.Name(), Kind: recovery.Postgres}
	o, err := into(t, empty, c, "a.sql", plainDump("15.1", "SET client_encoding = 'SQL_ASCII';", strings.Replace(rows, "one", "\xe9\xff", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, o.Bindings[0].URL, "select current_setting('server_encoding') || ' ' || string_agg(encode(textsend(note), 'hex'), ' ' order by id) from t"); got != "SQL_ASCII e9ff 74776f" {
		t.Errorf("restored is %s", got)
	}
}

// The scratch server is of the dumped server's major, or the next newer; an
// older one is an exception, and an archive that nothing here reads a refusal.
func TestChoose(t *testing.T) {
	custom := dumpOf(t, "shop", "--format=custom")
	of := func(key string, content []byte) recovery.Backup {
		return survey(t, component, directory(t, map[string][]byte{key: content})).Backups[0]
	}
	here := source.Cluster().Tools
	majors := func(majors ...int) (all []postgres.Tools) {
		for _, m := range majors {
			all = append(all, postgres.Tools{Major: m, Dir: here.Dir})
		}
		return all
	}
	for name, test := range map[string]struct {
		installed []postgres.Tools
		backup    recovery.Backup
		major     int
		note      string
		older     bool
		says      string
	}{
		"the same":        {installed: majors(18, 15, 13), backup: of("a.sql", plainDump("15.4", rows)), major: 15},
		"the next newer":  {installed: majors(18, 17, 13), backup: of("a.sql", plainDump("15.4", rows)), major: 17, note: "with PostgreSQL 17, the dumped server was 15"},
		"older":           {installed: majors(15, 13), backup: of("a.sql", plainDump("17.2", rows)), major: 15, note: "older than the dumped server, 17", older: true},
		"not known":       {installed: majors(18, 15), backup: of("a.sql", clusterDump("x")), major: 15},
		"too new to read": {installed: majors(17, 15), backup: of("a.dump", newer(custom)), says: "in the format 1.99, which pg_restore 17, the newest here, does not read"},
		"nothing":         {backup: of("a.sql", plainDump("15.4", rows)), says: "no PostgreSQL server is installed here"},
	} {
		t.Run(name, func(t *testing.T) {
			tools, note, older, err := dump.Choose(test.installed, test.backup)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(recovery.HintOf(err), "apt-get install postgresql-") {
					t.Errorf("error %v (%s)", err, recovery.HintOf(err))
				}
				return
			}
			if err != nil || tools.Major != test.major || older != test.older || !strings.Contains(note, test.note) || test.note == "" && note != "" {
				t.Errorf("%d, %q, %v, %v", tools.Major, note, older, err)
			}
		})
	}
}

// A step that failed can be tried again: it begins with a new cluster.
func TestRestore_Retry(t *testing.T) {
	store := storagetest.NewFaulty(directory(t, map[string][]byte{"shop.sql.gz": gz(t, dumpOf(t, "shop"))}))
	failures := 0
	end, restored := run(t, enginetest.Options{
		Event: func(e recovery.Event) {
			p, ok := e.Payload()
			if started, is := p.(recovery.StepStarted); ok && is && started.Step == "restore" && started.Attempt == 1 {
				store.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 8000, Err: storagetest.Changed})
			}
		},
		Answer: func(st recovery.StepState) recovery.Choice {
			if st.Error == "" || !strings.Contains(st.Error, "changed while it was read") || failures > 0 {
				t.Errorf("%s fails with %q", st.ID, st.Error)
				return recovery.ChooseStop
			}
			failures++
			store.Heal()
			return recovery.ChooseRetry
		},
	}, store)
	if end.Result != recovery.ResultPassed || failures != 1 {
		says, hint := enginetest.Failure(end)
		t.Fatalf("the run ended as %s after %d failures: %s (%s)", end.Result, failures, says, hint)
	}
	if restored != state(t, source.URL("shop")) {
		t.Error("the restored database differs")
	}
}

// A server that dies under the restore is the cause that is told, in its own
// words, and the restore can be tried again.
func TestRestore_ServerDies(t *testing.T) {
	for name, test := range map[string]struct {
		key, says string
		kill      func(*testing.T, postgres.Cluster)
	}{
		"script":              {"large.sql", "was terminated by signal 9", crash},
		"archive":             {"shop.dump", "was terminated by signal 9", crash},
		"script, postmaster":  {"large.sql", "signal: killed", killPostmaster},
		"archive, postmaster": {"shop.dump", "signal: killed", killPostmaster},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := largeDump()
			if test.key == "shop.dump" {
				content = dumpOf(t, "shop", "--format=custom")
			}
			store := storagetest.NewFaulty(directory(t, map[string][]byte{test.key: content}))
			gate := storagetest.NewGate()
			var c postgres.Cluster
			var failed []recovery.StepState
			end, _ := run(t, enginetest.Options{Event: func(e recovery.Event) {
				switch p, _ := e.Payload(); p := p.(type) {
				case recovery.ClaimMade:
					if p.Resource.Kind == recovery.Cluster {
						c.Data = p.Resource.ID
					}
				case recovery.StepStarted:
					if p.Step != "restore" || p.Attempt > 1 {
						return
					}
					store.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 10_000, Gate: gate})
					go func() {
						defer gate.Open()
						<-gate.Entered()
						test.kill(t, c)
					}()
				}
			}, Answer: func(st recovery.StepState) recovery.Choice {
				if failed = append(failed, st); len(failed) > 1 {
					return recovery.ChooseStop
				}
				return recovery.ChooseRetry
			}}, store)
			if len(failed) != 1 || !strings.Contains(failed[0].Error, test.says) || !strings.Contains(failed[0].Hint, "who killed it") || end.Result != recovery.ResultPassed {
				t.Errorf("the run ended as %s after %+v", end.Result, failed)
			}
		})
	}
}

// killPostmaster kills a server itself.
func killPostmaster(t *testing.T, c postgres.Cluster) {
	server, err := postgres.Attach(c)
	if err == nil {
		err = syscall.Kill(server.PID(), syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
		return
	}
	<-server.Exited()
}

// crash kills a process of a server, which ends the server.
func crash(t *testing.T, c postgres.Cluster) {
	server, err := postgres.Attach(c)
	if err != nil {
		t.Error(err)
		return
	}
	conn, err := server.Connect(context.Background(), "postgres")
	if err != nil {
		t.Error(err)
		return
	}
	pid := conn.PgConn().PID()
	if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-server.Exited()
	conn.Close(context.Background())
}

// A run that is stopped in the middle of the data leaves nothing; enginetest
// looks.
func TestRestore_Stopped(t *testing.T) {
	for name, key := range map[string]string{"script": "shop.sql", "archive": "shop.dump"} {
		t.Run(name, func(t *testing.T) {
			format := "--format=plain"
			if key == "shop.dump" {
				format = "--format=custom"
			}
			gate := storagetest.NewGate()
			store := storagetest.NewFaulty(directory(t, map[string][]byte{key: dumpOf(t, "shop", format)}))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				<-gate.Entered()
				stop()
			}()
			end, _ := run(t, enginetest.Options{Context: ctx, Event: func(e recovery.Event) {
				if p, _ := e.Payload(); p == (recovery.StepStarted{Step: "restore", Attempt: 1}) {
					store.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 4000, Gate: gate})
				}
			}}, store)
			if end.Result != recovery.ResultInterrupted {
				says, _ := enginetest.Failure(end)
				t.Errorf("the run ended as %s: %s", end.Result, says)
			}
		})
	}
}

// An object that is replaced between survey and restore is not restored.
func TestRestore_ChangedSinceTheSurvey(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a.sql"
	if err := os.WriteFile(path, plainDump("15.1", rows), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := run(t, enginetest.Options{Event: func(e recovery.Event) {
		if p, _ := e.Payload(); p == (recovery.StepStarted{Step: "restore", Attempt: 1}) {
			if err := os.WriteFile(path, plainDump("15.1", rows, "select 1;"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}}, store)
	says, hint := enginetest.Failure(end)
	if end.Result != recovery.ResultFailed || !strings.Contains(says, "changed while it was read") || !strings.Contains(hint, "new plan") {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}
