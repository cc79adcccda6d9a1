package script

import "testing"

func TestDrops(t *testing.T) {
	for sql, want := range map[string]bool{
		"DROP TABLE IF EXISTS public.t;": true,
		"ALTER TABLE ONLY a_schema_whose_name_is_long_as_names_go_in_some_places.a_table_of_the_same_kind_whose_name_is_long DROP CONSTRAINT k;": true,
		"SELECT pg_catalog.lo_unlink('4711');":                                        true,
		"ALTER TABLE public.t ADD COLUMN drop_ int;":                                  false,
		`ALTER TABLE public."drop" OWNER TO x;`:                                       false,
		"SELECT pg_catalog.lo_create('4711');":                                        false,
		"ALTER TABLE ONLY public.trips ALTER COLUMN drop SET DEFAULT 'home';":         false,
		"ALTER TABLE ONLY public.drop ADD CONSTRAINT drop_pkey PRIMARY KEY (id);":     false,
		"ALTER TABLE public.drop OWNER TO x;":                                         false,
		"ALTER TABLE drop.t OWNER TO drop;":                                           false,
		"ALTER TABLE IF EXISTS ONLY public.trips ALTER COLUMN drop DROP DEFAULT;":     true,
		"ALTER TABLE IF EXISTS ONLY public.drop DROP CONSTRAINT IF EXISTS drop_pkey;": true,
		"ALTER TABLE public.trips ALTER COLUMN id DROP DEFAULT;":                      true,
		"ALTER DOMAIN public.d DROP CONSTRAINT c;":                                    true,
		"CREATE TABLE public.t (a integer);":                                          false,
		// Of a view that is split in two, as pg_dump --clean empties it.
		"CREATE OR REPLACE VIEW app.totals AS\nSELECT\n    NULL::integer AS id,\n    NULL::public.mood AS m;":                                            true,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::character varying(20) COLLATE \"de_DE\" AS a, NULL::numeric(12,2)[] AS \"from\", NULL::\"char\" AS c;": true,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::interval day to second(3) AS \"as\";":                                                                  true,
		"CREATE VIEW app.totals AS\nSELECT\n    NULL::integer AS id;":                                                                                    false,
		"CREATE OR REPLACE VIEW app.totals AS\n SELECT o.id, o.m, count(*) AS count\n   FROM app.o\n  GROUP BY o.id;":                                    false,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::integer AS id FROM app.o;":                                                                             false,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::integer AS id, o.m AS m FROM app.o;":                                                                   false,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::integer AS id, 1 AS m;":                                                                                false,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::integer;":                                                                                              false,
		"CREATE OR REPLACE VIEW v AS SELECT NULL::integer AS id UNION SELECT 1;":                                                                         false,
		"CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql AS 'select null::integer as id';":                                                   false,
	} {
		if got := Drops(statementOf(t, sql)); got != want {
			t.Errorf("%s: %t", sql, got)
		}
	}
}
