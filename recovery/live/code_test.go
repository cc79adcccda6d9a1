package live_test

import (
	"slices"
	"strings"
	"testing"

	"comeback/recovery/live"
)

// code is what is told of the code that statements make in the restored database and in live;
// it goes again.
func (w *two) code(t *testing.T, d live.Database, inScratch, inLive []string) live.Code {
	t.Helper()
	onLive := connect(t, w.live.URL("shop"))
	run(t, w.inScratch, append([]string{"create schema code"}, inScratch...)...)
	run(t, onLive, append([]string{"create schema code"}, inLive...)...)
	told, err := d.Code(within(t), w.source().Address)
	if err != nil {
		t.Fatal(err)
	}
	run(t, w.inScratch, "drop schema code cascade", "update pg_language set lanpltrusted = false where lanname = 'internal'")
	run(t, onLive, "drop schema code cascade")
	return told
}

func powers(c live.Code) (all []string) {
	for _, p := range c.Powers {
		all = append(all, p.Kind+": "+p.Says)
	}
	return all
}

const (
	pid      = "create function code.pid() returns int language internal as 'pg_backend_pid'"
	guard    = "create function code.guard() returns event_trigger language plpgsql as 'begin null; end'"
	guards   = "create event trigger guard on ddl_command_end execute function code.guard()"
	sleeps   = "alter event trigger guard disable"
	definer  = "create function code.root() returns text language sql security definer as 'select 1::text'"
	positive = "create function code.positive(n int) returns bool language plpgsql immutable as 'begin return n > 0; end'"
)

