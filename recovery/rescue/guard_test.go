package rescue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/rescue"
)

// A rescue in the middle of other people's writes to the same table brings its
// rows back and changes nothing else, and nobody's write fails.
func TestApply_underLoad(t *testing.T) {
	w := newWorld(t, `create table accounts (id int primary key, balance bigint not null, filler text);
		insert into accounts select n, n, repeat('x', 80) from generate_series(1, 3000) n`)
	const lost = "select md5(string_agg(a::text, ' ' order by id)) from accounts a where id % 3 = 0 and id <= 3000"
	was := w.rows(lost)
	w.harm(`delete from accounts where id % 3 = 0`)
	ctx, stop := context.WithCancel(within(t))
	defer stop()
	var mu sync.Mutex
	truth := map[int]int64{} // what the others have written
	var writers sync.WaitGroup
	for n := range 3 {
		conn := w.conn(w.live)
		random := rand.New(rand.NewPCG(uint64(n), 1))
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// Each has rows of its own, of those that are left, and adds some.
				id := (random.IntN(300)*3+n)*3 + 1
				sql := "update accounts set balance = $2 where id = $1"
				if i%5 == 0 {
					id, sql = 10_000_000*(n+1)+i, "insert into accounts values ($1, $2, 'new')"
				}
				tag, err := conn.Exec(context.WithoutCancel(ctx), sql, id, int64(i))
				if err != nil || tag.RowsAffected() != 1 {
					t.Errorf("a write beside the rescue: %v, %s", err, tag)
					return
				}
				mu.Lock()
				truth[id] = int64(i)
				mu.Unlock()
			}
		})
	}
	p, dir := w.preview([]string{"accounts"})
	_, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.rows(lost); got != was {
		t.Error("what came back is not what was lost")
	}
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	stop()
	writers.Wait()
	if got := w.rows("select count(*) from accounts where id % 3 = 0 and id <= 3000"); got != "0" {
		t.Errorf("%s rows are left after the undo", got)
	}
	var want []string
	for id, balance := range truth {
		want = append(want, fmt.Sprintf("(%d,%d)", id, balance))
	}
	wrong := w.rows(fmt.Sprintf(`with truth(id, balance) as (values %s), others as (
		select id, balance from accounts where id not in (select id from truth))
		select (select count(*) from truth t left join accounts a using (id) where a.balance is distinct from t.balance) || ' '
			|| (select count(*) from others where id <> balance) || ' ' || (select count(*) from others)`, strings.Join(want, ",")))
	updated := 0
	for id := range truth {
		if id < 10000 {
			updated++
		}
	}
	if got := fmt.Sprintf("0 0 %d", 2000-updated); wrong != got {
		t.Errorf("written beside the rescue and otherwise now, never written and otherwise now, never written: %s, want %s", wrong, got)
	}
}

