package recovery_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

func TestTransaction_Harms(t *testing.T) {
	orders := func(rows int64) recovery.Relation { return recovery.Relation{Name: "orders", Of: "table", Rows: rows} }
	unnamed := recovery.Relation{Rows: -1}
	for name, test := range map[string]struct {
		table recovery.TableChange
		want  []recovery.Harm
	}{
		"a few rows of many": {recovery.TableChange{Relation: orders(100_000), Deleted: 999, Updated: 999}, nil},
		"many rows": {recovery.TableChange{Relation: orders(100_000), Deleted: 1000},
			[]recovery.Harm{{Says: "delete orders 1 000 (1 %)", Kind: "delete", Share: 0.01}}},
		"a large part": {recovery.TableChange{Relation: orders(50), Updated: 10},
			[]recovery.Harm{{Says: "update orders 10 (20 %)", Kind: "update", Share: 0.2}}},
		"less than a large part":            {recovery.TableChange{Relation: orders(51), Updated: 10}, nil},
		"a handful updated":                 {recovery.TableChange{Relation: orders(9), Updated: 9}, nil},
		"a handful deleted":                 {recovery.TableChange{Relation: orders(10), Deleted: 2}, []recovery.Harm{{Says: "delete orders 2 (20 %)", Kind: "delete", Share: 0.2}}},
		"a handful replaced":                {recovery.TableChange{Relation: orders(5), Deleted: 5, Inserted: 5}, nil},
		"a handful deleted, fewer put back": {recovery.TableChange{Relation: orders(5), Deleted: 5, Inserted: 4}, []recovery.Harm{{Says: "delete orders 5 (100 %)", Kind: "delete", Share: 1}}},
		"many replaced":                     {recovery.TableChange{Relation: orders(50), Deleted: 50, Inserted: 50}, []recovery.Harm{{Says: "delete orders 50 (100 %)", Kind: "delete", Share: 1}}},
		"one row is no mass":                {recovery.TableChange{Relation: orders(1), Deleted: 1}, nil},
		"all rows, counted before": {recovery.TableChange{Relation: orders(48211), Deleted: 48211},
			[]recovery.Harm{{Says: "delete orders 48 211 (100 %)", Kind: "delete", Share: 1}}},
		"all rows, counted after": {recovery.TableChange{Relation: orders(0), Deleted: 48211},
			[]recovery.Harm{{Says: "delete orders 48 211 (100 %)", Kind: "delete", Share: 1}}},
		"two of three parts, counted after": {recovery.TableChange{Relation: orders(500), Deleted: 1500},
			[]recovery.Harm{{Says: "delete orders 1 500 (75 %)", Kind: "delete", Share: 0.75}}},
		"both": {recovery.TableChange{Relation: orders(1_000_000), Deleted: 1000, Updated: 995_000}, []recovery.Harm{
			{Says: "delete orders 1 000 (< 1 %)", Kind: "delete", Share: 0.001},
			{Says: "update orders 995 000 (> 99 %)", Kind: "update", Share: 0.995}}},
		"inserted rows are no harm": {recovery.TableChange{Relation: orders(0), Inserted: 1_000_000}, nil},
		"a table without a name": {recovery.TableChange{Filenode: 16384, Relation: unnamed, Deleted: 5000},
			[]recovery.Harm{{Says: "delete table 16384 5 000", Kind: "delete", Share: -1}}},
		"few rows of a table without a name": {recovery.TableChange{Filenode: 16384, Relation: unnamed, Deleted: 5}, nil},
		"drop": {recovery.TableChange{Relation: orders(48211), Dropped: true, Deleted: 48211},
			[]recovery.Harm{{Says: "drop orders, about 48 211 rows", Kind: "drop", Share: 1}}},
		"drop without a name": {recovery.TableChange{Filenode: 16384, Relation: unnamed, Dropped: true},
			[]recovery.Harm{{Says: "drop table 16384", Kind: "drop", Share: 1}}},
		"truncate": {recovery.TableChange{Relation: orders(-1), Truncated: true},
			[]recovery.Harm{{Says: "truncate orders", Kind: "truncate", Share: 1}}},
		"loaded anew": {recovery.TableChange{Relation: orders(-1), Truncated: true, Inserted: 48211},
			[]recovery.Harm{{Says: "truncate orders, 48 211 put in", Kind: "truncate", Share: 1}}},
		"a rewrite is harmless": {recovery.TableChange{Relation: orders(9000), Rewritten: true}, nil},
		"a new table":           {recovery.TableChange{Relation: orders(9000), Created: true, Updated: 9000, Deleted: 9000}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tx := recovery.Transaction{How: recovery.Committed, Tables: []recovery.TableChange{test.table}}
			if diff := cmp.Diff(test.want, tx.Harms()); diff != "" {
				t.Errorf("Harms (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTransaction_Harms_databases(t *testing.T) {
	tx := recovery.Transaction{How: recovery.CommittedPrepared,
		Databases:   []recovery.ObjectChange{{OID: 16500, Name: "shop", Dropped: true}, {OID: 16501, Dropped: true}, {OID: 16502, Created: true}},
		Tablespaces: []recovery.ObjectChange{{OID: 16600, Dropped: true}}}
	want := []recovery.Harm{
		{Says: "drop database shop", Kind: "drop database", Share: 1},
		{Says: "drop database 16501", Kind: "drop database", Share: 1},
		{Says: "drop tablespace 16600", Kind: "drop", Share: 1},
	}
	if diff := cmp.Diff(want, tx.Harms()); diff != "" {
		t.Errorf("Harms (-want +got):\n%s", diff)
	}
}

func TestTransaction_Harms_onlyCommitted(t *testing.T) {
	for _, how := range []recovery.TransactionEnd{recovery.Aborted, recovery.Prepared, recovery.AbortedPrepared, recovery.NamedPoint} {
		tx := recovery.Transaction{How: how, Tables: []recovery.TableChange{{Dropped: true}}, Databases: []recovery.ObjectChange{{Dropped: true}}}
		if harms := tx.Harms(); harms != nil {
			t.Errorf("%s: Harms = %v, want none", how, harms)
		}
	}
}
