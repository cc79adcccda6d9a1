package script

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPart_Effect(t *testing.T) {
	orders := Relation{"public", "orders"}
	for sql, want := range map[string]Effect{
		"SET statement_timeout = 0;":                                    {Act: Setting},
		"SET client_encoding = 'UTF8';":                                 {Act: Setting},
		"SET role = app;":                                               {},
		"SET SESSION AUTHORIZATION 'app';":                              {},
		"SET LOCAL search_path = x;":                                    {},
		"SELECT pg_catalog.set_config('search_path', '', false);":       {Act: Setting},
		"SELECT pg_catalog.set_config('role', 'app', false);":           {},
		"SELECT pg_catalog.setval('public.orders_id_seq', -3, true);":   {Act: Aside},
		"SELECT pg_catalog.setval('s', (select max(id) from t), true);": {},
		"SELECT setval('s', 3);":                                        {},
		"SELECT pg_catalog.lowrite(0, '\\x00');":                        {Act: Aside},
		"ALTER LARGE OBJECT 900 OWNER TO \"shop owner\";":               {Act: Aside},
		"COMMENT ON LARGE OBJECT 900 IS 'a';":                           {Act: Aside},

		"SELECT pg_catalog.pg_terminate_backend(7);": {},
		"BEGIN;":                              {Act: Aside},
		"BEGIN ISOLATION LEVEL SERIALIZABLE;": {},
		"COPY public.orders (id, \"a b\") FROM stdin;\n":             {Act: LoadRows, Table: orders, Columns: []string{"id", "a b"}, Copy: `COPY public.orders (id, "a b") FROM stdin`},
		"COPY orders (id) FROM stdin;\n":                             {},
		"COPY public.orders FROM stdin;\n":                           {},
		"COPY public.orders (id) FROM stdin WITH (FORMAT csv);\n":    {},
		"CREATE INDEX i ON public.orders USING btree (lower(note));": {Act: BuildIndex, Table: orders, Index: Relation{"public", "i"}, Method: "btree"},
		"CREATE UNIQUE INDEX \"I\" ON ONLY public.orders USING gin (n public.gin_trgm_ops);": {
			Act: BuildIndex, Table: orders, Index: Relation{"public", "I"}, Method: "gin"},
		"CREATE INDEX i ON public.orders USING btree (app.label(id));":                        {Act: BuildIndex, Table: orders, Index: Relation{"public", "i"}, Method: "btree", Calls: true},
		"CREATE INDEX i ON public.orders USING btree (a) WHERE (a OPERATOR(app.=) 3);":        {Act: BuildIndex, Table: orders, Index: Relation{"public", "i"}, Method: "btree", Calls: true},
		"CREATE INDEX i ON public.orders USING btree (a) WHERE (s = 'x'::app.status);":        {Act: BuildIndex, Table: orders, Index: Relation{"public", "i"}, Method: "btree", Casts: true},
		"CREATE INDEX i ON public.orders USING btree (a COLLATE pg_catalog.\"C\");":           {Act: BuildIndex, Table: orders, Index: Relation{"public", "i"}, Method: "btree"},
		"CREATE INDEX CONCURRENTLY i ON public.orders USING btree (a);":                       {},
		"CREATE INDEX i ON public.orders USING btree (a) TABLESPACE fast;":                    {},
		"ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT k UNIQUE (a) DEFERRABLE;":         {Act: AddKey, Table: orders, Index: Relation{"public", "k"}},
		"ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT k EXCLUDE USING gist (a WITH =);": {Act: AddKey, Table: orders, Index: Relation{"public", "k"}, Method: "gist"},
		"ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT \"K\" PRIMARY KEY (id, \"a b\");": {Act: AddKey, Table: orders, Index: Relation{"public", "K"},
			First: `CREATE UNIQUE INDEX "K" ON ONLY "public"."orders" USING btree (id, "a b")`,
			Then:  "ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT \"K\" PRIMARY KEY USING INDEX \"K\""},
		"ALTER TABLE public.orders ADD CONSTRAINT k PRIMARY KEY (id);":                                    {Act: AddKey, Table: orders, Index: Relation{"public", "k"}},
		"ALTER TABLE ONLY public.orders ADD CONSTRAINT k UNIQUE (id) INCLUDE (a);":                        {Act: AddKey, Table: orders, Index: Relation{"public", "k"}},
		"ALTER TABLE ONLY public.orders ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES app.c(id) NOT VALID;": {Act: AddReference, Table: orders, Other: Relation{"app", "c"}, Index: Relation{"public", "f"}},
		"ALTER TABLE ONLY public.orders ADD CONSTRAINT \"F\" FOREIGN KEY (c) REFERENCES app.c(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;": {
			Act: AddReference, Table: orders, Other: Relation{"app", "c"}, Index: Relation{"public", "F"},
			First: "ALTER TABLE ONLY public.orders ADD CONSTRAINT \"F\" FOREIGN KEY (c) REFERENCES app.c(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED NOT VALID",
			Then:  `ALTER TABLE ONLY "public"."orders" VALIDATE CONSTRAINT "F"`},
		"ALTER TABLE ONLY public.orders ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES app.c(id) NOT ENFORCED;":               {Act: AddReference, Table: orders, Other: Relation{"app", "c"}, Index: Relation{"public", "f"}},
		"ALTER TABLE public.orders ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES app.c(id);":                                 {Act: AddReference, Table: orders, Other: Relation{"app", "c"}, Index: Relation{"public", "f"}},
		"ALTER TABLE ONLY public.orders ADD CONSTRAINT c CHECK (a > 0);":                                                   {},
		"ALTER TABLE ONLY public.orders ADD COLUMN c integer;":                                                             {},
		"ALTER TABLE public.orders CLUSTER ON i;":                                                                          {Act: AboutIndex, Table: orders},
		"ALTER TABLE ONLY public.orders REPLICA IDENTITY USING INDEX i;":                                                   {Act: AboutIndex, Table: orders},
		"ALTER INDEX public.p ATTACH PARTITION public.q;":                                                                  {Act: AboutIndex, Index: Relation{"public", "p"}, Attached: Relation{"public", "q"}},
		"COMMENT ON INDEX public.i IS 'a; b';":                                                                             {Act: AboutIndex, Index: Relation{"public", "i"}},
		"COMMENT ON CONSTRAINT k ON public.orders IS 'x';":                                                                 {Act: AboutIndex, Table: orders},
		"COMMENT ON TABLE public.orders IS 'x';":                                                                           {},
		"DO $$ begin end $$;":                                                                                              {},
		"INSERT INTO public.orders VALUES (1);":                                                                            {},
		"CREATE TRIGGER t AFTER INSERT OR UPDATE OF a, \"on\" ON public.orders FOR EACH ROW EXECUTE FUNCTION app.f('on');": {Act: AddTrigger, Table: orders},
		"CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION app.f();":                                   {},
		"CREATE CONSTRAINT TRIGGER t AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION app.f();":                 {},
		"CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION app.f();":                                              {},
		"COMMENT ON TRIGGER t ON public.orders IS 'x';":                                                                    {Act: AboutIndex, Table: orders},
		"REFRESH MATERIALIZED VIEW public.m;":                                                                              {},
		"ALTER TABLE public.orders DISABLE TRIGGER ALL;":                                                                   {},
		"CREATE INDEX i ON a.b.c USING btree (x);":                                                                         {},
		"SELECT pg_catalog.set_config('search_path', 'x',":                                                                 {},
	} {
		p, err := NewReader(strings.NewReader(sql)).Next()
		if err != nil && want.Act != Unknown {
			t.Fatalf("%q: %v", sql, err)
		}
		if diff := cmp.Diff(want, p.Effect()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sql, diff)
		}
	}
}