// A lock that is held is not waited for long, and nothing is changed then.
func TestApply_locked(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, v int); insert into t select n, n from generate_series(1, 9) n`)
	w.harm(`update t set v = 0`)
	p, dir := w.preview([]string{"t"}, rescue.Choice{Table: name("t")})
	harmed := w.digest()
	holder := w.conn(w.live)
	w.query(holder, `begin; update t set v = 0 where id = 5`)
	live := w.conn(w.live)
	_, err := rescue.Apply(within(t), rescue.ApplyOptions{Live: live, Identity: w.identity(), Preview: p, Dir: dir, LockTimeout: 50 * time.Millisecond,
		Undo: func(uint64) (io.WriteCloser, error) { return &script{}, nil }})
	if err == nil || !strings.Contains(err.Error(), "remember the rows of t: canceling statement due to lock timeout") || !strings.Contains(recovery.HintOf(err), "nothing was changed") {
		t.Errorf("behind a lock: %v", err)
	}
	w.query(holder, "rollback")
	if w.digest() != harmed {
		t.Error("live was changed")
	}
}

// Whoever is about to refer to a row that an undo takes away is waited for, and keeps
// what was written: it does not go along by a cascade.
func TestUndo_besideWriters(t *testing.T) {
	w := newWorld(t, `create table p (id int primary key, at int) partition by range (id); create table p1 partition of p for values from (0) to (100);
		create table plain (id int primary key); create table c (id int primary key, plain int references plain on delete cascade, p int references p on delete set null, p1 int references p1 on delete cascade);
		insert into p select n, n from generate_series(1, 9) n; insert into plain select generate_series(1, 9)`)
	w.harm(`delete from p; delete from plain`)
	prev, dir := w.preview([]string{"p", "plain"})
	_, undo, err := w.apply(prev, dir)
	if err != nil {
		t.Fatal(err)
	}
	watch := w.conn(w.live)
	for column, stays := range map[string]string{"plain": "plain: inserted rows stay: 1 of 9", "p": "p: inserted rows stay: 1 of 9", "p1": "p: inserted rows stay: 1 of 9"} {
		writer := w.conn(w.live)
		w.query(writer, "begin; insert into c (id, "+column+") values (1, 5)")
		done := make(chan error, 1)
		undoer := w.conn(w.live)
		id := w.identity()
		go func() {
			_, err := rescue.Undo(within(t), rescue.UndoOptions{Live: undoer, Identity: id, Script: bytes.NewReader(undo.Bytes())})
			done <- err
		}()
		for w.query(watch, fmt.Sprintf("select pg_blocking_pids(%d)", undoer.PgConn().PID())) == "{}" {
			select {
			case err := <-done:
				t.Fatalf("%s: it did not wait: %v", column, err)
			default:
			}
		}
		w.query(writer, "commit")
		if err := <-done; recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), stays) {
			t.Errorf("%s: an undo beside somebody who refers to one of its rows: %v", column, err)
		}
		if got := w.query(writer, "select "+column+" from c"); got != "5" {
			t.Errorf("%s: somebody else's row is %q", column, got)
		}
		w.query(writer, "delete from c")
	}
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	if got := w.rows("select (select count(*) from p) + (select count(*) from plain)"); got != "0" {
		t.Errorf("%s rows are left after the undo", got)
	}
}

// One value of a unique column that somebody has taken since keeps one row as it is, and the
// others come back; a value that a row has already, in another way of writing, is its own.
func TestApply_takenValue(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, v text, u numeric unique); insert into t select n, 'v', n + 0.5 from generate_series(1, 10) n`)
	w.harm(`update t set u = u + 100, v = 'bad' where id <= 5; update t set u = 6.50, v = 'bad' where id = 6`)
	w.exec(`insert into t values (11, 'mine', 2.5)`)
	p, dir := w.preview([]string{"t"})
	if got := counts(p.Tables[0]); got != "t: insert 0, update 5, remove 0, already 0, left 0, conflict 1, orphans 0" {
		t.Errorf("the preview: %s", got)
	}
	if _, _, err := w.apply(p, dir); err != nil {
		t.Fatal(err)
	}
	if got := w.rows("select string_agg(id || ':' || u, ' ' order by id) from t where v <> 'v' or id < 7"); got != "1:1.5 2:102.5 3:3.5 4:4.5 5:5.5 6:6.5 11:2.5" {
		t.Errorf("after the rescue: %s", got)
	}
}

