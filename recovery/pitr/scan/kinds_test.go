package scan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
)

// kinds are the things that a transaction can do, one transaction each, and what
// the listing has to say. A line of two words starts and ends it in its own way.
var kinds = []struct {
	name string
	sql  string
	want string // tables, separated by "; "
	// alone: the statement cannot be part of a transaction.
	alone bool
}{
	{name: "create", sql: "create table orders (id int primary key, note text, extra serial)", want: "orders created"},
	{name: "insert", sql: "insert into orders select i, 'order' from generate_series(1, 5) i", want: "orders +5"},
	{name: "nothing to see", sql: "comment on table orders is 'orders'"},
	{name: "long line of values", sql: "insert into orders values (100, (select string_agg(md5(i::text), '') from generate_series(1, 3000) i))", want: "orders +1"},
	{name: "savepoints", sql: `insert into orders values (6); savepoint a; delete from orders where id = 1; insert into orders values (7);
		rollback to a; savepoint b; update orders set note = 'b' where id in (2, 3); savepoint c; delete from orders where id = 4; release b`, want: "orders +1 ~2 -1"},
	{name: "on conflict", sql: "insert into orders values (2, 'x'), (8, 'y') on conflict (id) do update set note = excluded.note", want: "orders +1 ~1"},
	{name: "on conflict do nothing", sql: "insert into orders values (2, 'x'), (9, 'y') on conflict do nothing", want: "orders +1"},
	{name: "update of a long value", sql: "update orders set note = note || 'more' where id = 100", want: "orders ~1"},
	{name: "update to another page", sql: "update orders set note = repeat('x', 1900)", want: "orders ~8"},
	{name: "select for update", sql: "select * from orders for update"},
	{name: "delete of a long value", sql: "delete from orders where id = 100", want: "orders -1"},
	{name: "fill", sql: "create table carts (id int); insert into carts select generate_series(1, 3000)", want: "carts +3000 created"},
	{name: "delete all", sql: "delete from carts", want: "carts -3000"},
	{name: "vacuum that cuts", sql: "vacuum carts", alone: true},
	{name: "create table as", sql: "create table copied as select id from orders", want: "copied +7 created"},
	{name: "truncate", sql: "truncate orders", want: "orders truncated"},
	{name: "truncate and insert", sql: "truncate orders; insert into orders select i, 'again' from generate_series(1, 4) i", want: "orders +4 truncated"},
	{name: "truncate two", sql: "truncate orders, copied", want: "copied truncated; orders truncated"},
	{name: "delete, then truncate", sql: "insert into copied values (1), (2), (3); delete from copied where id < 3; truncate copied", want: "copied +3 -2 truncated"},
	{name: "insert after all", sql: "insert into orders select i, 'once more' from generate_series(1, 10) i", want: "orders +10"},
	{name: "vacuum full", sql: "vacuum full orders", want: "orders rewritten", alone: true},
	{name: "cluster", sql: "cluster orders using orders_pkey", want: "orders rewritten"},
	{name: "alter type", sql: "alter table orders alter column id type bigint", want: "orders rewritten"},
	{name: "alter type and insert", sql: "alter table orders alter column id type int; insert into orders values (50), (51), (52)", want: "orders +3 rewritten"},
	{name: "update, then alter type", sql: "update orders set note = 'u' where id < 4; alter table orders alter column id type bigint; delete from orders where id > 49", want: "orders ~3 -3 rewritten"},
	{name: "add column", sql: "alter table orders add column k int default 3"},
	{name: "reindex", sql: "reindex table orders"},
	{name: "reindex index", sql: "reindex index orders_pkey"},
	{name: "create index", sql: "create index on orders (k)"},
	{name: "create index concurrently", sql: "create index concurrently more on orders (note)", alone: true},
	{name: "drop index", sql: "drop index more"},
	{name: "view", sql: "create view v as select * from orders; create table behind (i int)", want: "behind created"},
	{name: "drop a view and a table", sql: "drop view v; drop table behind", want: "behind dropped"},
	{name: "temporary", sql: "create temporary table t (id int, note text); insert into t values (1, 'x'); drop table t"},
	{name: "temporary beside", sql: "create temporary table t (id int primary key, note text); create table kept (id int primary key)", want: "kept created"},
	{name: "drop both", sql: "drop table t, kept", want: "kept dropped"},
	{name: "partitions", sql: "create table parted (id int, k int, note text) partition by list (k); create table parted_1 partition of parted for values in (1); create table parted_2 partition of parted for values in (2)", want: "parted_1 created; parted_2 created"},
	{name: "into partitions", sql: "insert into parted select i, 1 + i % 2 from generate_series(1, 10) i", want: "parted_1 +5; parted_2 +5"},
	{name: "between partitions", sql: "update parted set k = 2 where id in (2, 4, 6)", want: "parted_1 ~3 <3; parted_2 >3"},
	{name: "between partitions with a long value", sql: "update parted set k = 1, note = (select string_agg(md5(i::text), '') from generate_series(1, 3000) i) where id = 2", want: "parted_1 >1; parted_2 ~1 <1"},
	{name: "between partitions in savepoints", sql: "savepoint a; update parted set k = 2 where id = 8; rollback to a; savepoint b; update parted set k = 2 where id = 10; release b; insert into parted values (11, 2); delete from parted where id = 4", want: "parted_1 ~1 <1; parted_2 +1 -1 >1"},
	{name: "copy", sql: "insert into carts select generate_series(1, 1000); delete from carts where id <= 10", want: "carts +1000 -10"},
	{name: "unlogged", sql: "create unlogged table scratchpad (id int primary key, note text)", want: "scratchpad created"},
	{name: "into unlogged", sql: "insert into scratchpad select i, 'x' from generate_series(1, 100) i; insert into carts values (1)", want: "carts +1"},
	{name: "truncate unlogged", sql: "truncate scratchpad", want: "scratchpad truncated"},
	{name: "drop unlogged", sql: "drop table scratchpad", want: "scratchpad dropped"},
	{name: "made and truncated", sql: "create table brief (id int); insert into brief values (1), (2); truncate brief; insert into brief values (3)", want: "brief +1 created"},
	{name: "made and dropped", sql: "create table briefer (id int primary key, note text); insert into briefer values (1); drop table briefer; insert into brief values (4)", want: "brief +1"},
	{name: "much at once", sql: "drop table brief; truncate orders; create table fresh (id int, note text); insert into fresh values (1); drop table copied; insert into orders values (1)", want: "brief dropped; copied dropped; fresh +1 created; orders +1 truncated"},
	{name: "drop in a savepoint", sql: "savepoint a; drop table fresh; rollback to a; savepoint b; truncate fresh; release b", want: "fresh truncated"},
	{name: "materialized view", sql: "create materialized view seen as select * from orders with no data", want: "seen created"},
	{name: "refresh", sql: "refresh materialized view seen", want: "seen rewritten"},
	{name: "drop materialized view", sql: "drop materialized view seen", want: "seen dropped"},
	{name: "other tablespace", sql: "alter table orders set tablespace fast", want: "orders rewritten"},
	{name: "own and grant", sql: "create role owner_of_it; alter table carts owner to owner_of_it; grant select on carts to public; alter table carts rename to baskets; alter table baskets rename to carts"},
	{name: "drop partitioned", sql: "drop table parted", want: "parted_1 dropped; parted_2 dropped"},
	{name: "drop cascade", sql: "create schema s create table a (id serial primary key) create table b (id int, note text); insert into s.b values (1)", want: "s.a created; s.b +1 created"},
	{name: "drop schema", sql: "drop schema s cascade", want: "s.a dropped; s.b dropped"},
	{name: "drop", sql: "drop table orders", want: "orders dropped"},
}

