package rescue_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/rescue"
)

// rescued previews and applies a rescue of tables, and checks that they are then
// as they were before, and after the undo as after the harm.
func (w *world) rescued(was string, tables []string, choices ...rescue.Choice) {
	w.Helper()
	harmed := w.digest()
	p, dir := w.preview(tables, choices...)
	for _, t := range p.Tables {
		if t.Problem != "" {
			w.Fatalf("%s: %s", t.Table, t.Problem)
		}
	}
	_, undo, err := w.apply(p, dir)
	if err != nil {
		w.Fatal(err)
	}
	if got := w.digest(); got != was {
		w.Errorf("after the rescue\n%s\nand before the harm\n%s", got, was)
	}
	if _, err := w.undo(undo, false); err != nil {
		w.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		w.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
}

func TestApply_anyType(t *testing.T) {
	ranges, column := "'{[1,3),[5,9)}'", "int8multirange"
	if server.Cluster().Tools.Major < 14 { // it has none
		ranges, column = "'{1,5}'", "int8[]"
	}
	w := newWorld(t, `
		create schema app;
		create type app."mood's" as enum ('good', 'so "so"');
		create domain app.positive as int not null check (value > 0);
		create type app.point as (x int, "y z" text, d app.positive);
		create table app.everything (
			id app.positive primary key, ints int[], texts text[][], m app."mood's", moods app."mood's"[], c app.point, cs app.point[],
			b bytea, j json, jb jsonb, n numeric, f4 float4, f8 float8, ts timestamp, tz timestamptz, d date, i interval, r int4range, mr `+column+`,
			ch char(5), v varchar(3), bits bit(3), u uuid, x xml, ip inet, mo money, bo bool, ti timetz, tv tsvector, rc regclass, nm name);
		insert into app.everything select n, array[n, null, -1], array[['a"b', null], [E'\\', '{']], 'so "so"', array['good', null]::app."mood's"[],
			row(n, E'x\ty\\', 7)::app.point, array[row(1, null, 1)::app.point], '\x00ff5c'::bytea, '{"a":  1, "a":2}', '{"k": [1, null]}',
			case n when 1 then 'NaN' when 2 then '1.500' else n::numeric / 3 end, 'infinity', 1e-300 / 3 * n, 'infinity', '2026-03-29 02:30:00.123456+02', '4713-01-01 BC',
			'1 year -3 days 04:05:06.7', '[1,)', `+ranges+`, 'ab', 'äöü', b'101', gen_random_uuid(), '<a>b</a>', '10.0.0.0/8', 12.34, null, '12:00+05:30', 'a b:2', 'pg_class', 'x'
			from generate_series(1, 20) n`)
	was := w.digest()
	w.harm(`delete from app.everything where id <= 10; update app.everything set ints = null, c = null, j = '{}', n = 0, f8 = 0, m = null, b = '', ch = '', texts = '{}', tz = now(), x = null where id > 10`)
	w.rescued(was, []string{"app.everything"})
}

func TestApply_hostileNames(t *testing.T) {
	schema, table := `s"; drop table x; --`, `t$comeback$'\ü`
	q := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	full := q(schema) + "." + q(table)
	w := newWorld(t, `create schema `+q(schema)+`; create table `+full+` ("id"" ' \\.`+"\n"+`" int primary key, ":v" text, "select" text);
		insert into `+full+` select n, 'a', 'b' from generate_series(1, 5) n`)
	was := w.digest()
	w.harm(`delete from ` + full)
	w.rescued(was, []string{schema + "." + table})
}

// What other roles have put into schemas that are searched first is not used for
// anything that a rescue writes.
func TestApply_searchPath(t *testing.T) {
	w := newWorld(t, `
		create table t (id int primary key, v text); insert into t select n, 'v' from generate_series(1, 9) n;
		create schema trap; create table trap.used (what text);
		create function trap.eq(int, int) returns bool language plpgsql as $$ begin insert into trap.used values ('='); return true; end $$;
		create operator trap.= (leftarg = int, rightarg = int, function = trap.eq);
		create function trap.teq(text, text) returns bool language plpgsql as $$ begin insert into trap.used values ('text ='); return true; end $$;
		create operator trap.= (leftarg = text, rightarg = text, function = trap.teq);
		create function trap.count() returns bigint language plpgsql as $$ begin insert into trap.used values ('count'); return 0; end $$;
		create function trap.sha256(bytea) returns bytea language plpgsql as $$ begin insert into trap.used values ('sha256'); return $1; end $$;
		create table trap.t (id int primary key, v text)`)
	w.exec(`do $$ begin execute format('alter database %I set search_path = trap, public, pg_catalog', current_database()); end $$`)
	was := w.digest()
	w.harm(`delete from public.t where id operator(pg_catalog.>) 3`)
	w.rescued(was, []string{"t"})
}

// Triggers fire with the search path that they are used to, unless they are
// disabled; and they are put back as they were.
func TestApply_triggers(t *testing.T) {
	const schema = `
		create table t (id int primary key, v text, touched timestamptz default 'epoch');
		create table audit (n serial, id int, what text);
		create function note() returns trigger language plpgsql as $$ begin insert into audit (id, what) values (coalesce(new.id, old.id), tg_op); return null; end $$;
		create function touch() returns trigger language plpgsql as $$ begin new.touched = clock_timestamp(); return new; end $$;
		insert into t select n, 'v' from generate_series(1, 9) n;
		create trigger note after insert or update or delete on t for each row execute function note();
		create trigger touch before update on t for each row execute function touch();
		alter table t enable always trigger note`
	const harm = `delete from t where id <= 3; update t set v = 'bad' where id > 6`
	t.Run("fire", func(t *testing.T) {
		w := newWorld(t, schema)
		w.harm(harm)
		p, dir := w.preview([]string{"t"})
		if g := p.Tables[0].Triggers; len(g) != 2 || g[0].Says != "after insert or update or delete, for each row: public.note()" || g[1].Says != "before update, for each row: public.touch()" {
			t.Fatalf("the triggers that fire: %+v", g)
		}
		a, undo, err := w.apply(p, dir)
		if err != nil {
			t.Fatal(err)
		}
		if d := a.Tables[0]; d.Inserted != 3 || d.Updated != 3 || d.AlteredRows != 3 || len(d.Altered) != 1 || d.Altered[0] != "touched" {
			t.Errorf("applied: %+v", d)
		}
		if got := w.rows("select count(*) from audit"); got != "12" {
			t.Errorf("the trigger wrote %s rows, of the harm and of the rescue", got)
		}
		if _, err := w.undo(undo, false); err != nil {
			t.Fatal(err)
		}
		if got := w.rows("select string_agg(id || v, ' ' order by id) from t"); got != "4v 5v 6v 7bad 8bad 9bad" {
			t.Errorf("after the undo: %s", got)
		}
	})
	t.Run("disabled", func(t *testing.T) {
		w := newWorld(t, schema)
		was := w.rows("select string_agg(t::text, ' ' order by id) from t")
		w.harm(harm)
		p, dir := w.preview([]string{"t"}, rescue.Choice{Table: name("t"), Disable: []string{"note", "touch"}})
		if len(p.Tables[0].Locks) != 3 || !strings.Contains(p.Tables[0].Locks[1], "3 rows that are updated or removed") || !strings.Contains(p.Tables[0].Locks[2], "SHARE ROW EXCLUSIVE") {
			t.Errorf("locks: %q", p.Tables[0].Locks)
		}
		_, undo, err := w.apply(p, dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.rows("select string_agg(t::text, ' ' order by id) from t"); got != was {
			t.Errorf("after the rescue %s, before the harm %s", got, was)
		}
		if _, err := w.undo(undo, false); err != nil {
			t.Fatal(err)
		}
		if got := w.rows("select count(*), (select string_agg(format('%s%s', tgname, tgenabled), ' ' order by tgname) from pg_trigger where not tgisinternal) from audit"); got != "6|noteA touchO" {
			t.Errorf("audited, and the triggers: %s", got)
		}
	})
}

func TestApply_partitions(t *testing.T) {
	w := newWorld(t, `
		create table m (at date, id int, v text, primary key (at, id)) partition by range (at);
		create table m1 partition of m for values from ('2026-01-01') to ('2026-02-01');
		create table m2 (v text, id int not null, at date not null);
		alter table m attach partition m2 for values from ('2026-02-01') to ('2026-03-01');
		insert into m select date '2026-01-01' + n % 59, n, 'v' from generate_series(1, 500) n`)
	was, rows := w.digest(), w.rows("select count(*) from m1")
	w.harm(`delete from m1 where id % 2 = 0; update m set v = 'bad' where at >= '2026-02-10'`)
	w.rescued(was, []string{"m"})
	// Only one partition is read, and its rows find their way.
	w.rescuedIn("m1", rows)
}

// rescuedIn rescues what one partition lost.
func (w *world) rescuedIn(leaf, want string) {
	w.Helper()
	p, dir := w.preview([]string{leaf})
	if len(p.Tables) != 1 || p.Tables[0].Live.String() != "m" || p.Tables[0].Update != 0 || p.Tables[0].Insert == 0 {
		w.Fatalf("the preview: %s", counts(p.Tables[0]))
	}
	if _, _, err := w.apply(p, dir); err != nil {
		w.Fatal(err)
	}
	if got := w.rows("select count(*) from m1"); got != want {
		w.Errorf("the partition has %s rows again, and had %s", got, want)
	}
}

// A table without a key cannot be told row by row; all of it comes back under another
// name, with every row that was there twice.
func TestSteps_keyless(t *testing.T) {
	w := newWorld(t, `create table log (at int, what text); insert into log select n % 5, 'same' from generate_series(1, 100) n`)
	was := w.rows("select count(*), sum(at) from log")
	w.harm(`delete from log where at > 2`)
	harmed := w.digest()
	p, _ := w.preview([]string{"log"})
	if !strings.Contains(p.Tables[0].Problem, "cannot be told apart") {
		t.Errorf("its rows: %+v", p.Tables[0])
	}
	s := newStage(w)
	a := w.args("log")
	a.After, a.XIDs, a.Choices = "", nil, []rescue.Chosen{{Table: "log", Into: "log_rescued"}}
	s.must(a, rescue.KindDiff)
	s.must(a, rescue.KindPreview)
	s.must(a, rescue.KindApply)
	if got := w.rows("select count(*), sum(at) from log_rescued"); got != was {
		t.Errorf("%s came back, and there was %s", got, was)
	}
	if _, err := s.undone(false); err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
}

// Tables that refer to each other in a circle that is checked at once cannot be filled
// one after the other: that is refused, nothing is changed, and what is to be done helps.
func TestApply_circle(t *testing.T) {
	w := newWorld(t, `create table a (id int primary key, b int not null); create table b (id int primary key, a int not null references a);
		insert into a select n, n from generate_series(1, 9) n; insert into b select n, n from generate_series(1, 9) n; alter table a add foreign key (b) references b`)
	was := w.digest()
	w.before = w.copy("before")
	w.exec("begin; alter table a drop constraint a_b_fkey; delete from b where id > 5; delete from a where id > 5; alter table a add foreign key (b) references b; commit")
	w.after = w.copy("after")
	harmed := w.digest()
	p, dir := w.preview([]string{"a", "b"})
	_, _, err := w.apply(p, dir)
	const help = `alter table "public"."a" alter constraint "a_b_fkey" deferrable`
	if err == nil || !strings.Contains(recovery.HintOf(err), help) || !strings.Contains(err.Error(), "violates foreign key") {
		t.Fatalf("applied: %v (%s)", err, recovery.HintOf(err))
	}
	if got := w.digest(); got != harmed {
		t.Error("live was changed")
	}
	w.exec(help)
	w.rescued(was, []string{"a", "b"})
}

func TestApply_changedTable(t *testing.T) {
	w := newWorld(t, `
		create table t (id int primary key, gone text, kept text, named text, typed int);
		insert into t select n, 'g', 'k', 'n', n from generate_series(1, 10) n`)
	w.harm(`delete from t where id <= 5; update t set kept = 'bad', named = 'bad', gone = 'bad' where id > 5`)
	w.exec(`alter table t drop column gone; alter table t rename named to renamed; alter table t alter typed type bigint;
		alter table t add fresh text default 'new'; alter table t rename to moved`)
	p, dir := w.preview([]string{"t"})
	notes := strings.Join(p.Tables[0].Notes, "; ")
	for _, want := range []string{"live calls it moved now", "live has no column gone any more", "live calls the column named renamed now", "typed was integer and is bigint", "column fresh is new: in an inserted row it gets its default"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not told in %q", want, notes)
		}
	}
	harmed := w.digest()
	_, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.rows("select count(*), string_agg(distinct kept || renamed || fresh, ''), sum(typed) from moved"); got != "10|knnew|55" {
		t.Errorf("after the rescue: %s", got)
	}
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
}

// What was changed after the rescue is not taken back: nothing is, or on demand
// the rest.
func TestUndo_changedSince(t *testing.T) {
	w := newWorld(t, `
		create table p (id int primary key, v text); create table c (id int primary key, p int references p on delete cascade);
		insert into p select n, 'v' from generate_series(1, 10) n; insert into c select n, n from generate_series(1, 10) n`)
	w.harm(`delete from c; delete from p where id <= 8; update p set v = 'bad' where id > 8`)
	p, dir := w.preview([]string{"p", "c"})
	_, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(`update p set v = 'mine' where id in (1, 9); insert into c values (100, 2); delete from c where id = 4`)
	now := w.digest()
	if _, err := w.undo(undo, false); err == nil || !strings.Contains(err.Error(), "c: inserted rows stay: 1 of 10; p: inserted rows stay: 2 of 8; p: updated rows stay: 1 of 2") {
		t.Fatalf("an undo over changed rows: %v", err)
	}
	if w.digest() != now {
		t.Error("the refused undo changed something")
	}
	if _, err := w.undo(undo, true); err != nil {
		t.Fatal(err)
	}
	if got := w.rows(`select string_agg(id || v, ' ' order by id) || ' / ' || (select string_agg(id::text, ' ' order by id) from c) from p`); got != "1mine 2v 9mine 10bad / 100" {
		t.Errorf("after the undo of the rest: %s", got)
	}
}

// Whoever inserts after a rescue gets a key that is free, whichever sequence gives it; one
// that is ahead stays where it is, and none goes back in an undo.
func TestApply_sequences(t *testing.T) {
	w := newWorld(t, `
		create sequence shared; create schema "s s";
		create table "s s".own (id int generated always as identity primary key, other int default nextval('shared'), v text);
		create table down (id bigint generated by default as identity (increment by -3 start with -1) primary key, v text);
		create table far (id serial primary key, v text);
		create table ahead (id serial primary key, v text);
		insert into "s s".own (v) select 'v' from generate_series(1, 100); insert into down (v) select 'v' from generate_series(1, 100);
		insert into far (id, v) values (5000000, 'v'), (2147483647, 'no key that was given'); insert into ahead (v) select 'v' from generate_series(1, 100)`)
	was := w.digest()
	w.harm(`delete from "s s".own where id > 20; delete from down where id < -40; delete from far; delete from ahead where id > 50`)
	w.exec(`select setval('"s s".own_id_seq', 20), setval('shared', 1, false), setval('down_id_seq', -40), setval('far_id_seq', 1, false), setval('ahead_id_seq', 700)`)
	harmed := w.digest()
	p, dir := w.preview([]string{"s s.own", "down", "far", "ahead"})
	a, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != was {
		t.Errorf("after the rescue\n%s\nand before the harm\n%s", got, was)
	}
	var told []string
	for _, table := range a.Tables {
		for _, s := range table.Advanced {
			told = append(told, fmt.Sprint(s.Sequence, " ", s.Column, " ", s.From, " to ", s.To))
		}
		if len(table.Behind) > 0 {
			t.Errorf("behind: %q", table.Behind)
		}
	}
	slices.Sort(told)
	if want := []string{"down_id_seq id -40 to -298", "far_id_seq id 1 to 5000000", "s s.own_id_seq id 20 to 100", "shared other 1 to 100"}; !slices.Equal(told, want) {
		t.Errorf("advanced: %q, want %q", told, want)
	}
	const next = `insert into "s s".own (v) values ('new'); insert into down (v) values ('new'); insert into far (v) values ('new'); insert into ahead (v) values ('new');
		select (select max(id) || ' ' || max(other) from "s s".own), (select min(id) from down), (select max(id) from far where v = 'new'), (select max(id) from ahead)`
	if got := w.rows(next); got != "101 101|-301|5000001|701" {
		t.Errorf("the next keys are %s", got)
	}
	w.exec(`delete from "s s".own where v = 'new'; delete from down where v = 'new'; delete from far where v = 'new'; delete from ahead where v = 'new'`)
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
	if got := w.rows(next); got != "102 102|-304|5000002|702" {
		t.Errorf("after the undo the next keys are %s", got)
	}
}

// A sequence that a role may not move is named, with what to do.
func TestApply_sequenceOfOthers(t *testing.T) {
	w := newWorld(t, `create table t (id serial primary key, v text); insert into t (v) select 'v' from generate_series(1, 9)`)
	clerk := fmt.Sprintf("clerk_%d", databases.Load())
	w.exec(`create role ` + clerk + `; grant all on t to ` + clerk + `; grant pg_read_all_settings to ` + clerk)
	w.harm(`delete from t where id > 3`)
	w.exec(`select setval('t_id_seq', 3)`)
	p, dir := w.preview([]string{"t"})
	live := w.conn(w.live)
	w.query(live, "set role "+clerk)
	a, err := rescue.Apply(within(t), rescue.ApplyOptions{Live: live, Identity: w.identity(), Preview: p, Dir: dir, Undo: func(uint64) (io.WriteCloser, error) { return &script{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if behind := strings.Join(a.Tables[0].Behind, "; "); a.Tables[0].Inserted != 6 || !strings.Contains(behind, "the sequence t_id_seq may give keys") || !strings.Contains(behind, "up to 9: permission denied") {
		t.Errorf("%+v", a.Tables[0])
	}
}