// A value that a row still has which the rescue does not touch, because somebody has changed it
// since, is taken: what was to get it stays as it is, and so does what was to get the value of
// that. All others come back, also where values only changed places.
func TestApply_takenByWhatStays(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, u text unique deferrable initially deferred, phone text); insert into t select n, 'u' || n, '1' from generate_series(1, 10) n`)
	w.harm(`update t set u = case id when 3 then 'gone' when 2 then 'u3' when 1 then 'u2' when 4 then 'u5' when 5 then 'u4' end where id <= 5; delete from t where id > 7`)
	w.exec(`update t set phone = '2' where id = 1`)
	p, dir := w.preview([]string{"t"})
	if got := counts(p.Tables[0]); got != "t: insert 3, update 2, remove 0, already 0, left 0, conflict 3, orphans 0" {
		t.Errorf("the preview: %s", got)
	}
	if _, _, err := w.apply(p, dir); err != nil {
		t.Fatal(err)
	}
	if got := w.rows("select string_agg(id || ':' || u || ':' || phone, ' ' order by id) from t"); got != "1:u2:2 2:u3:1 3:gone:1 4:u4:1 5:u5:1 6:u6:1 7:u7:1 8:u8:1 9:u9:1 10:u10:1" {
		t.Errorf("after the rescue: %s", got)
	}
}

// A row that changes between the preview and the rescue is left alone, and told.
func TestApply_changedSincePreview(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, v text, u text unique); insert into t select n, 'v', 'u' || n from generate_series(1, 10) n`)
	w.harm(`delete from t where id <= 5; update t set v = 'bad' where id > 5`)
	p, dir := w.preview([]string{"t"})
	w.exec(`insert into t values (1, 'mine', 'u1'), (101, 'mine', 'u2'); update t set v = 'mine' where id = 6; delete from t where id = 7`)
	a, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := a.Tables[0]; d.Inserted != 3 || d.Updated != 3 || d.Skipped != 4 {
		t.Errorf("applied: %+v", d)
	}
	if got := w.rows("select string_agg(id || v, ' ' order by id) from t"); got != "1mine 3v 4v 5v 6mine 8v 9v 10v 101mine" {
		t.Errorf("after the rescue: %s", got)
	}
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	if got := w.rows("select string_agg(id || v, ' ' order by id) from t"); got != "1mine 6mine 8bad 9bad 10bad 101mine" {
		t.Errorf("after the undo: %s", got)
	}
}