// A COPY that options are added to is the statement to its last word, whatever ends the line.
func TestEffect_Copy(t *testing.T) {
	for _, end := range []string{";\n", ";\r\n", " -- so\n;\n"} {
		r := NewReader(strings.NewReader("COPY public.t (a, b) FROM stdin" + end + "1\t2\n\\.\n"))
		p, err := r.Next()
		if got := p.Effect().Copy; err != nil || got != "COPY public.t (a, b) FROM stdin" {
			t.Errorf("%q: %q, %v", end, got, err)
		}
	}
}

// The columns that an index is over are those of its list, not other names beside it.
func TestPart_Keys(t *testing.T) {
	columns := map[string]bool{"note": true, "key": true, "a b": true, "public": true}
	for text, want := range map[string]bool{
		"CREATE INDEX i ON public.orders USING btree (id, note DESC);":                  true,
		"CREATE INDEX i ON public.orders USING gin (to_tsvector('simple', note));":      true,
		"CREATE INDEX i ON public.orders USING btree (\"a b\");":                        true,
		"CREATE INDEX i ON public.orders USING btree (id) INCLUDE (note);":              false,
		"CREATE INDEX i ON public.orders USING btree (id) WHERE (note = 'x');":          false,
		"CREATE INDEX note ON public.note USING btree (id);":                            false,
		"ALTER TABLE ONLY public.key ADD CONSTRAINT note PRIMARY KEY (id);":             false,
		"ALTER TABLE ONLY public.key ADD CONSTRAINT k UNIQUE NULLS NOT DISTINCT (key);": true,
		"ALTER TABLE ONLY public.orders CLUSTER ON note;":                               false,
	} {
		r := NewReader(strings.NewReader(text))
		p, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Keys(columns); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