// TestReader_Kinds reads one transaction of every kind. Names come from a map
// that is saved before each, as it is beside backups, and from the live server
// at the end; and again without any, where the numbers of what was done stay.
func TestReader_Kinds(t *testing.T) {
	c := newCluster(t, nil)
	conn := c.connect(t, "postgres")
	conn.do("create tablespace fast location '"+c.spaces()+"'", "create table other (id int)")
	var want []pitrtest.Truth
	var saved []recovery.Names
	save := func() {
		m, err := ReadNames(t.Context(), conn.Conn)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := EncodeNames(&b, m); err != nil {
			t.Fatal(err)
		}
		if m, err = DecodeNames(&b); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, m)
	}
	from := conn.lsn()
	for _, k := range kinds {
		known := pitrtest.Truth{Name: k.name, How: recovery.Committed}
		if k.want != "" {
			known.Tables = strings.Split(k.want, "; ")
		}
		if k.alone {
			known.XID = recovery.XID(conn.number("select pg_snapshot_xmax(pg_current_snapshot())::text::int8"))
			conn.do(k.sql)
		} else {
			conn.do("begin", k.sql)
			known.XID = recovery.XID(conn.number("select pg_current_xact_id()::text::int8"))
			conn.do("commit")
		}
		want = append(want, known)
		save()
	}
	live, err := ReadNames(t.Context(), conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(saved) // the newest that knows a number is right
	stretch := c.whole(t)
	stretch.From = from
	for _, chunk := range []int{1, 100} {
		t.Run(fmt.Sprintf("chunks of %d", chunk), func(t *testing.T) {
			r := c.reader(t, Merge(append([]recovery.Names{live}, saved...)...))
			r.Chunk = chunk
			pitrtest.Compare(t, read(t, r, stretch), want)
		})
	}
	t.Run("without names", func(t *testing.T) {
		r := c.reader(t, nil)
		got := map[recovery.XID]recovery.Transaction{}
		for _, tx := range read(t, r, stretch) {
			got[tx.XID] = tx
		}
		for _, w := range want {
			if diff := cmp.Diff(withoutNames(w.Tables), totals(got[w.XID])); diff != "" && !slices.Contains(blurred, w.Name) {
				t.Errorf("%s (-want +got):\n%s%v", w.Name, diff, pitrtest.Show(got[w.XID].Tables))
			}
		}
	})
}

