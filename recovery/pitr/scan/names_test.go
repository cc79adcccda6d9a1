package scan

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
)

// TestReadNames reads the names of a server with several databases, one of which
// nobody may connect to, and with catalogs that lie in other files than usual.
func TestReadNames(t *testing.T) {
	c := newCluster(t, nil)
	conn := c.connect(t, "postgres")
	conn.do("create schema archive", "create table orders (id serial primary key, note text)", `create table archive."Old orders" (id int)`,
		"insert into orders select i, 'x' from generate_series(1, 500) i", "analyze orders", "create database shop", "create database closed", "create database gone")
	shop := c.connect(t, "shop")
	shop.do("create table carts (id int)", "insert into carts select generate_series(1, 40)", "analyze carts", "create materialized view seen as select * from carts", "analyze seen")
	from := conn.lsn()
	conn.do("vacuum full pg_class", "vacuum full pg_type", "vacuum full pg_index", "truncate orders", "insert into orders select i, 'x' from generate_series(1, 500) i", "analyze orders")
	conn.do("create table after (id int primary key)", "alter table orders alter column id type bigint", "drop table after")
	conn.do("alter database closed allow_connections false")
	m, err := ReadNames(t.Context(), conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	number := func(s *session, sql string) uint32 { return uint32(s.number(sql)) }
	postgres := number(conn, "select oid::int8 from pg_database where datname = 'postgres'")
	inShop := number(conn, "select oid::int8 from pg_database where datname = 'shop'")
	closed := number(conn, "select oid::int8 from pg_database where datname = 'closed'")
	for _, test := range []struct {
		database, filenode, oid uint32
		want                    recovery.Relation
	}{
		{postgres, number(conn, "select pg_relation_filenode('orders')::int8"), number(conn, "select 'orders'::regclass::oid::int8"), recovery.Relation{Name: "orders", Of: "table", Rows: 500}},
		{postgres, number(conn, "select pg_relation_filenode('orders_pkey')::int8"), 0, recovery.Relation{Name: "orders", Of: "index", Rows: -1}},
		{postgres, number(conn, "select pg_relation_filenode(reltoastrelid)::int8 from pg_class where relname = 'orders'"), 0, recovery.Relation{Name: "orders", Of: "toast", Rows: -1}},
		{postgres, number(conn, "select pg_relation_filenode(indexrelid)::int8 from pg_index, pg_class c where indrelid = reltoastrelid and c.relname = 'orders'"), 0, recovery.Relation{Name: "orders", Of: "index", Rows: -1}},
		{postgres, number(conn, "select pg_relation_filenode('orders_id_seq')::int8"), 0, recovery.Relation{Name: "orders_id_seq", Of: "sequence", Rows: -1}},
		{postgres, number(conn, `select pg_relation_filenode('archive."Old orders"')::int8`), 0, recovery.Relation{Name: "archive.Old orders", Of: "table", Rows: -1}},
		{postgres, number(conn, "select pg_relation_filenode('pg_class')::int8"), 1259, recovery.Relation{Name: "pg_catalog.pg_class", Of: "other", Rows: 0}},
		{inShop, number(shop, "select pg_relation_filenode('carts')::int8"), 0, recovery.Relation{Name: "carts", Of: "table", Rows: 40}},
		{inShop, number(shop, "select pg_relation_filenode('seen')::int8"), 0, recovery.Relation{Name: "seen", Of: "table", Rows: 40}},
	} {
		got, ok := m.Relation(test.database, test.filenode)
		switch {
		case test.want.Of == "other":
			got.Rows = 0 // it is nobody's concern
		case test.want.Rows > 0 && got.Rows > 0:
			got.Rows = test.want.Rows // statistics come late
		}
		if diff := cmp.Diff(test.want, got); diff != "" || !ok {
			t.Errorf("%s, %v (-want +got):\n%s", test.want.Name, ok, diff)
		}
		if by, ok := m.RelationByOID(test.database, test.oid); test.oid != 0 && (!ok || by.Name != test.want.Name) {
			t.Errorf("by its OID %d it is %q, not %q", test.oid, by.Name, test.want.Name)
		}
	}
	if name, ok := m.Database(closed); name != "closed" || !ok {
		t.Errorf("the closed database is %q, %v", name, ok)
	}
	if got, ok := m.Relation(postgres, 1); ok || got.Rows != -1 {
		t.Errorf("what is not there is %+v", got)
	}
	if m.System != conn.text("select system_identifier::text from pg_control_system()") {
		t.Errorf("the map is of system %q", m.System)
	}

	// What happened to tables is told from catalogs in their new files.
	c.finish(t)
	var lines []string
	for _, tx := range read(t, c.reader(t, m), Stretch{First: c.start, From: from, To: c.end}) {
		if l := strings.Join(pitrtest.Show(tx.Tables), "; "); l != "" {
			lines = append([]string{l}, lines...)
		}
	}
	digits := regexp.MustCompile(`\(\d+\)`) // nothing names what is gone
	for i := range lines {
		lines[i] = digits.ReplaceAllString(lines[i], "(number)")
	}
	want := []string{"orders truncated", "orders +500", "(number) created", "orders rewritten", "(number) dropped"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("the tables (-want +got):\n%s", diff)
	}
}

// TestMerge asks sources in turn.
func TestMerge(t *testing.T) {
	one := (&Map{Databases: []DatabaseMap{{OID: 5, Name: "shop", Relations: []MappedRelation{{OID: 16384, Filenode: 16390, Relation: recovery.Relation{Name: "orders", Of: "table", Rows: 7}}}}}}).build()
	two := (&Map{Databases: []DatabaseMap{{OID: 5, Name: "old shop", Relations: []MappedRelation{
		{OID: 16384, Filenode: 16384, Relation: recovery.Relation{Name: "orders before", Of: "table", Rows: 3}},
		{OID: 16385, Filenode: 16390, Relation: recovery.Relation{Name: "something else", Of: "table", Rows: 3}}}},
		{OID: 6, Name: "gone"}}}).build()
	var none *Map
	n := Merge(nil, none, one, two)
	for filenode, want := range map[uint32]string{16390: "orders", 16384: "orders before", 1: ""} {
		if r, ok := n.Relation(5, filenode); r.Name != want || ok != (want != "") {
			t.Errorf("%d is %q, %v; want %q", filenode, r.Name, ok, want)
		}
	}
	for oid, want := range map[uint32]string{5: "shop", 6: "gone", 7: ""} {
		if name, ok := n.Database(oid); name != want || ok != (want != "") {
			t.Errorf("database %d is %q, %v; want %q", oid, name, ok, want)
		}
	}
	if r, ok := n.(byOID).RelationByOID(5, 16384); r.Name != "orders" || !ok {
		t.Errorf("OID 16384 is %q, %v", r.Name, ok)
	}
}

// TestReadNames_ends: a server that goes away is an error, not an empty map.
func TestReadNames_ends(t *testing.T) {
	c := newCluster(t, nil)
	conn := c.connect(t, "postgres")
	if err := c.server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := ReadNames(t.Context(), conn.Conn); err == nil {
		t.Errorf("ReadNames = %+v, want an error", m)
	}
}
