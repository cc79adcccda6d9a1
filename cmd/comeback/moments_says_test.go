package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
)

// somebody names two databases.
type somebody struct{}

func (somebody) Relation(uint32, uint32) (recovery.Relation, bool) {
	return recovery.Relation{Rows: -1}, false
}

func (somebody) Database(oid uint32) (string, bool) {
	name, ok := map[uint32]string{5: "shop", 6: "coupons"}[oid]
	return name, ok
}

func TestNamer_line(t *testing.T) {
	change := func(name string, rows int64, edit func(*recovery.TableChange)) recovery.TableChange {
		c := recovery.TableChange{Database: 5, Filenode: 16400, Relation: recovery.Relation{Name: name, Of: "table", Rows: rows}}
		edit(&c)
		return c
	}
	orders := change("orders", 9000, func(c *recovery.TableChange) { c.Inserted, c.Updated = 1, 2 })
	gone := change("orders", 48211, func(c *recovery.TableChange) { c.Deleted = 48211 })
	audit := change("audit", 10, func(c *recovery.TableChange) { c.Inserted = 1 })
	for want, tx := range map[string]recovery.Transaction{
		"update orders 2, insert orders 1": {How: recovery.Committed, Tables: []recovery.TableChange{orders}},
		"HARM  delete orders 48 211 (100 %); also insert audit 1": {How: recovery.Committed,
			Tables: []recovery.TableChange{gone, audit}},
		"ROLLED BACK  delete orders 48 211":                {How: recovery.Aborted, Tables: []recovery.TableChange{gone}},
		`PREPARED "two", not decided here  insert audit 1`: {How: recovery.Prepared, GID: "two", Tables: []recovery.TableChange{audit}},
		"insert audit 1; was prepared as two":              {How: recovery.CommittedPrepared, GID: "two", Tables: []recovery.TableChange{audit}},
		"RESTORE POINT  before the move":                   {How: recovery.NamedPoint, RestorePoint: "before the move"},
		"HARM  drop database coupons":                      {How: recovery.Committed, Databases: []recovery.ObjectChange{{OID: 6, Name: "coupons", Dropped: true}}},
		"create table carts, insert carts 3": {How: recovery.Committed, Tables: []recovery.TableChange{
			change("carts", -1, func(c *recovery.TableChange) { c.Created, c.Inserted = true, 3 })}},
		"rewrite audit": {How: recovery.Committed, Tables: []recovery.TableChange{
			change("audit", 10, func(c *recovery.TableChange) { c.Rewritten = true })}},
		"insert table 16400 1":      {How: recovery.Committed, Tables: []recovery.TableChange{change("", -1, func(c *recovery.TableChange) { c.Inserted = 1 })}},
		"insert coupons:codes 1":    {How: recovery.Committed, Tables: []recovery.TableChange{change("codes", 5, func(c *recovery.TableChange) { c.Database, c.Inserted = 6, 1 })}},
		"no rows of tables":         {How: recovery.Committed},
		"insert audit 1 (at least)": {How: recovery.Committed, AtLeast: true, Tables: []recovery.TableChange{audit}},
		"insert evil name 1": {How: recovery.Committed, Tables: []recovery.TableChange{
			change("evil \x1b[2Jname", 5, func(c *recovery.TableChange) { c.Inserted = 1 })}},
	} {
		n := namer{names: somebody{}, home: "shop", unnamed: map[uint32]bool{}}
		if got := n.line(tx, recovery.Usual{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is kept is what is nearest to the center, whatever comes; harms know what
// came after and before them.
func TestFound(t *testing.T) {
	center := time.Date(2026, 11, 23, 2, 41, 0, 0, time.UTC)
	f := found{center: center, limit: 3}
	for i := 10; i >= -10; i-- { // the newest first
		tx := recovery.Transaction{How: recovery.Committed, Commit: recovery.Commit{XID: recovery.XID(100 + i), LSN: recovery.LSN(100 + i), Time: center.Add(time.Duration(i) * time.Second)}}
		tx.Tables = []recovery.TableChange{{Relation: recovery.Relation{Name: "orders", Rows: 10}, Inserted: 1}}
		if i == 4 {
			tx.Tables[0].Truncated = true
		}
		f.count(tx, true)
	}
	var ids []recovery.XID
	for _, tx := range f.inOrder() {
		ids = append(ids, tx.XID)
	}
	if !slices.Equal(ids, []recovery.XID{99, 100, 101}) || f.left != 18 {
		t.Errorf("kept %v, left %d", ids, f.left)
	}
	if len(f.harms) != 1 || f.harms[0].kept.XID != 103 || f.harms[0].after != 6 || f.harms[0].lost.inserted != 6 {
		t.Errorf("harms: %+v", f.harms)
	}
}

// Before a second is over nothing is said, then now and then a line.
func TestScanMeter(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 50, 0, 0, time.UTC)
	var said bytes.Buffer
	m := newScanMeter(&app{streams: streams{err: &said}, host: host{now: func() time.Time { return now }}}, zone{at: time.UTC})
	p := recovery.ScanProgress{Back: time.Date(2026, 11, 23, 2, 10, 7, 0, time.UTC), Done: 312e6, Total: 980e6}
	m.progress(p)
	now = now.Add(2 * time.Second)
	m.progress(p)
	m.progress(p)
	m.end()
	if want := "read back to 02:10:07, 312 MB of 980 MB\n"; said.String() != want {
		t.Errorf("%q, want %q", said.String(), want)
	}
}