// blurred are the kinds that need names to be told exactly: TOAST tables and the
// tables that they belong to look alike, and so do an index that is rebuilt and
// a table that goes to another tablespace.
var blurred = []string{"long line of values", "update of a long value", "delete of a long value", "truncate", "truncate and insert",
	"truncate two", "between partitions with a long value", "truncate unlogged", "much at once", "drop in a savepoint",
	"vacuum full", "cluster", "update to another page", "other tablespace"}

// totals are the sums over all tables.
func totals(tx recovery.Transaction) recovery.TableChange {
	var sum recovery.TableChange
	for _, c := range tx.Tables {
		sum.Inserted += c.Inserted
		sum.Updated += c.Updated
		sum.Deleted += c.Deleted
		sum.Left += c.Left
		sum.Arrived += c.Arrived
		sum.Created = sum.Created || c.Created
		sum.Dropped = sum.Dropped || c.Dropped
		sum.Truncated = sum.Truncated || c.Truncated
		sum.Rewritten = sum.Rewritten || c.Rewritten
	}
	return sum
}

// withoutNames reads lines as show writes them, and sums them up.
func withoutNames(lines []string) recovery.TableChange {
	var sum recovery.TableChange
	for _, line := range lines {
		for _, word := range strings.Fields(line)[1:] {
			var n int64
			switch {
			case word == "created":
				sum.Created = true
			case word == "dropped":
				sum.Dropped = true
			case word == "truncated":
				sum.Truncated = true
			case word == "rewritten":
				sum.Rewritten = true
			default:
				fmt.Sscan(word[1:], &n)
				switch word[0] {
				case '+':
					sum.Inserted += n
				case '~':
					sum.Updated += n
				case '-':
					sum.Deleted += n
				case '<':
					sum.Left += n
				case '>':
					sum.Arrived += n
				}
			}
		}
	}
	return sum
}
