package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// did is a transaction that changed tables, each "orders" by its file or "orders!" with
// another file given to it; "?" says that it did more than the log tells.
func did(xid recovery.XID, tables ...string) recovery.Transaction {
	files := map[string]uint32{"orders": 16400, "items": 16410}
	t := recovery.Transaction{Commit: recovery.Commit{XID: xid}}
	for _, name := range tables {
		if name == "?" {
			t.AtLeast = true
			continue
		}
		of, rewritten := strings.CutSuffix(name, "!")
		of, elsewhere := strings.CutPrefix(of, "other.")
		c := recovery.TableChange{Rewritten: rewritten}
		c.Database, c.Filenode = 5, files[of]
		if elsewhere {
			c.Database = 6
		}
		t.Tables = append(t.Tables, c)
	}
	return t
}

// Transactions share two copies where nobody else did anything to their tables between
// them; where somebody did, or may have, two further ones are restored.
func TestStretches(t *testing.T) {
	const chosen = 100 // and above
	for name, test := range map[string]struct {
		log   []recovery.Transaction
		named bool
		want  string
	}{
		"one":                                    {log: []recovery.Transaction{did(100, "orders")}, want: "100-100:1"},
		"two together":                           {log: []recovery.Transaction{did(100, "orders"), did(101, "orders", "items")}, want: "100-101:3"},
		"somebody else's, of another table":      {log: []recovery.Transaction{did(100, "orders"), did(9, "items"), did(101, "orders")}, want: "100-101:2"},
		"somebody else's, of the same":           {log: []recovery.Transaction{did(100, "orders"), did(9, "orders"), did(101, "orders")}, want: "100-100:1 101-101:1"},
		"of a table that only a later one has":   {log: []recovery.Transaction{did(100, "orders"), did(9, "items"), did(101, "items")}, want: "100-100:1 101-101:1"},
		"before and after, it separates nothing": {log: []recovery.Transaction{did(8, "orders"), did(100, "orders"), did(101, "orders"), did(9, "orders")}, want: "100-101:2"},
		"in another database":                    {log: []recovery.Transaction{did(100, "orders"), did(9, "other.orders"), did(101, "orders")}, want: "100-101:2"},
		"of which the log tells not all":         {log: []recovery.Transaction{did(100, "orders"), did(9, "?"), did(101, "orders")}, want: "100-100:1 101-101:1"},
		"a chosen one of which it does not":      {log: []recovery.Transaction{did(100, "orders", "?"), did(9, "items"), did(101, "orders")}, want: "100-100:1 101-101:1"},
		"a table with another file":              {log: []recovery.Transaction{did(100, "orders!"), did(9, "items"), did(101, "orders")}, want: "100-100:1 101-101:1"},
		"tables were named":                      {log: []recovery.Transaction{did(100, "orders"), did(9, "items"), did(101, "orders")}, named: true, want: "100-100:1 101-101:1"},
		"named, and another database":            {log: []recovery.Transaction{did(100, "orders"), did(9, "other.items"), did(101, "orders")}, named: true, want: "100-101:2"},
		"as many as there may be": {log: []recovery.Transaction{did(100, "orders"), did(9, "orders"), did(101, "orders"), did(9, "orders"), did(102, "orders"), did(9, "orders"), did(103, "orders")},
			want: "100-100:1 101-101:1 102-102:1 103-103:1"},
		"nothing chosen": {log: []recovery.Transaction{did(9, "orders")}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := plan.Stretches(test.log, func(xid recovery.XID) bool { return xid >= chosen }, test.named)
			var got []string
			for _, s := range found {
				got = append(got, fmt.Sprintf("%d-%d:%d", s.First.XID, s.Last.XID, len(s.Changes)))
			}
			if err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("%q, want %q: %v", got, test.want, err)
			}
		})
	}
	var many []recovery.Transaction
	for xid := range recovery.XID(plan.MostStretches + 1) {
		many = append(many, did(9, "orders"), did(chosen+xid, "orders"))
	}
	if found, err := plan.Stretches(many, func(xid recovery.XID) bool { return xid >= chosen }, false); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "restored 10 times; 8 are the most") {
		t.Errorf("%d stretches: %v", len(found), err)
	}
}

// Transactions that come back together are in one log; it is read from before the first of
// their times to after the last, by as much as a clock may have been set.
func TestTogether(t *testing.T) {
	when := time.Date(2026, 11, 23, 2, 41, 0, 0, time.UTC)
	end := func(copy string, timeline uint32, minute int) recovery.Point {
		p := recovery.Point{Copy: copy, Engine: "pitr", Timeline: timeline}
		p.Kept.Time = when.Add(time.Duration(minute) * time.Minute)
		return p
	}
	xids := []recovery.XID{81214, 81220, 81231}
	span, err := plan.Together(xids, []recovery.Point{end("nearby", 1, 5), end("nearby", 1, 0), end("nearby", 1, 3)})
	if err != nil || !span.From.Equal(when.Add(-10*time.Minute)) || !span.To.Equal(when.Add(15*time.Minute)) {
		t.Errorf("%+v, %v", span, err)
	}
	other := end("nearby", 1, 3)
	other.Engine = "pgbackrest"
	for _, p := range []recovery.Point{end("offsite", 1, 3), end("nearby", 2, 3), other} {
		_, err := plan.Together(xids, []recovery.Point{end("nearby", 1, 0), end("nearby", 1, 3), p})
		if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "transactions 81214 and 81231 are in different logs: nearby, timeline 1") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