// What was changed is not what was confirmed: rows, files, tables, databases.
func TestApply_refusesAnotherPreview(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, v text); insert into t select n, 'v' from generate_series(1, 10) n`)
	w.harm(`delete from t`)
	harmed := w.digest()
	p, dir := w.preview([]string{"t"})
	other := p
	other.Tables = append([]rescue.TablePreview(nil), p.Tables...)
	other.Tables[0].Insert = 3
	if _, _, err := w.apply(other, dir); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("another preview: %v", err)
	}
	file := dir + "/" + p.Tables[0].File.Name
	rows := read(t, file)
	write(t, file, bytes.Replace(rows, []byte("\tv\t"), []byte("\tw\t"), 1))
	if _, _, err := w.apply(p, dir); err == nil || !strings.Contains(err.Error(), "not those that were written") {
		t.Errorf("other rows: %v", err)
	}
	write(t, file, rows)
	died := errors.New("not now")
	live := w.conn(w.live)
	_, err := rescue.Apply(within(t), rescue.ApplyOptions{Live: live, Identity: w.identity(), Preview: p, Dir: dir, Undo: func(uint64) (io.WriteCloser, error) { return nil, died }})
	if !errors.Is(err, died) {
		t.Errorf("without room for the undo: %v", err)
	}
	w.exec(`alter table t add more text`)
	if _, _, err := w.apply(p, dir); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "was changed since") {
		t.Errorf("another table: %v", err)
	}
	w.exec(`alter table t drop more`)
	if w.digest() != harmed {
		t.Error("live was changed")
	}
}

// A role from whom policies hide rows is told so; nothing is brought back by it.
func TestPreview_rowLevelSecurity(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, v text); insert into t select n, 'v' from generate_series(1, 10) n;
		alter table t enable row level security; create policy mine on t using (id > 100);
		do $$ begin create role hidden login; exception when duplicate_object then null; end $$; grant all on t to hidden`)
	w.harm(`delete from t where id <= 5`)
	d, dir := w.diff("t")
	live, err := pgx.Connect(within(t), strings.Replace(server.URL(w.live), "user=postgres", "user=hidden", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close(context.Background())
	_, err = rescue.Make(within(t), rescue.PreviewOptions{Live: live, Difference: d, Dir: dir, SameCluster: true})
	if err == nil || !strings.Contains(err.Error(), "row-level security policy") {
		t.Errorf("as a role that does not see the rows: %v", err)
	}
}

// Rows refer to each other in every way, and come back in an order in which they
// may; identities take the numbers that they had, and sequences go on.
func TestApply_references(t *testing.T) {
	w := newWorld(t, `
		create table people (id int generated always as identity primary key, boss int references people on delete cascade, team int);
		create table teams (id int generated always as identity primary key, lead int references people deferrable initially deferred);
		alter table people add foreign key (team) references teams deferrable initially immediate;
		create table notes (id int, of int references people on delete set null, primary key (id) deferrable initially deferred);
		insert into people (boss) select nullif(n - 1, 0) from generate_series(1, 30) n;
		insert into teams (lead) select n from generate_series(1, 5) n;
		update people set team = 1 + id % 5;
		insert into notes select n, 1 + n % 30 from generate_series(1, 60) n`)
	was := w.digest()
	w.harm(`delete from notes where id > 30; update notes set of = null; update people set team = null; delete from teams where id > 2; delete from people where id > 20`)
	harmed := w.digest()
	p, dir := w.preview([]string{"notes", "teams", "people"})
	for _, table := range p.Tables {
		if table.Orphans+table.Conflict > 0 || table.Problem != "" {
			t.Errorf("%s %s", counts(table), table.Problem)
		}
	}
	_, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != was {
		t.Errorf("after the rescue\n%s\nand before the harm\n%s", got, was)
	}
	if got := w.rows("insert into people (boss) values (1) returning id"); got != "31" {
		t.Errorf("the next person is %s", got)
	}
	w.exec("delete from people where id = 31")
	// Somebody's person under one that has come back does not go with that one.
	w.exec("insert into people (id, boss) overriding system value values (99, 25)")
	since := w.digest()
	if says, err := w.undo(undo, false); err == nil || !strings.Contains(fmt.Sprint(says, err), "people") {
		t.Errorf("undone: %v, %v", says, err)
	}
	if got := w.digest(); got != since {
		t.Errorf("after an undo that cannot be\n%s\nand before it\n%s", got, since)
	}
	w.exec("delete from people where id = 99")
	if _, err := w.undo(undo, false); err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
}

// A database that is not in UTF-8 keeps its bytes.
func TestApply_otherEncodings(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			w := &world{T: t, live: "other " + encoding}
			w.admin(`create database "` + w.live + `" encoding '` + encoding + `' locale 'C' template template0`)
			w.exec(`create table t (k text primary key, v text); insert into t select chr(n) || n, 'v' || chr(n) from generate_series(65, 126) n`)
			if encoding == "LATIN1" {
				w.exec(`insert into t select chr(n) || n, 'v' || chr(n) from generate_series(192, 255) n`)
			} else {
				w.exec(`insert into t values (E'\xff\xfe', E'\x80')`)
			}
			was := w.digest()
			w.harm(`delete from t where k > 'M'; update t set v = 'bad'`)
			w.rescued(was, []string{"t"})
		})
	}
}

// A table whose rows cannot be told apart is refused with its reason, and so is
// one without rows of its own.
func TestPreview_problems(t *testing.T) {
	w := newWorld(t, `create table keyless (a int); create unlogged table cache (id int primary key); create table fine (id int primary key);
		create table renumbered (id int primary key); create table stricter (id int primary key);
		insert into keyless values (1); insert into fine values (1); insert into renumbered values (1); insert into stricter values (1)`)
	w.harm(`delete from keyless; delete from fine; delete from renumbered; delete from stricter`)
	w.exec(`alter table renumbered drop constraint renumbered_pkey; alter table stricter add must text not null`)
	p, _ := w.preview([]string{"keyless", "cache", "fine", "renumbered", "stricter"})
	problems := map[string]string{}
	for _, table := range p.Tables {
		problems[table.Table.String()] = table.Problem
	}
	for table, want := range map[string]string{"keyless": "cannot be told apart", "cache": "unlogged", "fine": "", "renumbered": "no unique index over id", "stricter": "takes no null and has no default"} {
		if got := problems[table]; (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", table, got)
		}
	}
}

