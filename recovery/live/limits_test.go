package live_test

import (
	"strconv"
	"strings"
	"testing"

	"comeback/recovery"
)

// holding is an env whose verification waits for a lock before it counts a table: the
// session that holds it lets go by itself.
type holding struct {
	env
	table string
	hold  func()
}

func (e *holding) Note(text string) {
	if text == e.table && e.hold != nil {
		e.hold()
		e.hold = nil
	}
	e.env.Note(text)
}
func (e *holding) Meter() recovery.Meter { return e }

// Neither the limits that came back with the database nor those of the live server end what
// loads and counts it, or the session that waits for that.
func TestDatabase_Load_limited(t *testing.T) {
	ctx := within(t)
	p := openPlace(t)
	scratch := connect(t, p.scratch.URL("shop"))
	run(t, scratch, "create table slow (id int primary key)", "insert into slow values (1), (2), (3)",
		"create function slowly(int) returns int immutable language plpgsql as 'begin perform pg_sleep(0.2); return $1; end'", "create index on slow (slowly(id))",
		"alter database shop set statement_timeout = '1ms'", "alter database shop set idle_in_transaction_session_timeout = '1ms'")
	root := connect(t, p.Layout.URL("postgres", "postgres"))
	settings := []string{"statement_timeout = '300ms'", "lock_timeout = '300ms'", "idle_in_transaction_session_timeout = '300ms'"}
	if major, err := strconv.Atoi(text(t, root, "select (current_setting('server_version_num')::int4 / 10000)::text")); err != nil {
		t.Fatal(err)
	} else if major >= 14 {
		settings = append(settings, "idle_session_timeout = '300ms'")
	}
	d := p.database(t)
	released := make(chan error, 1)
	e := &holding{table: `"public"."slow"`, hold: func() {
		beside := connect(t, p.Layout.URL("postgres", "shop_cb_7c31"))
		run(t, beside, "set statement_timeout = 0", "set idle_in_transaction_session_timeout = 0", "begin", "lock table slow")
		go func() {
			_, err := beside.PgConn().Exec(ctx, "select pg_sleep(1); rollback").ReadAll()
			released <- err
		}()
	}}
	for _, set := range settings { // for sessions that begin from now on, and root lifts its own
		name, _, _ := strings.Cut(set, " ")
		run(t, root, "alter system set "+set, "set "+name+" = 0")
	}
	run(t, root, "select pg_reload_conf()")
	loaded, err := d.Load(ctx, e, p.source())
	if err != nil {
		t.Fatal(err)
	}
	if e.hold != nil || loaded.Rows == 0 {
		t.Fatalf("%+v, and the table was not held: %v", loaded, e.hold != nil)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
}

// An extension that a server lets exist in one database only is refused before anything is
// made: the new one is another until it is live.
func TestDatabase_Load_tiedExtension(t *testing.T) {
	p := openPlace(t)
	// No such extension has to be installed to be listed.
	run(t, connect(t, p.scratch.URL("shop")), "insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) values (99999, 'pg_cron', 10, 11, true, '1.6')")
	_, err := p.database(t).Load(within(t), &env{}, p.source())
	refused(t, err, "pg_cron, which can be only in the database that cron.database_name names")
	if hint := recovery.HintOf(err); !strings.Contains(hint, "into: cluster") {
		t.Errorf("next: %s", hint)
	}
	if all := p.databases(t); strings.Contains(all, "_cb_") {
		t.Errorf("databases: %s", all)
	}
}

// A materialized view that was behind its tables is filled anew by pg_restore: that is told,
// and is no reason to refuse what was loaded.
func TestDatabase_Load_staleView(t *testing.T) {
	p := openPlace(t)
	run(t, connect(t, p.scratch.URL("shop")), "create table kept as select 1 as id", "create materialized view m as select * from kept", "create materialized view same as select * from kept limit 1",
		"create materialized view empty as select * from kept with no data",
		"create materialized view m1 as select * from kept", "create materialized view m2 as select * from m1", "refresh materialized view m1 with no data", "insert into kept values (2), (3)")
	d := p.database(t)
	for range 2 { // loads, and finds what it has loaded
		loaded, err := d.Load(within(t), &env{}, p.source())
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(loaded.Remarks, "; "); !strings.Contains(said, `"public"."m" (1 rows before, 3 now)`) || strings.Contains(said, "same") || !strings.Contains(said, `filled are not any more, because what they are made of was not filled in the backup; refresh them: "public"."m2"`) {
			t.Errorf("it says %q", said)
		}
	}
}

// Statistics that cannot be gathered, as of an expression that divides by zero, keep nothing
// from being loaded: they are told, and those of other tables are there.
func TestDatabase_Load_statisticsThatFail(t *testing.T) {
	p := openPlace(t)
	scratch := connect(t, p.scratch.URL("shop"))
	if major, err := strconv.Atoi(text(t, scratch, "select (current_setting('server_version_num')::int4 / 10000)::text")); err != nil {
		t.Fatal(err)
	} else if major < 14 {
		return // it has no statistics of expressions
	}
	run(t, scratch, "create table divided (a int, b int, c int)", "create table other as select 1 as a", "create statistics s on (a / b), c from divided", "insert into divided values (1, 0, 1), (2, 1, 2)")
	loaded, err := p.database(t).Load(within(t), &env{}, p.source())
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(loaded.Exceptions, "; "); said != "statistics of public.divided could not be gathered: division by zero; queries of it may be slow" {
		t.Errorf("it says %q", said)
	}
	beside := connect(t, p.Layout.URL("postgres", "shop_cb_7c31"))
	if got := text(t, beside, "select string_agg(relname || ' ' || (reltuples >= 0), ',' order by relname) from pg_class where relname in ('divided', 'other')"); got != "divided false,other true" {
		t.Errorf("statistics: %s", got)
	}
}
