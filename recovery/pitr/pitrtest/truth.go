// Package pitrtest makes transactions of which everything is known: what each did
// to which table, and what the database held after it. Whatever reads the log, or
// restores a cluster, is held to that.
package pitrtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// Truth is what a transaction is known to have done.
type Truth struct {
	Name string
	XID  recovery.XID
	How  recovery.TransactionEnd
	// Tables are lines as Show writes them.
	Tables []string
	// State is what its writer's rows and tables were after its commit; empty
	// where it did not commit, or where nobody looked.
	State State

	writer int
}

// Show writes what was done to each table as the tests write it down:
// "orders +3 ~1 -2", "carts truncated"; "<2" rows that left a partition, ">2" that arrived.
func Show(tables []recovery.TableChange) []string {
	var lines []string
	for _, c := range tables {
		line := c.Name
		if line == "" {
			line = fmt.Sprintf("(%d)", c.Filenode)
		}
		for _, n := range []struct {
			sign string
			n    int64
		}{{"+", c.Inserted}, {"~", c.Updated}, {"-", c.Deleted}, {"<", c.Left}, {">", c.Arrived}} {
			if n.n != 0 {
				line += fmt.Sprintf(" %s%d", n.sign, n.n)
			}
		}
		for _, f := range []struct {
			word string
			is   bool
		}{{"created", c.Created}, {"dropped", c.Dropped}, {"truncated", c.Truncated}, {"rewritten", c.Rewritten}} {
			if f.is {
				line += " " + f.word
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// Compare fails where a transaction is missing from a listing, or told otherwise
// than it was.
func Compare(t testing.TB, got []recovery.Transaction, want []Truth) {
	t.Helper()
	at := map[string]recovery.Transaction{}
	for _, tx := range got {
		at[fmt.Sprint(tx.XID, tx.How)] = tx
		if tx.AtLeast {
			t.Errorf("%d is said to have begun before the log", tx.XID)
		}
	}
	missing, wrong := 0, 0
	for _, w := range want {
		tx, ok := at[fmt.Sprint(w.XID, w.How)]
		if !ok {
			if missing++; missing <= 10 {
				t.Errorf("%s: transaction %d is not listed as %s", w.Name, w.XID, w.How)
			}
			continue
		}
		if w.How == recovery.Aborted || w.How == recovery.AbortedPrepared {
			continue // its savepoints abort on their own, and nothing came of it
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(w.Tables)), Show(tx.Tables)); diff != "" {
			if wrong++; wrong <= 10 {
				t.Errorf("%s: transaction %d at %s (-want +got):\n%s", w.Name, w.XID, tx.LSN, diff)
			}
		}
	}
	if missing+wrong > 0 {
		t.Errorf("of %d transactions %d are missing and %d wrong", len(want), missing, wrong)
	}
}