// The tables of a transaction are found by their files, whatever they are called
// now, and partitions are read as what they are part of.
func TestFind(t *testing.T) {
	w := newWorld(t, `create table "a.b" (id int primary key); create schema a; create table a.b (id int primary key); create sequence s;
		create table m (id int primary key) partition by range (id); create table m1 partition of m for values from (0) to (9); create view v as select 1`)
	conn := w.conn(w.live)
	file := func(of string) uint32 {
		var n uint32
		fmt.Sscan(w.query(conn, "select pg_relation_filenode('"+of+"')"), &n)
		return n
	}
	database := uint32(0)
	fmt.Sscan(w.query(conn, "select oid from pg_database where datname = current_database()"), &database)
	found, err := rescue.Find(within(t), conn, nil, []recovery.TableChange{{Database: database, Filenode: file("m1")}, {Database: database, Filenode: file(`"a.b"`)},
		{Database: database, Filenode: file("s")}, {Database: 1, Filenode: file("a.b")}})
	if err != nil || len(found) != 2 || found[0].String() != "m" || found[0].Leaves[0].String() != "m1" || found[1].Name != name("a.b") {
		t.Errorf("found %+v, %v", found, err)
	}
	for _, named := range [][]string{{"m", "m1"}, {"m1", "m"}} {
		if found, err := rescue.Find(within(t), conn, named, nil); err != nil || len(found) != 1 || len(found[0].Leaves) != 0 {
			t.Errorf("a table, and a part of it: %+v, %v", found, err)
		}
	}
	for table, want := range map[string]string{"a.b": "is several tables", "nothing": "has no table nothing", "v": "has no table v"} {
		if _, err := rescue.Find(within(t), conn, []string{table}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", table, err)
		}
	}
}

// Rows that the transaction added, and others refer to, go when those do not any
// more; and come again before those that referred to them.
func TestApply_removesWhatIsReferredTo(t *testing.T) {
	w := newWorld(t, `create table team (id int primary key, code text unique); create table people (id int primary key, team int not null references team);
		insert into team values (1, 'a'), (2, 'b'); insert into people select n, 1 + n % 2 from generate_series(1, 10) n`)
	was := w.digest()
	w.harm(`insert into team values (9, 'wrong'); update people set team = 9 where id < 5; update people set team = 1 where team = 2; delete from team where id = 2; insert into team values (10, 'b')`)
	w.rescued(was, []string{"people", "team"}, rescue.Choice{Table: name("team"), Remove: true})
}

// A database of the same name that was made anew is another target.
func TestLook_databaseMadeAnew(t *testing.T) {
	w := newWorld(t, `create table t (id int)`)
	expand := func(text string) (string, error) {
		return os.Expand(text, func(string) string { return server.URL(w.live) }), nil
	}
	c := recovery.Component{Name: "database", Settings: recovery.Settings{"url": {"${DATABASE_URL}"}}}
	target, err := rescue.Look(within(t), c, expand)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(target.Name, "/"+w.live) || target.Address != "${DATABASE_URL}" || target.Identity["role"] != "primary" || target.Identity["timeline"] != "1" {
		t.Errorf("the target: %+v", target)
	}
	same, err := rescue.Identify(within(t), target, expand)
	if err != nil || len(target.Identity.Differences(same)) != 0 {
		t.Errorf("looked at again: %v, %v", target.Identity.Differences(same), err)
	}
	w.admin(`alter database "` + w.live + `" rename to "` + w.live + ` old"`)
	w.admin(`create database "` + w.live + `"`)
	other, err := rescue.Identify(within(t), target, expand)
	if differs := target.Identity.Differences(other); err != nil || len(differs) != 1 || !strings.HasPrefix(differs[0], "database oid was ") {
		t.Errorf("made anew: %q, %v", differs, err)
	}
	if _, err := rescue.Look(within(t), recovery.Component{Name: "database"}, expand); recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("without an address: %v", err)
	}
}