// What only a superuser may make, and live does not have in the same bytes, is told as a
// power; other code that differs is told, too, first what runs while rows are loaded. What is
// the same on both sides is nothing, and neither is what PostgreSQL makes by itself.
func TestDatabase_Code(t *testing.T) {
	w := openTwo(t)
	d := w.database(t, "shop")
	run(t, w.inScratch, "create role ordinary superuser")
	run(t, w.root, "create role ordinary login")
	for name, test := range map[string]struct {
		scratch, live              []string
		powers, functions, loading []string
	}{
		"nothing":              {},
		"an internal function": {scratch: []string{pid}, powers: []string{"internal: function code.pid() in internal"}},
		"the same one":         {scratch: []string{pid}, live: []string{pid}},
		"another of its name":  {scratch: []string{pid}, live: []string{strings.Replace(pid, "'pg_backend_pid'", "'pg_trigger_depth'", 1)}, powers: []string{"internal: function code.pid() in internal"}},
		"one that calls itself trusted": {scratch: []string{pid, "update pg_language set lanpltrusted = true where lanname = 'internal'"},
			powers: []string{"internal: function code.pid() in internal"}},
		"an event trigger":           {scratch: []string{guard, guards}, powers: []string{"event-triggers: event trigger guard on ddl_command_end"}, functions: []string{"code.guard()"}},
		"the same event trigger":     {scratch: []string{guard, guards}, live: []string{guard, guards}},
		"one that is disabled":       {scratch: []string{guard, guards, sleeps}, live: []string{guard}},
		"one that live has disabled": {scratch: []string{guard, guards}, live: []string{guard, guards, sleeps}, powers: []string{"event-triggers: event trigger guard on ddl_command_end"}},
		"one that does something else": {scratch: []string{guard, guards}, live: []string{strings.Replace(guard, "null", "perform 1", 1), guards},
			powers: []string{"event-triggers: event trigger guard on ddl_command_end"}, functions: []string{"code.guard()"}},
		"a superuser's definer": {scratch: []string{definer}, powers: []string{"definers: function code.root(), which runs with the rights of postgres, whoever calls it"}, functions: []string{"code.root()"}},
		"the same definer":      {scratch: []string{definer}, live: []string{definer}},
		"one that is none in live": {scratch: []string{definer}, live: []string{strings.Replace(definer, "security definer", "", 1)},
			powers: []string{"definers: function code.root(), which runs with the rights of postgres, whoever calls it"}},
		"one of another owner in live": {scratch: []string{definer}, live: []string{definer, "alter function code.root() owner to ordinary"},
			powers: []string{"definers: function code.root(), which runs with the rights of postgres, whoever calls it"}},
		"of a superuser who is none in live": {scratch: []string{definer, "alter function code.root() owner to ordinary"}, functions: []string{"code.root()"}},
		"trusted functions":                  {scratch: []string{positive, "create function code.other() returns int language sql as 'select 1'"}, functions: []string{"code.other()", "code.positive(n integer)"}},
		"a constraint":                       {scratch: []string{positive, "create table code.t (n int check (code.positive(n)))"}, functions: []string{"code.positive(n integer)"}, loading: []string{"code.positive(n integer)"}},
		"a domain":                           {scratch: []string{positive, "create domain code.d as int check (code.positive(value))"}, functions: []string{"code.positive(n integer)"}, loading: []string{"code.positive(n integer)"}},
		"a generated column": {scratch: []string{positive, "create table code.t (n int, p bool generated always as (code.positive(n)) stored)"},
			functions: []string{"code.positive(n integer)"}, loading: []string{"code.positive(n integer)"}},
		"a partition key":                       {scratch: []string{positive, "create table code.t (n int) partition by list (code.positive(n))"}, functions: []string{"code.positive(n integer)"}, loading: []string{"code.positive(n integer)"}},
		"a default":                             {scratch: []string{positive, "create table code.t (n int, p bool default code.positive(1))"}, functions: []string{"code.positive(n integer)"}},
		"what types and aggregates are made of": {scratch: []string{"create type code.span as range (subtype = float8)", "create aggregate code.total(int) (sfunc = int4pl, stype = int)"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.code(t, d, test.scratch, test.live)
			if got.Superuser != "postgres" || got.Closed || got.Digest == "" || !slices.Equal(powers(got), test.powers) || !slices.Equal(got.Functions, test.functions) || !slices.Equal(got.Loading, test.loading) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// As what a role loads that is no superuser PostgreSQL itself judges; a database that lets
// nobody in has nothing to compare with, and an extension that live has not is told.
func TestDatabase_Code_others(t *testing.T) {
	w := openTwo(t)
	d := w.database(t, "shop")
	run(t, w.root, "create role ordinary login")
	ordinary := d
	ordinary.Address = strings.Replace(d.Address, "user=postgres", "user=ordinary", 1)
	if got := w.code(t, ordinary, []string{pid, definer}, nil); got.Superuser != "" || len(got.Powers) > 0 || got.Digest != "" {
		t.Errorf("to a role that is no superuser: %+v", got)
	}

	// No such extension has to be installed to be listed.
	run(t, w.inScratch, "insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) values (99999, 'vector', 10, 11, true, '1')")
	if got := w.code(t, d, nil, nil); !slices.Equal(got.Extensions, []string{"vector"}) || len(got.Powers) > 0 {
		t.Errorf("an extension: %+v", got)
	}
	run(t, w.inScratch, "create schema code", pid, positive)
	run(t, connect(t, w.live.URL("shop")), "create schema code", pid)
	run(t, w.root, "alter database shop allow_connections false")
	got, err := d.Code(within(t), w.source().Address)
	if err != nil || !got.Closed || got.Database != "shop" || !slices.Equal(powers(got), []string{"internal: function code.pid() in internal"}) || len(got.Functions)+len(got.Extensions) > 0 {
		t.Errorf("of a database that lets nobody in: %+v, %v", got, err)
	}
}

// What is loaded is the code that was looked at, and no other.
func TestDatabase_Load_codeSeen(t *testing.T) {
	w := openTwo(t)
	d := w.database(t, "shop")
	run(t, w.inScratch, "create schema code", positive)
	seen, err := d.Code(within(t), w.source().Address)
	if err != nil {
		t.Fatal(err)
	}
	for undo, change := range map[string][]string{
		"drop function code.pid()":                       {pid},
		"alter function code.positive security invoker":  {"alter function code.positive security definer"},
		"alter function code.positive reset search_path": {"alter function code.positive set search_path = code"},
		"drop function code.guard() cascade":             {guard, guards},
	} {
		run(t, w.inScratch, change...)
		source := w.source()
		source.Code = seen.Digest
		_, err := d.Load(within(t), &env{}, source)
		refused(t, err, "is not what it was when it was looked at")
		run(t, w.inScratch, undo)
	}
	if all := w.list(t); strings.Contains(all, "_cb_") {
		t.Errorf("databases: %s", all)
	}
	source := w.source()
	source.Code = seen.Digest
	if loaded, err := d.Load(within(t), &env{}, source); err != nil || loaded.Tables != 1 {
		t.Errorf("what was looked at: %+v, %v", loaded, err)
	}
}
