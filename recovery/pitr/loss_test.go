package pitr

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"comeback/recovery"
)

// lossOf is what going back to a moment of a copy loses.
func lossOf(t testing.TB, c *copyOf, to string, names recovery.Names) (recovery.Loss, error) {
	t.Helper()
	return loss(t, c, to, recovery.ScanOptions{Component: database, Names: names})
}

func lossOfComponent(t testing.TB, c *copyOf, component recovery.Component, to string) (recovery.Loss, error) {
	t.Helper()
	return loss(t, c, to, recovery.ScanOptions{Component: component})
}

func loss(t testing.TB, c *copyOf, to string, o recovery.ScanOptions) (recovery.Loss, error) {
	t.Helper()
	o.Survey, o.Store = survey(t, c.store, o.Component), c.store
	temp := t.TempDir()
	e := New(Options{Temp: temp})
	l, err := e.(recovery.Loser).Loss(t.Context(), o, mustResolve(t, c.store, o.Survey, to))
	leavesNothing(t, temp)
	return l, err
}

// What is lost is exactly what was committed after the point, however the point
// was asked for: nothing before it, and all up to the end.
func TestLoss_Exactly(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "early", "gzip", "zstd")
	all := scanCopy(t, c, database, recovery.Span{}).all
	for _, test := range []struct{ name, to, first string }{
		{"before a transaction", fmt.Sprintf("before-xid:%d", l.mark(t, "order 14").xid), "order 14"},
		{"after a transaction", fmt.Sprintf("after-xid:%d", l.mark(t, "order 14").xid), "long"},
		{"before a long transaction", fmt.Sprintf("before-xid:%d", l.mark(t, "long").xid), "long"},
		{"before a prepared transaction", fmt.Sprintf("before-xid:%d", l.mark(t, "prepared").xid), "prepared"},
		{"at a time", l.mark(t, "order 17").time.Format(timeFormat), "drop table"},
		{"before a dropped database", fmt.Sprintf("before-xid:%d", l.special["drop database"]), "drop database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := lossOf(t, c, test.to, nil)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			first, last := l.mark(t, test.first), l.marks[len(l.marks)-1]
			var commits, inserted, deleted int64
			for _, tx := range all { // the newest first
				if tx.How != recovery.Committed && tx.How != recovery.CommittedPrepared {
					continue
				}
				commits++
				for _, table := range tx.Tables {
					inserted, deleted = inserted+table.Inserted, deleted+table.Deleted
				}
				if tx.XID == first.xid {
					break
				}
			}
			if got.From.XID != first.xid || !got.From.Time.Equal(first.time) || got.To.XID != last.xid || !got.To.Time.Equal(last.time) {
				t.Errorf("%+v .. %+v is lost, want %+v .. %+v", got.From, got.To, first, last)
			}
			var rows recovery.TableLoss
			for _, table := range got.Tables {
				rows.Inserted, rows.Deleted = rows.Inserted+table.Inserted, rows.Deleted+table.Deleted
			}
			if got.Commits != commits || rows.Inserted != inserted || rows.Deleted != deleted {
				t.Errorf("%d commits, %+v are lost; want %d, %d inserted, %d deleted", got.Commits, rows, commits, inserted, deleted)
			}
			if got.Component != "database" || got.Copy != "nearby" || got.End == 0 || got.AtLeast || got.Final {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Nothing is lost behind the last commit.
func TestLoss_Nothing(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	got, err := lossOf(t, l.copy(t, "zstd"), "latest", nil)
	if err != nil || got.Commits != 0 || got.From != (recovery.Commit{}) || got.To != (recovery.Commit{}) || len(got.Tables)+len(got.Databases) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// namesOf are names for tests.
type namesOf struct {
	databases map[uint32]string
	tables    map[uint32]string
}

func (n namesOf) Database(oid uint32) (string, bool) { name, ok := n.databases[oid]; return name, ok }

func (n namesOf) Relation(_, filenode uint32) (recovery.Relation, bool) {
	name, ok := n.tables[filenode]
	return recovery.Relation{Name: name, Of: "table", Rows: -1}, ok
}

// Tables and databases are told apart, by their names where there are any.
func TestLoss_PerTable(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "gzip")
	to := fmt.Sprintf("before-xid:%d", l.mark(t, "order 13").xid)
	plain, err := lossOf(t, c, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	var database, orders uint32
	for _, tx := range scanCopy(t, c, recovery.Component{Name: "database"}, recovery.Span{}).all {
		if tx.XID == l.mark(t, "order 13").xid {
			database, orders = tx.Tables[0].Database, tx.Tables[0].Filenode
		}
	}
	if !slices.Contains(plain.Tables, recovery.TableLoss{Database: fmt.Sprint(database), Table: fmt.Sprintf("table %d", orders), Inserted: 9, Deleted: 4}) {
		t.Errorf("the orders are not among %+v", plain.Tables)
	}
	got, err := lossOf(t, c, to, namesOf{map[uint32]string{database: "shop"}, map[uint32]string{orders: "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	want := recovery.TableLoss{Database: "shop", Table: "orders", Inserted: 9, Deleted: 4}
	if got.Tables[0].Inserted != 3000 || !slices.Contains(got.Tables, want) {
		t.Errorf("%+v", got.Tables)
	}
	if len(got.Databases) != 1 || got.Databases[0].Name != "shop" || got.Databases[0].Commits != 11 || got.Databases[0].From.XID < got.From.XID || got.Databases[0].To.XID > got.To.XID {
		t.Errorf("databases %+v of %+v .. %+v", got.Databases, got.From, got.To)
	}
	if own := got.Only("shop"); own.Commits != 11 || own.From != got.Databases[0].From || len(own.Tables) != len(got.Tables) {
		t.Errorf("only of shop: %+v", own)
	}
	if none := got.Only("other"); none.Commits != 0 || none.Tables != nil || none.To != (recovery.Commit{}) {
		t.Errorf("only of another: %+v", none)
	}
}

// A point on an older timeline loses what came on the newer one.
func TestLoss_AcrossTimelines(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c, marks := copyFork(t, "gzip")
	got, err := lossOf(t, c, fmt.Sprintf("before-xid:%d", l.mark(t, "order 14").xid), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := marks[len(marks)-1]
	if got.From.XID != l.mark(t, "order 14").xid || got.To.XID != last.xid || got.Commits < int64(len(marks)) {
		t.Errorf("%+v .. %+v, %d commits; want up to %+v", got.From, got.To, got.Commits, last)
	}
}

// Behind a gap there is more: what is counted is the least, and which part is
// missing is said.
func TestLoss_Gap(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	names := c.segments(t)
	c.remove(t, "wal/"+names[len(names)-2])
	got, err := lossOf(t, c, fmt.Sprintf("before-xid:%d", l.mark(t, "order 16").xid), nil)
	if err == nil || !got.AtLeast || recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.WithExceptions {
		t.Fatalf("%+v, %v (%s)", got, err, recovery.HintOf(err))
	}
	last := l.marks[len(l.marks)-1]
	if got.From.XID != l.mark(t, "order 16").xid || got.To.XID != last.xid {
		t.Errorf("%+v .. %+v", got.From, got.To)
	}
	if _, err := (&engine{}).Loss(t.Context(), recovery.ScanOptions{}, recovery.Point{Facts: []byte("{")}); recovery.HintOf(err) == "" || errors.Unwrap(err) == nil {
		t.Errorf("facts that cannot be read: %v", err)
	}
}
