package script

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func statementOf(t testing.TB, sql string) Part {
	t.Helper()
	p, err := NewReader(strings.NewReader(sql)).Next()
	if err != nil {
		t.Fatalf("%q: %v", sql, err)
	}
	return p
}

func TestJudge(t *testing.T) {
	for sql, want := range map[string]Judgement{
		"CREATE TABLE public.program (a int);":                        {Verdict: Pass},
		"COPY public.t (a) FROM stdin;\n":                             {Verdict: Pass},
		`COPY public."from" (program) FROM stdin;` + "\n":             {Verdict: Pass},
		"COPY (select 1 from t) TO PROGRAM 'sh';":                     {Verdict: Refuse},
		"copy t from /* x */ program 'curl evil';":                    {Verdict: Refuse},
		"COPY t FROM '/etc/passwd';":                                  {Verdict: Refuse},
		"COPY t TO E'/etc/\\'x';":                                     {Verdict: Refuse},
		"LOAD '/tmp/evil.so';":                                        {Verdict: Refuse},
		"CREATE SUBSCRIPTION s CONNECTION 'host=prod' PUBLICATION p;": {Verdict: Refuse},
		"CREATE SUBSCRIPTION s CONNECTION 'host=prod' PUBLICATION p WITH (connect = false, slot_name = 's');": {Verdict: Pass},
		"DROP SUBSCRIPTION s;":                                         {Verdict: LeaveOut},
		"ALTER SUBSCRIPTION s ENABLE;":                                 {Verdict: LeaveOut},
		"ALTER SUBSCRIPTION s OWNER TO x;":                             {Verdict: Pass},
		"ALTER SYSTEM SET archive_command = 'x';":                      {Verdict: LeaveOut},
		"CREATE TABLESPACE fast LOCATION '/mnt/fast';":                 {Verdict: LeaveOut},
		"GRANT CREATE ON TABLESPACE fast TO shop;":                     {Verdict: LeaveOut},
		"COMMENT ON TABLESPACE fast IS 'x';":                           {Verdict: LeaveOut},
		"GRANT ALL ON TABLE tablespace TO shop;":                       {Verdict: Pass},
		"SET default_tablespace = fast;":                               {Verdict: LeaveOut},
		"SET default_tablespace = '';":                                 {Verdict: Pass},
		"SET SESSION default_tablespace TO DEFAULT;":                   {Verdict: Pass},
		"SET search_path = x;":                                         {Verdict: Pass},
		"ALTER DATABASE shop SET TABLESPACE fast;":                     {Verdict: LeaveOut},
		"ALTER DATABASE shop SET session_preload_libraries TO 'evil';": {Verdict: LeaveOut},
		"ALTER DATABASE shop SET statement_timeout TO '5s';":           {Verdict: Pass},
		"ALTER ROLE shop SET local_preload_libraries TO 'x';":          {Verdict: LeaveOut},
		"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' TABLESPACE = fast LOCALE = 'C';": {
			Verdict: Pass, Creates: "shop", SQL: "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8'  LOCALE = 'C';"},
		`CREATE DATABASE "The Shop";`: {Verdict: Pass, Creates: "The Shop"},
		"CREATE ROLE shop;":           {Verdict: Pass, Role: "shop", SQL: "CREATE ROLE shop NOLOGIN"},
		"ALTER ROLE shop WITH LOGIN CONNECTION LIMIT 120 PASSWORD 'x';": {Verdict: Pass, SQL: "ALTER ROLE shop WITH CONNECTION LIMIT 120 NOLOGIN"},
		"CREATE ROLE shop CONNECTION LIMIT -1 SYSID 100;":               {Verdict: Pass, Role: "shop", SQL: "CREATE ROLE shop CONNECTION LIMIT -1 SYSID 100 NOLOGIN"},
		`CREATE USER "S" PASSWORD 'secret' CREATEDB;`:                   {Verdict: Pass, Role: "S", SQL: `CREATE USER "S" CREATEDB NOLOGIN`},
		"CREATE USER MAPPING FOR shop SERVER s OPTIONS (password 'x');": {Verdict: Pass},
		"ALTER USER MAPPING FOR shop SERVER s OPTIONS (password 'x');":  {Verdict: Pass},
		"ALTER ROLE shop WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x' VALID UNTIL 'infinity';": {
			Verdict: Pass, SQL: "ALTER ROLE shop WITH NOSUPERUSER VALID UNTIL 'infinity' NOLOGIN"},
		"ALTER ROLE shop SET search_path TO 'x';":      {Verdict: Pass},
		"ALTER ROLE postgres WITH LOGIN PASSWORD 'x';": {Verdict: LeaveOut},
		"CREATE ROLE postgres;":                        {Verdict: LeaveOut},
		"DROP ROLE IF EXISTS postgres;":                {Verdict: LeaveOut},
		"DROP ROLE shop;":                              {Verdict: Pass},
		";":                                            {Verdict: Pass},
	} {
		got := Judge(statementOf(t, sql), "postgres")
		if (got.Verdict == Pass) != (got.Why == "") {
			t.Errorf("%s: verdict %s because %q", sql, got.Verdict, got.Why)
		}
		got.Why = ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", sql, diff)
		}
	}
}

