package verify

import (
	"slices"
	"testing"

	"comeback/recovery"
)

// What the log did to the tables since they were recorded is what they must be by now,
// row by row, and each table that it did nothing to has the same rows.
func TestDifferences(t *testing.T) {
	recorded := []recovery.TableRecord{{Name: "orders", OID: 11, Rows: 100, Digest: "a"}, {Name: "carts", OID: 12, Rows: 7, Digest: "b"}, {Name: "log", OID: 13, Rows: 9, Digest: "c"}, {Name: "open", OID: 21, Rows: 5, Digest: "d"}, {Name: "closed", OID: 22, Rows: 2, Digest: "e"}}
	since := changes{}
	for _, done := range []recovery.Transaction{
		{Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "orders"}, Inserted: 4, Updated: 2}}},
		{Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "orders"}, Deleted: 14}, {Database: 6, Relation: recovery.Relation{Name: "carts"}, Deleted: 7}, {Database: 5, Filenode: 99, Deleted: 3}}},
		{Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "log"}, Truncated: true}, {Database: 5, Relation: recovery.Relation{Name: "new"}, Created: true, Inserted: 3}}},
		{Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "open"}, Updated: 3, Left: 2}, {Database: 5, Relation: recovery.Relation{Name: "closed"}, Arrived: 2}}},
	} {
		since.add(done, 5)
	}
	orders, carts, log := recovery.TableRecord{Name: "orders", OID: 11, Rows: 90, Digest: "x"}, recorded[1], recovery.TableRecord{Name: "log", OID: 13, Rows: 0}
	moved, closed := recovery.TableRecord{Name: "open", OID: 21, Rows: 3, Digest: "y"}, recovery.TableRecord{Name: "closed", OID: 22, Rows: 4, Digest: "y"}
	fresh := recovery.TableRecord{Name: "new", OID: 14, Rows: 3}
	other := func(t recovery.TableRecord, change func(*recovery.TableRecord)) recovery.TableRecord {
		change(&t)
		return t
	}
	for name, c := range map[string]struct {
		found []recovery.TableRecord
		wrong []string
	}{
		"all as it should be":       {[]recovery.TableRecord{orders, carts, log, moved, closed, fresh}, nil},
		"a row too few":             {[]recovery.TableRecord{other(orders, func(t *recovery.TableRecord) { t.Rows-- }), carts, log, moved, closed, fresh}, []string{"the table orders has 89 rows: it had 100 when the backup was made, and 10 rows fewer since, by the log"}},
		"a row too many":            {[]recovery.TableRecord{other(orders, func(t *recovery.TableRecord) { t.Rows++ }), carts, log, moved, closed, fresh}, []string{"the table orders has 91 rows: it had 100 when the backup was made, and 10 rows fewer since, by the log"}},
		"another row":               {[]recovery.TableRecord{orders, other(carts, func(t *recovery.TableRecord) { t.Digest = "z" }), log, moved, closed, fresh}, []string{"the table carts has as many rows as when the backup was made, and not the same"}},
		"a table is missing":        {[]recovery.TableRecord{orders, log, moved, closed, fresh}, []string{"the table carts is missing: it had 7 rows"}},
		"a table too many":          {[]recovery.TableRecord{orders, carts, log, moved, closed, fresh, {Name: "more", OID: 15}}, []string{"the table more was not there when the backup was made"}},
		"renamed":                   {[]recovery.TableRecord{orders, other(carts, func(t *recovery.TableRecord) { t.Name = "trolleys" }), log, moved, closed, fresh}, nil},
		"with another column":       {[]recovery.TableRecord{orders, other(carts, func(t *recovery.TableRecord) { t.Shape, t.Digest = "other", "z" }), log, moved, closed, fresh}, nil},
		"renamed and changed":       {[]recovery.TableRecord{orders, other(carts, func(t *recovery.TableRecord) { t.Name, t.Rows = "trolleys", 6 }), log, moved, closed, fresh}, []string{"the table trolleys has 6 rows, and had 7 when the backup was made"}},
		"a row that did not arrive": {[]recovery.TableRecord{orders, carts, log, moved, other(closed, func(t *recovery.TableRecord) { t.Rows-- }), fresh}, []string{"the table closed has 3 rows: it had 2 when the backup was made, and 2 rows more since, by the log"}},
	} {
		if wrong := differences(recorded, c.found, since, true); !slices.Equal(wrong, c.wrong) {
			t.Errorf("%s: %q", name, wrong)
		}
	}
}
