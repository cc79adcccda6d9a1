package rescue_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/rescue"
)

// script is an undo in memory.
type script struct{ bytes.Buffer }

func (*script) Close() error { return nil }

// apply does what a preview lists, and gives the undo.
func (w *world) apply(p rescue.Preview, dir string) (rescue.Applied, *script, error) {
	w.Helper()
	live := w.conn(w.live)
	defer live.Close(context.Background())
	undo := &script{}
	a, err := rescue.Apply(within(w.T), rescue.ApplyOptions{Live: live, Identity: w.identity(), Preview: p, Dir: dir, Undo: func(uint64) (io.WriteCloser, error) { return undo, nil }})
	return a, undo, err
}

// undo takes a rescue back.
func (w *world) undo(s *script, leave bool) ([]rescue.Undone, error) {
	w.Helper()
	live := w.conn(w.live)
	defer live.Close(context.Background())
	return rescue.Undo(within(w.T), rescue.UndoOptions{Live: live, Identity: w.identity(), Script: bytes.NewReader(s.Bytes()), Leave: leave})
}

// identity is that of the live database.
func (w *world) identity() recovery.Identity {
	w.Helper()
	id, err := rescue.Identify(within(w.T), recovery.Target{Address: server.URL(w.live)}, func(text string) (string, error) { return text, nil })
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func name(table string) rescue.Name { return rescue.Name{Schema: "public", Table: table} }

// A rescue of rows of every kind brings back what was there, leaves everything
// else as it is, and its undo restores the state before.
func TestApply_bringsRowsBackAndUndoesIt(t *testing.T) {
	w := newWorld(t, `
		create table customers (id int generated always as identity primary key, name text not null unique);
		create table orders (id bigint primary key, customer int not null references customers, total numeric, note text, twice numeric generated always as (total * 2) stored);
		create table items (order_id bigint references orders on delete cascade, line int, what text, primary key (order_id, line));
		create table other (id int primary key, x text);
		insert into customers (name) select 'c' || n from generate_series(1, 50) n;
		insert into orders select n, 1 + n % 50, n * 1.10, case when n % 3 = 0 then E'tab\t, line\n and \\. and \\N' end from generate_series(1, 1000) n;
		insert into items select n % 1000 + 1, n, 'x' || n from generate_series(1, 3000) n;
		insert into other select n, n::text from generate_series(1, 100) n`)
	was := w.digest()
	w.harm(`delete from items where order_id <= 300; delete from orders where id <= 300; update orders set total = -1, note = null where id > 800;
		delete from customers where id > 49 and false; insert into orders values (5000, 1, 3, 'wrong'); insert into items values (5000, 1, 'wrong')`)
	harmed := w.digest()
	all := []string{"items", "orders", "customers", "other"}
	p, dir := w.preview(all, rescue.Choice{Table: name("orders"), Remove: true}, rescue.Choice{Table: name("items"), Remove: true})
	a, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != was {
		t.Errorf("after the rescue\n%s\nand before the harm\n%s", got, was)
	}
	if len(a.Tables) != 2 || a.Tables[0].Inserted != 300 || a.Tables[0].Updated != 200 || a.Tables[0].Removed != 1 || a.Tables[1].Inserted != 900 || a.Tables[1].Removed != 1 {
		t.Errorf("applied: %+v", a.Tables)
	}
	if strings.Contains(undo.String(), "x2999") {
		t.Error("the undo holds values of inserted rows")
	}
	undone, err := w.undo(undo, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
	for _, u := range undone {
		if u.Wanted != u.Done {
			t.Errorf("undone: %+v", u)
		}
	}
}

// Who has nothing but psql can take a rescue back, and learns why not.
func TestUndo_byPsql(t *testing.T) {
	w := newWorld(t, `create table t (id int primary key, ":v" text, "a\b" bytea); insert into t select n, 'v', '\x00' from generate_series(1, 10) n`)
	w.harm(`delete from t where id < 5; update t set ":v" = E'bad\t\\' where id = 7`)
	harmed := w.digest()
	p, dir := w.preview([]string{"t"})
	_, undo, err := w.apply(p, dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "undo.sql")
	write(t, path, undo.Bytes())
	psql := func() error {
		return place{}.Command(within(t), recovery.Cmd{Path: server.Cluster().Tools.Program("psql"), Dir: "/",
			Args: []string{"-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path, server.URL(w.live)}, Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}})
	}
	w.exec(`update t set ":v" = 'mine' where id = 2`)
	if err := psql(); err == nil || !strings.Contains(err.Error(), "changed since the rescue, so that nothing is taken back: t: inserted rows stay: 1 of 4") {
		t.Errorf("over a row that was changed: %v", err)
	}
	w.exec(`update t set ":v" = 'v' where id = 2`)
	if err := psql(); err != nil {
		t.Fatal(err)
	}
	if got := w.digest(); got != harmed {
		t.Errorf("after the undo\n%s\nand before the rescue\n%s", got, harmed)
	}
}
