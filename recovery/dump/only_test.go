package dump_test

import (
	"context"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// One table comes back out of a dump of any form, with what it is built on and
// without the rows of any other.
func TestRestore_OnlyTable(t *testing.T) {
	forms := map[string]map[string][]byte{
		"plain":     {"shop.sql.gz": gz(t, dumpOf(t, "shop", "--create", "--clean"))},
		"inserts":   {"shop.sql": dumpOf(t, "shop", "--inserts", "--rows-per-insert=100")},
		"custom":    {"shop.dump": dumpOf(t, "shop", "--format=custom")},
		"directory": directoryDump(t),
		"tar":       {"shop.tar": dumpOf(t, "shop", "--format=tar")},
	}
	const others = "select count(*) from pg_class where relkind in ('r', 'p', 'm') and relnamespace::regnamespace::text in ('public', 'app')"
	for _, test := range []struct {
		form, table, digest string
		// says is the refusal, where there is one.
		says string
	}{
		{"plain", "orders", "select md5(string_agg(o::text, '|' order by id)) from public.orders o", ""},
		{"inserts", "public.orders", "select md5(string_agg(o::text, '|' order by id)) from public.orders o", ""},
		{"custom", "orders", "select md5(string_agg(o::text, '|' order by id)) from public.orders o", ""},
		{"directory", "items", `select md5(string_agg(o::text, '|' order by o::text)) from public.items o`, ""},
		{"tar", "events_rest", "select md5(string_agg(o::text, '|' order by o::text)) from public.events_rest o", ""},
		{"custom", "COPY x FROM stdin;", `select md5(string_agg(o::text, '|' order by o::text)) from public."COPY x FROM stdin;" o`, ""},
		{"plain", "COPY x FROM stdin;", `select md5(string_agg(o::text, '|' order by o::text)) from public."COPY x FROM stdin;" o`, ""},
		{"custom", "events", "", "is partitioned"},
		{"plain", "carts", "", "holds no table carts"},
		{"tar", "app.orders", "", "holds no table app.orders"},
	} {
		t.Run(test.form+" "+test.table, func(t *testing.T) {
			t.Parallel()
			store := directory(t, forms[test.form])
			e := dump.New(dump.Options{})
			want := recovery.Want{Kind: recovery.WantLatest, Text: "latest", Table: test.table}
			p, err := e.Resolve(t.Context(), survey(t, component, store), want, store)
			if err != nil {
				t.Fatal(err)
			}
			owner, err := postgres.ServerUser()
			if err != nil {
				t.Fatal(err)
			}
			var digest, tables string
			o := enginetest.Options{Engine: e, Component: component, Point: p, Owner: owner, Stores: map[string]storage.Store{"nearby": store}, Releasers: []recovery.Releaser{postgres.ReleaseCluster{}},
				Probe: func(_ context.Context, env recovery.Env) error {
					b, _ := env.Binding(component.Name)
					digest, tables = ask(t, b.URL, test.digest), ask(t, b.URL, others)
					return nil
				}}
			end := enginetest.Restore(t, o)
			if says, hint := enginetest.Failure(end); test.says != "" {
				if !strings.Contains(says, test.says) || hint == "" || end.Result != recovery.ResultRefused {
					t.Errorf("%s: %q (%q), want %q", end.Result, says, hint, test.says)
				}
				return
			} else if end.Result != recovery.ResultPassed {
				t.Fatalf("%s: %s (%s)", end.Result, says, hint)
			}
			if want := ask(t, source.URL("shop"), test.digest); digest != want || tables != "1" {
				t.Errorf("the digest is %s, want %s; there are %s tables", digest, want, tables)
			}
			if says := step(t, end, "restore").Outcome.Says; !strings.HasPrefix(says, "only "+strings.TrimPrefix(test.table, "public.")+" of ") || !strings.Contains(says, " rows") {
				t.Errorf("it says %q", says)
			}
		})
	}
}
