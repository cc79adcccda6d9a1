package rescue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"comeback/recovery/rescue"
)

// diff compares tables of the copies around the harm.
func (w *world) diff(tables ...string) (rescue.Difference, string) {
	w.Helper()
	dir := w.TempDir()
	before := w.conn(w.before)
	defer before.Close(context.Background())
	o := rescue.DiffOptions{Before: before, Dir: dir}
	if w.after != "" {
		o.After = w.conn(w.after)
		defer o.After.Close(context.Background())
	}
	var err error
	if o.Tables, err = rescue.Find(within(w.T), before, tables, nil); err != nil {
		w.Fatal(err)
	}
	d, err := rescue.Diff(within(w.T), o)
	if err != nil {
		w.Fatal(err)
	}
	return d, dir
}

// preview looks at what a rescue of tables would do.
func (w *world) preview(tables []string, choices ...rescue.Choice) (rescue.Preview, string) {
	w.Helper()
	d, dir := w.diff(tables...)
	live := w.conn(w.live)
	defer live.Close(context.Background())
	p, err := rescue.Make(within(w.T), rescue.PreviewOptions{Live: live, Difference: d, Dir: dir, Choices: choices, SameCluster: true, Samples: 3})
	if err != nil {
		w.Fatal(err)
	}
	return p, dir
}

// counts are a table's, as one line.
func counts(t rescue.TablePreview) string {
	return fmt.Sprintf("%s: insert %d, update %d, remove %d, already %d, left %d, conflict %d, orphans %d",
		t.Live.Name, t.Insert, t.Update, t.Remove, t.Already, t.Left, t.Conflict, t.Orphans)
}

func TestPreview_tellsEachRowFromWhatLiveHas(t *testing.T) {
	w := newWorld(t, `
		create table customers (id int primary key, name text);
		create table orders (id bigint primary key, customer int references customers, total numeric, note text);
		insert into customers select n, 'c' || n from generate_series(1, 20) n;
		insert into orders select n, 1 + n % 10, n * 1.10, null from generate_series(1, 1000) n`)
	w.harm(`delete from orders where id <= 500; update orders set total = 0 where id between 501 and 700; insert into orders values (2001, 1, 7, 'wrong'), (2002, 1, 7, 'wrong')`)
	w.exec(`
		delete from orders where id in (900, 2001);           -- a legitimate delete, and one of a wrong row
		insert into orders values (7, 8, 7.70, null);         -- brought back by hand, as it was
		insert into orders values (8, 2, 99, 'new');          -- its number was given away
		update orders set total = 501 * 1.10 where id = 501;  -- mended by hand
		update orders set note = 'changed' where id = 502;
		delete from orders where id = 503;
		insert into orders values (3000, 1, 1, 'later')`)
	live := w.digest()
	p, _ := w.preview([]string{"orders"})
	if got, want := counts(p.Tables[0]), "orders: insert 498, update 197, remove 0, already 3, left 1, conflict 3, orphans 0"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p, _ = w.preview([]string{"orders"}, rescue.Choice{Table: rescue.Name{Schema: "public", Table: "orders"}, Remove: true, Overwrite: true})
	if got, want := counts(p.Tables[0]), "orders: insert 499, update 199, remove 1, already 3, left 0, conflict 0, orphans 0"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var conflicts []string
	for _, s := range p.Tables[0].Samples {
		if s.What == "in conflict" {
			conflicts = append(conflicts, *s.Before[0])
		}
	}
	if len(conflicts) != 0 {
		t.Errorf("conflicts are shown that were chosen: %v", conflicts)
	}
	if w.digest() != live {
		t.Error("the preview changed live")
	}
}

// An update that would change rows of other tables is not made: nobody has chosen them.
func TestPreview_spreads(t *testing.T) {
	actions := []string{"cascade", "set null", "set default", "no action", "restrict"}
	var schema, harm, tables []string
	for i, action := range actions {
		schema = append(schema, fmt.Sprintf("create table p%[1]d (id int primary key, code int unique, note text); create table c%[1]d (code int references p%[1]d (code) on update %[2]s); insert into p%[1]d values (1, 10, 'a')", i, action))
		harm = append(harm, fmt.Sprintf("update p%d set code = 11", i))
		tables = append(tables, fmt.Sprintf("p%d", i))
	}
	w := newWorld(t, strings.Join(schema, ";")+"; create table same (id int primary key, code int unique, note text); create table referring (code int references same (code) on update cascade); insert into same values (1, 10, 'a')")
	w.harm(strings.Join(harm, ";") + "; update same set note = 'b'")
	p, _ := w.preview(append(tables, "same"))
	for _, table := range p.Tables {
		want := ""
		for i, action := range actions[:3] {
			if table.Table == name(tables[i]) {
				want = fmt.Sprintf("its column code would change, and with it rows of c%d, which nobody has chosen and no undo gives back (c%d_code_fkey, on update %s)", i, i, action)
			}
		}
		if says, _, _ := strings.Cut(table.Problem, ": bring"); says != want {
			t.Errorf("%s: %q, want %q", table.Table, table.Problem, want)
		}
		if (table.Rows() == 1) != (want == "") {
			t.Errorf("%s: %d rows", table.Table, table.Rows())
		}
	}
}

func TestPreview_leavesOutRowsWithoutParents(t *testing.T) {
	w := newWorld(t, `
		create table a (id int primary key);
		create table b (id int primary key, a int references a);
		create table c (id int primary key, b int references b, up int references c);
		insert into a select generate_series(1, 10);
		insert into b select n, n from generate_series(1, 10) n;
		insert into c select n, n, nullif(n - 1, 0) from generate_series(1, 10) n`)
	w.harm(`delete from c; delete from b; delete from a where id > 5`)
	w.exec(`delete from a where id = 3`) // legitimate: b 3 has no parent, c 3 none then, and c 4 to 10 refer to each other down to it
	p, _ := w.preview([]string{"c", "b", "a"})
	var got []string
	for _, t := range p.Tables {
		got = append(got, counts(t))
	}
	want := []string{
		"a: insert 5, update 0, remove 0, already 0, left 0, conflict 0, orphans 0",
		"b: insert 9, update 0, remove 0, already 0, left 0, conflict 0, orphans 1",
		"c: insert 2, update 0, remove 0, already 0, left 0, conflict 0, orphans 8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if missing := p.Tables[1].Missing; len(missing) != 1 || missing[0] != "b_a_fkey refers to a" {
		t.Errorf("what is missing: %q", missing)
	}
	// Without b, nothing of c has a parent.
	p, _ = w.preview([]string{"c"})
	if got, want := counts(p.Tables[0]), "c: insert 0, update 0, remove 0, already 0, left 0, conflict 0, orphans 10"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