func TestRoles(t *testing.T) {
	for sql, want := range map[string][]string{
		`ALTER TABLE public.orders OWNER TO shop_owner;`:                                       {"shop_owner"},
		`ALTER FUNCTION public.f("owner" text) OWNER TO "Shop ""Owner""";`:                     {`Shop "Owner"`},
		`GRANT SELECT,INSERT ON TABLE public.orders TO reporting WITH GRANT OPTION;`:           {"reporting"},
		`GRANT SELECT(a),UPDATE(b) ON TABLE t TO PUBLIC;`:                                      nil,
		`GRANT ALL ON SCHEMA public TO GROUP a, b GRANTED BY c;`:                               {"c", "a", "b"},
		`REVOKE ALL ON TABLE t FROM x;`:                                                        {"x"},
		`ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b, PUBLIC;`: {"a", "b"},
		`ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL ON FUNCTIONS FROM PUBLIC;`:             {"a"},
		`CREATE POLICY p ON public.orders TO a, b USING ((owner = 'to'));`:                     {"a", "b"},
		`ALTER POLICY p ON t RENAME TO q;`:                                                     nil,
		`CREATE USER MAPPING FOR app SERVER s;`:                                                {"app"},
		`SET SESSION AUTHORIZATION 'shop';`:                                                    {"shop"},
		`SET SESSION AUTHORIZATION DEFAULT;`:                                                   nil,
		`CREATE SCHEMA app AUTHORIZATION app_owner;`:                                           {"app_owner"},
		`COMMENT ON TABLE t IS 'GRANT x TO y';`:                                                nil,
		`INSERT INTO grants VALUES ('OWNER TO z');`:                                            nil,
	} {
		if diff := cmp.Diff(want, Roles(statementOf(t, sql))); diff != "" {
			t.Errorf("%s:\n%s", sql, diff)
		}
	}
}

func TestParseConnect(t *testing.T) {
	for text, want := range map[string]string{
		`\connect shop`:         "shop",
		`\connect "Shop ""x"""`: `Shop "x"`,
		`\connect -reuse-previous=on "dbname='it\'s a \\ ""shop""'"`: `it's a \ "shop"`,
		`\connect -reuse-previous=on "dbname=shop"`:                  "shop",
		"\\connect shop\r":    "shop",
		`\connect`:            "",
		`\connect shop admin`: "",
		`\connect - admin`:    "",
		`\connect shop admin prod.example.com 5432`:               "",
		`\connect "host=prod dbname=shop"`:                        "",
		`\connect postgres://prod/shop`:                           "",
		`\connect -reuse-previous=on "dbname='shop' host='prod'"`: "",
		"\\connect `touch x`":                                     "",
		`\connect :var`:                                           "",
		`\c shop`:                                                 "",
		`\! sh`:                                                   "",
	} {
		got, ok := ParseConnect(text)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", text, got, ok, want)
		}
	}
}

func TestIsRestrict(t *testing.T) {
	for text, want := range map[string]bool{
		`\restrict uEvG0mXLTgcpp5BIRy9`: true, "\\unrestrict abc\r": true, `\restrict`: false, `\restrict a b`: false, `\restricted a`: false, "\\restrict `sh`": false,
	} {
		if got := IsRestrict(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestPart_SummaryHoldsNoLiterals(t *testing.T) {
	for sql, want := range map[string]string{
		"ALTER ROLE x\n  WITH PASSWORD 'secret';":      "ALTER ROLE x WITH PASSWORD '…'",
		"INSERT INTO public.t VALUES (1, $$secret$$);": "INSERT INTO public.t VALUES (1, '…')",
		"COPY public.orders (id, total) FROM stdin;\n": "COPY public.orders (id, total) FROM stdin",
	} {
		if got := statementOf(t, sql).Summary(); got != want {
			t.Errorf("%q", got)
		}
	}
}
