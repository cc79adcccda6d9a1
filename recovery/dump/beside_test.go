package dump_test

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/dump/script"
)

//go:embed testdata/nasty.sql
var nastySQL string

// digests are the rows of each table of a database, whatever their order.
func digests(t testing.TB, url string) string {
	t.Helper()
	queries := program(t, "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", `
		select format('select %L, count(*), md5(coalesce(string_agg(r::text, chr(10) order by r::text collate "C"), '''')) from only %I.%I r;', c.oid::regclass, n.nspname, c.relname)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1`)
	return string(program(t, "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", strings.ReplaceAll(string(queries), "from only", "from"))) +
		ask(t, url, "select string_agg(loid || ' ' || md5(data), ',' order by loid, pageno) from pg_largeobject") +
		ask(t, url, "select string_agg(sequencename || ' ' || coalesce(last_value, -1), ',' order by sequencename) from pg_sequences")
}

// filled makes a database of the source for as long as the test takes.
func filled(t *testing.T, name, sql string) {
	t.Helper()
	t.Cleanup(func() {
		if err := query(context.WithoutCancel(t.Context()), "postgres", "drop database if exists "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	for _, q := range [][2]string{{"postgres", "create database " + name}, {name, sql}} {
		if err := query(t.Context(), q[0], q[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// What is restored by several sessions beside each other is what psql makes of
// the same dump, one statement after the other: the same schema, the same rows.
func TestRestore_AsPsqlDoes(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	ctx := t.Context()
	filled(t, "nasty", nastySQL)
	dumps := map[string][]byte{"nasty": dumpOf(t, "nasty"), "shop": dumpOf(t, "shop")}
	if err := query(ctx, "postgres", "alter database nasty set standard_conforming_strings = off"); err != nil {
		t.Fatal(err)
	}
	dumps["nasty, old strings"] = dumpOf(t, "nasty")
	if err := query(ctx, "postgres", "alter database nasty reset standard_conforming_strings"); err != nil {
		t.Fatal(err)
	}
	dumps["nasty, clean"] = dumpOf(t, "nasty", "--clean", "--if-exists")
	if enginetest.Soak() {
		dumps["nasty, root"] = dumpOf(t, "nasty", "--load-via-partition-root", "--quote-all-identifiers")
		dumps["nasty, authorizations"] = dumpOf(t, "nasty", "--use-set-session-authorization")
	}
	for name, content := range dumps {
		bySessions(t, name, func(t *testing.T, sessions int) {
			o, err := into(t, empty, recovery.Component{Name: "by " + t.Name(), Kind: recovery.Postgres}, "a.sql", content)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			beside := 0
			fmt.Sscanf(o.Facts["statements"][strings.Index(o.Facts["statements"], ", ")+2:], fmt.Sprintf("of which %%d by %d sessions", sessions), &beside)
			if translated := strings.Contains(o.Facts["statements"], "rows in COPY's binary format"); beside < 9 || translated != strings.HasPrefix(name, "nasty") {
				t.Errorf("statements: %s", o.Facts["statements"])
			}
			file := t.TempDir() + "/a.sql"
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			database := fmt.Sprintf("psql %s", t.Name())
			program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", `create database "`+database+`" template template0 encoding 'UTF8'`)
			psql := exec.CommandContext(ctx, empty.Cluster().Tools.Program("psql"), "-X", "-q", "-v", fmt.Sprintf("ON_ERROR_STOP=%t", name != "nasty, clean"), "-d", empty.URL(database), "-f", file) // it empties a view that is not there
			if out, err := psql.CombinedOutput(); err != nil {
				t.Fatalf("psql: %v: %s", err, out)
			}
			url := o.Bindings[0].URL
			if diff := cmp.Diff(schema(t, empty.URL(database)), schema(t, url)); diff != "" {
				t.Errorf("the schema differs (-psql +comeback):\n%s", diff)
			}
			if diff := cmp.Diff(digests(t, empty.URL(database)), digests(t, url)); diff != "" {
				t.Errorf("the rows differ (-psql +comeback):\n%s", diff)
			}
			if name == "shop" { // it has foreign keys, beside whose looks there is time
				if n := strings.TrimSpace(ask(t, url, "select count(distinct tablename) from pg_stats where schemaname = 'public'")); n < "4" {
					t.Errorf("statistics of %s tables", n)
				}
			}
		})
	}
}

// What takes longest begins first, although it comes last. (The number of an index in the
// catalogue tells when it was begun.) More indexes than are chosen from
// at once, and what is said about the first of them, come in their order, too.
func TestRestore_LongestFirst(t *testing.T) {
	var more strings.Builder
	for i := range 300 {
		fmt.Fprintf(&more, "create index many_%d on public.many (id); comment on index public.many_%d is 'the index %d';\n", i, i, i)
	}
	filled(t, "longest", `create table public.a (id integer, note text, words text);
		insert into public.a select n, md5(n::text), 'some words ' || n from generate_series(1, 3000) n;
		create index a_number on public.a (id); create index b_text on public.a (note); create index c_words on public.a using gin (to_tsvector('simple', words));
		create table public.many (id integer); insert into public.many select generate_series(1, 10);
		`+more.String()+`alter table public.many cluster on many_0;
		create table public.z as select n, md5(n::text) from generate_series(1, 200000) n`) // before they have been read, those of a are in
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", dumpOf(t, "longest"))
	if err != nil {
		t.Fatalf("%v (%s)", err, recovery.HintOf(err))
	}
	url := o.Bindings[0].URL
	if diff := cmp.Diff(schema(t, source.URL("longest")), schema(t, url)); diff != "" {
		t.Errorf("the schema differs (-source +comeback):\n%s", diff)
	}
	order := ask(t, url, "select string_agg(relname, ' ' order by oid) from pg_class where relname in ('a_number', 'b_text', 'c_words')")
	if strings.HasPrefix(order, "a_number") {
		t.Errorf("the indexes were begun as %s", order)
	}
}

// Names of columns come in the encoding of the script, in which a letter may end in what
// is a backslash elsewhere. Where a backslash escapes in strings, too, it ends none of them.
func TestRestore_OtherEncoding(t *testing.T) {
	filled(t, "encoded", `create table public."予約者" (id integer primary key, "表" text default '表', check ("表" <> E'\\表')); insert into public."予約者" select n, '表 ' || n from generate_series(1, 100) n; create index on public."予約者" ("表")`)
	url := source.URL("encoded")
	want := schema(t, url) + digests(t, url)
	dumps := map[string][]byte{"SJIS": dumpOf(t, "encoded", "--encoding=SJIS"), "UTF8": dumpOf(t, "encoded", "--encoding=UTF8")}
	if err := query(t.Context(), "postgres", "alter database encoded set standard_conforming_strings = off"); err != nil {
		t.Fatal(err)
	}
	dumps["SJIS, old strings"] = dumpOf(t, "encoded", "--encoding=SJIS")
	dumps["SJIS, old strings, archive"] = dumpOf(t, "encoded", "--encoding=SJIS", "--format=custom")
	for name, content := range dumps {
		key := "a.sql"
		if strings.HasSuffix(name, "archive") {
			key = "a.dump"
		}
		o, err := into(t, empty, recovery.Component{Name: t.Name() + name, Kind: recovery.Postgres}, key, content)
		if err != nil {
			t.Fatalf("%s: %v (%s)", name, err, recovery.HintOf(err))
		}
		url := o.Bindings[0].URL
		if key == "a.dump" { // it has its database's name, and its setting
			program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "alter database encoded reset all")
			defer program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "drop database encoded with (force)")
		}
		if diff := cmp.Diff(want, schema(t, url)+digests(t, url)); diff != "" {
			t.Errorf("%s: what is restored differs (-source +comeback):\n%s", name, diff)
		}
	}
}

// Text takes longest to sort where a language says how: not in the collation C, and not
// where that is the database's.
func TestCatalogue_worded(t *testing.T) {
	const sql = `create table public.t (n integer, a text, b text collate "C", c varchar(9), d text collate "de-x-icu", e bytea)`
	for database, locale := range map[string]string{"worded": "C.UTF-8", "plain": "C"} {
		t.Cleanup(func() {
			if err := query(context.WithoutCancel(t.Context()), "postgres", "drop database if exists "+database); err != nil {
				t.Error(err)
			}
		})
		if err := query(t.Context(), "postgres", fmt.Sprintf("create database %s template template0 encoding 'UTF8' locale '%s'", database, locale)); err != nil {
			t.Fatal(err)
		}
		if err := query(t.Context(), database, sql); err != nil {
			t.Fatal(err)
		}
	}
	for database, want := range map[string][]string{"worded": {"a", "c", "d"}, "plain": {"d"}} {
		got, err := dump.Worded(t.Context(), plainEnv{}, source, database, script.Relation{Schema: "public", Name: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
			t.Errorf("%s: %q, want %q", database, names, want)
		}
	}
}

// Of an archive the same comes as of a script, whichever its form and however many copy its
// rows.
func TestRestore_ArchiveAsTheSource(t *testing.T) {
	defer dump.SetPieces(500, 4_000)()
	filled(t, "nasty", nastySQL)
	for _, test := range []struct {
		database, options string
		sessions          int
		asScript          bool
	}{{"nasty", "--format=custom", 2, true}, {"nasty", "--format=tar", 2, true}, {"nasty", "--format=custom", 5, true}, {"shop", "--format=custom", 2, true}, {"shop", "--format=tar", 5, true},
		{"shop", "--format=custom --inserts", 2, false}, {"shop", "--format=custom", 1, false}} {
		t.Run(fmt.Sprintf("%s %s %d", test.database, test.options, test.sessions), func(t *testing.T) {
			dump.Sessions = test.sessions
			defer func() { dump.Sessions = 2 }()
			o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.dump", dumpOf(t, test.database, strings.Fields(test.options)...))
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			url := o.Bindings[0].URL
			defer program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "drop database "+test.database+" with (force)") // an archive has its database's name
			if diff := cmp.Diff(schema(t, source.URL(test.database)), schema(t, url)); diff != "" {
				t.Errorf("the schema differs (-source +comeback):\n%s", diff)
			}
			if diff := cmp.Diff(digests(t, source.URL(test.database)), digests(t, url)); diff != "" {
				t.Errorf("the rows differ (-source +comeback):\n%s", diff)
			}
			if _, asScript := o.Facts["statements"]; asScript != test.asScript {
				t.Errorf("as a script: %t", asScript)
			}
		})
	}
}

func schema(t testing.TB, url string) string {
	t.Helper()
	return token.ReplaceAllString(string(program(t, "pg_dump", "--schema-only", "--dbname", url)), "")
}

// bySessions runs a test by two sessions, which share no table's rows, and by five, which do.
func bySessions(t *testing.T, name string, test func(t *testing.T, sessions int)) {
	defer func() { dump.Sessions = 2 }()
	for _, dump.Sessions = range []int{2, 5} {
		t.Run(fmt.Sprintf("%s by %d", name, dump.Sessions), func(t *testing.T) { test(t, dump.Sessions) })
	}
}

// The failure that is told is the first one of the script, with its line, also
// where rows are dealt out and the sessions come upon it in another order.
func TestRestore_FirstFailure(t *testing.T) {
	defer dump.SetPieces(100, 400)()
	rows := func(table string, bad ...int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "COPY public.%s (id, note) FROM stdin;\n", table)
		for n := range 300 {
			if slices.Contains(bad, n) {
				fmt.Fprintf(&b, "bad%d\tx\n", n)
			} else {
				fmt.Fprintf(&b, "%d\tnote %d\n", n, n)
			}
		}
		return b.String() + "\\.\n"
	}
	begin := "SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.a (id integer, note text);\nCREATE TABLE public.b (id integer NOT NULL, note text);"
	// pg_dump's frame has nine lines before the first statement.
	for name, test := range map[string]struct {
		script []string
		says   string
	}{
		"one row":              {[]string{begin, rows("a", 150)}, "line 164: COPY public.a"},
		"two rows":             {[]string{begin, rows("a", 150, 40, 299)}, "line 54: COPY public.a"},
		"two tables":           {[]string{begin, rows("a", 200), rows("b", 0)}, "line 214: COPY public.a"},
		"a row before a key":   {[]string{begin, rows("a", 299), rows("b"), "ALTER TABLE ONLY public.b ADD CONSTRAINT k PRIMARY KEY (note, id, nothing);"}, "line 313: COPY public.a"},
		"a key before another": {[]string{begin, rows("a"), rows("b"), "ALTER TABLE ONLY public.b\n    ADD CONSTRAINT k PRIMARY KEY (nothing);", "CREATE INDEX i ON public.a USING btree (nothing);"}, "line 619: ALTER TABLE ONLY public.b"},
		"rows, then cut off":   {[]string{begin, rows("a", 250), strings.TrimSuffix(rows("b"), "\\.\n")}, "line 264: COPY public.a"},
		"cut off":              {[]string{begin, rows("a"), strings.TrimSuffix(rows("b"), "\\.\n")}, "cut off in COPY data"},
		"rows, then refused":   {[]string{begin, rows("a", 250), "COPY public.b FROM PROGRAM 'sh';"}, "line 264: COPY public.a"},
		"refused":              {[]string{begin, rows("a"), "COPY public.b FROM PROGRAM 'sh';"}, "refused: line 316"},
		"twice":                {[]string{begin, rows("b"), rows("b"), "CREATE UNIQUE INDEX i ON public.b USING btree (id);"}, "line 619: CREATE UNIQUE INDEX"},
	} {
		bySessions(t, name, func(t *testing.T, _ int) {
			content := plainDump("15.1", test.script...)
			if strings.HasSuffix(name, "cut off") { // nothing comes after its last row
				content = content[:bytes.LastIndex(content, []byte("note 299\n"))+len("note 299\n")]
			}
			_, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", content)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("it says %v, want %q", err, test.says)
			}
		})
	}
}

// The rows of a foreign key are looked at along the indexes where both tables have one
// and these alone tell of all rows, and those that do not keep to it are found.
func TestRestore_ForeignKeys(t *testing.T) {
	defer dump.SetPieces(2_000, 10_000_000)()
	begin := "SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.a (id integer NOT NULL);\nCREATE TABLE public.b (id integer, indexed integer, bare integer);"
	rows := func(n int, wrong string) []string {
		var a, b strings.Builder
		for i := range n {
			fmt.Fprintf(&a, "%d\n", i)
			fmt.Fprintf(&b, "%d\t%d\t%d\n", i, i*7%n, i*3%n)
		}
		return []string{begin, "COPY public.a (id) FROM stdin;\n" + a.String() + "\\.\n", "COPY public.b (id, indexed, bare) FROM stdin;\n" + b.String() + wrong + "\\.\n",
			"ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id);", "CREATE INDEX b_indexed ON public.b USING btree (indexed, id);",
			"ALTER TABLE ONLY public.b\n    ADD CONSTRAINT by_index FOREIGN KEY (indexed) REFERENCES public.a(id);",
			"ALTER TABLE ONLY public.b\n    ADD CONSTRAINT by_rows FOREIGN KEY (bare) REFERENCES public.a(id);"}
	}
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", plainDump("15.1", rows(20_000, "")...))
	if err != nil {
		t.Fatal(err)
	}
	url := o.Bindings[0].URL
	if along := strings.HasSuffix(o.Facts["statements"], "; 1 foreign key along indexes"); along != empty.Cluster().Tools.MarksFrozen() {
		t.Errorf("statements: %s", o.Facts["statements"])
	}
	if got := ask(t, url, "select string_agg(conname || ' ' || convalidated, ',' order by conname) from pg_constraint where contype = 'f'"); got != "by_index true,by_rows true" {
		t.Error(got)
	}
	var lines []string // as a dump has them that went through Windows
	for _, statement := range rows(20_000, "") {
		lines = append(lines, strings.ReplaceAll(statement, "FROM stdin;\n", "FROM stdin;\r\n"))
	}
	if o, err := into(t, empty, recovery.Component{Name: t.Name() + " CRLF", Kind: recovery.Postgres}, "a.sql", plainDump("15.1", lines...)); err != nil || ask(t, o.Bindings[0].URL, "select count(*) from b") != "20000" {
		t.Errorf("%+v, %v", o, err)
	}
	for wrong, says := range map[string]string{"1\t-1\t0\n": `"by_index"`, "1\t0\t-1\n": `"by_rows"`} {
		_, err := into(t, empty, recovery.Component{Name: t.Name() + says, Kind: recovery.Postgres}, "a.sql", plainDump("15.1", rows(20_000, wrong)...))
		if err == nil || !strings.Contains(err.Error(), "ALTER TABLE ONLY public.b") || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// What an archive holds beside its rows goes in beside each other, too, its foreign keys
// along indexes; rows that do not keep to one are found, and told with it.
func TestRestore_ArchiveForeignKeys(t *testing.T) {
	ctx := t.Context()
	filled(t, "keyed", `create table a (id integer primary key); create table b (a integer, note text);
		insert into a select generate_series(1, 60000); insert into b select a, 'note ' || a from generate_series(1, 60000) a;
		create index on b (a); alter table b add constraint b_a foreign key (a) references a (id);
		create table "café" as select 'é' as note`)
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.dump", dumpOf(t, "keyed", "--format=custom"))
	if err != nil {
		t.Fatalf("%v (%s)", err, recovery.HintOf(err))
	}
	url := o.Bindings[0].URL
	if along := strings.HasSuffix(o.Facts["statements"], " by 2 sessions beside each other; 120000 rows in COPY's binary format; 1 foreign key along indexes"); along != empty.Cluster().Tools.MarksFrozen() || o.Facts["rows"] != "120001" {
		t.Errorf("%s rows, statements: %s", o.Facts["rows"], o.Facts["statements"])
	}
	if diff := cmp.Diff(schema(t, source.URL("keyed")), schema(t, url)); diff != "" {
		t.Errorf("the schema differs (-source +comeback):\n%s", diff)
	}
	program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "drop database keyed with (force)") // an archive has its database's name
	// Names are as the archive has them also where others are asked.
	o, err = into(t, empty, recovery.Component{Name: t.Name() + " LATIN1", Kind: recovery.Postgres}, "a.dump", dumpOf(t, "keyed", "--format=custom", "--encoding=LATIN1"))
	if err != nil || ask(t, url, `select note from "café"`) != "é" {
		t.Errorf("in another encoding: %v (%s)", err, recovery.HintOf(err))
	}
	program(t, "psql", "-X", "-q", "-d", empty.URL("postgres"), "-c", "drop database keyed with (force)")
	if err := query(ctx, "keyed", "set session_replication_role = replica; insert into b values (0, 'nobody')"); err != nil {
		t.Fatal(err)
	}
	_, err = into(t, empty, recovery.Component{Name: t.Name() + " broken", Kind: recovery.Postgres}, "a.dump", dumpOf(t, "keyed", "--format=custom"))
	if err == nil || !strings.Contains(err.Error(), "ALTER TABLE ONLY public.b") || !strings.Contains(err.Error(), `violates foreign key constraint "b_a"`) {
		t.Errorf("rows without what they refer to: %v", err)
	}
}

// What may be beside nothing in a script pg_restore does itself.
func TestRestore_ArchiveOfOwnOperators(t *testing.T) {
	filled(t, "operated", `create function same(integer, integer) returns boolean language sql immutable as 'select $1 = $2';
		create operator ~~~ (function = same, leftarg = integer, rightarg = integer);
		create table a (id integer primary key); create table b (a integer references a (id)); insert into a values (1); insert into b values (1); create index on b (a)`)
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.dump", dumpOf(t, "operated", "--format=custom"))
	if err != nil {
		t.Fatalf("%v (%s)", err, recovery.HintOf(err))
	}
	if says, ok := o.Facts["statements"]; ok {
		t.Errorf("a script was executed: %s", says)
	}
	if diff := cmp.Diff(schema(t, source.URL("operated")), schema(t, o.Bindings[0].URL)); diff != "" {
		t.Errorf("the schema differs (-source +comeback):\n%s", diff)
	}
}

// However many constraints have comments, which stand between the definitions: rows and
// indexes go beside each other.
func TestRestore_ManyComments(t *testing.T) {
	all := []string{"SELECT pg_catalog.set_config('search_path', '', false);"}
	for i := range 40 {
		all = append(all, fmt.Sprintf("CREATE TABLE public.t%d (id integer, CONSTRAINT positive CHECK (id > 0));\nCOMMENT ON CONSTRAINT positive ON public.t%d IS 'above zero';", i, i))
	}
	for i := range 40 {
		all = append(all, fmt.Sprintf("COPY public.t%d (id) FROM stdin;\n1\n\\.\n", i))
	}
	for i := range 40 {
		all = append(all, fmt.Sprintf("CREATE INDEX i%d ON public.t%d USING btree (id);\nCOMMENT ON INDEX public.i%d IS 'by id';", i, i, i))
	}
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", plainDump("15.1", all...))
	if err != nil {
		t.Fatal(err)
	}
	if says := o.Facts["statements"]; !strings.Contains(says, "201, of which 120 by") {
		t.Errorf("the statements are %s", says)
	}
	if got := ask(t, o.Bindings[0].URL, "select count(*) || ' ' || count(*) filter (where description = 'by id') from pg_description where description in ('by id', 'above zero')"); got != "80 40" {
		t.Errorf("the comments are %s", got)
	}
}

// However many indexes call functions of the dump's, beside which nothing may be: what stands
// between them goes beside each other.
func TestRestore_ManyOwnFunctions(t *testing.T) {
	all := []string{"SELECT pg_catalog.set_config('search_path', '', false);", "CREATE FUNCTION public.own(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1; END $$;"}
	for i := range 40 {
		all = append(all, fmt.Sprintf("CREATE TABLE public.t%d (id integer);", i))
	}
	for i := range 40 {
		all = append(all, fmt.Sprintf("COPY public.t%d (id) FROM stdin;\n1\n\\.\n", i))
	}
	for i := range 40 {
		all = append(all, fmt.Sprintf("CREATE INDEX o%d ON public.t%d USING btree (public.own(id));\nCOMMENT ON INDEX public.o%d IS 'by own';\nCREATE INDEX i%d ON public.t%d USING btree (id);", i, i, i, i, i))
	}
	o, err := into(t, empty, recovery.Component{Name: t.Name(), Kind: recovery.Postgres}, "a.sql", plainDump("15.1", all...))
	if err != nil {
		t.Fatal(err)
	}
	if says := o.Facts["statements"]; !strings.Contains(says, "202, of which 120 by") {
		t.Errorf("the statements are %s", says)
	}
	if got := ask(t, o.Bindings[0].URL, "select count(*) || ' ' || (select count(*) from pg_description where description = 'by own') from pg_indexes where tablename ~ '^t[0-9]'"); got != "80 40" {
		t.Errorf("the indexes and comments are %s", got)
	}
}
