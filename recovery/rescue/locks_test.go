package rescue_test

import (
	"context"
	"testing"

	"comeback/recovery/rescue"
)

// While a table is looked at, those before it are not locked any more: neither in the copies,
// which have room for the locks of some thousand, nor in live, where people work.
func TestRescue_locksOneAtATime(t *testing.T) {
	w := newWorld(t, `create table a (id int primary key); insert into a values (1), (2);
		create table b (id int primary key); insert into b select generate_series(1, 5000)`)
	w.harm(`delete from a where id = 1; delete from b where id < 10`)
	free := func(database string) {
		beside := w.conn(database)
		defer beside.Close(context.Background())
		w.query(beside, "begin; lock table a in access exclusive mode nowait; rollback")
	}
	before, after, live := w.conn(w.before), w.conn(w.after), w.conn(w.live)
	o := rescue.DiffOptions{Before: before, After: after, Dir: t.TempDir()}
	looked := 0
	o.Progress = func(table rescue.Name, _ int64) {
		if table.Table == "b" {
			looked++
			free(w.before)
			free(w.after)
		}
	}
	var err error
	if o.Tables, err = rescue.Find(within(t), before, []string{"a", "b"}, nil); err != nil {
		t.Fatal(err)
	}
	d, err := rescue.Diff(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rescue.Make(within(t), rescue.PreviewOptions{Live: live, Difference: d, Dir: o.Dir, SameCluster: true, Progress: func(table rescue.Name, _ int64) {
		if table.Table == "b" {
			looked++
			free(w.live)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 2 || counts(p.Tables[0]) != "a: insert 1, update 0, remove 0, already 0, left 0, conflict 0, orphans 0" {
		t.Errorf("looked %d times: %+v", looked, p.Tables)
	}
}
