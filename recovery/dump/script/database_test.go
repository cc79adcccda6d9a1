package script

import "testing"

func TestWithoutLocale(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE DATABASE shop WITH TEMPLATE = template0 OWNER = app ENCODING = 'UTF8' LC_COLLATE = 'xx' LC_CTYPE = 'xx' CONNECTION LIMIT = 10;":                                 "CREATE DATABASE shop WITH TEMPLATE = template0 OWNER = app ENCODING = 'UTF8' CONNECTION LIMIT = 10",
		"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu LOCALE = 'C' ICU_LOCALE = 'de' ICU_RULES = '&a < b' ALLOW_CONNECTIONS = false;": "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' ALLOW_CONNECTIONS = false",
		`create database "locale" owner "lc_ctype" locale 'x' connection limit -1;`:                                                                                             `create database "locale" owner "lc_ctype" connection limit -1`,
	} {
		if got := WithoutLocale(statementOf(t, sql)); got != want {
			t.Errorf("%s:\n%s, want\n%s", sql, got, want)
		}
	}
}

func TestSetsDefault(t *testing.T) {
	for sql, want := range map[string]bool{
		"ALTER DATABASE shop SET lc_monetary TO 'de_DE.UTF-8';":  true,
		"ALTER ROLE app SET work_mem TO '1MB';":                  true,
		"ALTER ROLE app IN DATABASE shop SET work_mem TO '1MB';": true,
		`ALTER DATABASE "set" OWNER TO app;`:                     false,
		"ALTER ROLE app WITH NOSUPERUSER;":                       false,
		"ALTER TABLE public.t SET (fillfactor = 70);":            false,
		"SET lc_monetary = 'x';":                                 false,
	} {
		if got := SetsDefault(statementOf(t, sql)); got != want {
			t.Errorf("%s: %t", sql, got)
		}
	}
}

func TestPublic(t *testing.T) {
	for sql, want := range map[string][2]bool{
		"CREATE SCHEMA public;":                 {true, false},
		`CREATE SCHEMA "public";`:               {true, false},
		"CREATE SCHEMA public2;":                {false, false},
		"CREATE SCHEMA public AUTHORIZATION x;": {false, false},
		"ALTER SCHEMA public OWNER TO app;":     {false, true},
		"ALTER SCHEMA app OWNER TO public;":     {false, false},
	} {
		p := statementOf(t, sql)
		if makes, owns := MakesPublic(p), OwnsPublic(p); makes != want[0] || owns != want[1] {
			t.Errorf("%s: %t, %t", sql, makes, owns)
		}
	}
}
