package backup_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/backup"
)

// A table that has less than half of its rows is remarked when they are gone, and told by the
// manifests of all backups until they are back.
func TestTake_lostRows(t *testing.T) {
	now := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
	s := newSeveral(t, func() time.Time { return now })
	type counts map[string]int64
	const ordersGone = "orders has 12 rows, and had 48211 in the backup before"
	for night, test := range []struct {
		counts  counts
		shape   string // of the orders
		remarks string
		lost    string
	}{
		{counts{"orders": 48200, "parts": 2000, "small": 999, "gone": 5000}, "a", "", ""},
		{counts{"orders": 48211, "parts": 2000, "small": 999, "gone": 5000}, "a", "", ""},
		{counts{"orders": 12, "parts": 1000, "small": 3}, "a", ordersGone, "orders 48211 12 base/20261122T010000Z"},
		{counts{"orders": 14, "parts": 500}, "a", "", "orders 48211 14 base/20261122T010000Z"},
		{counts{"orders": 30000, "parts": 2000}, "a", "", ""},
		{counts{"orders": 1, "parts": 2000}, "b", "", ""}, // it was altered
		{counts{"orders": 0, "parts": 0}, "b", "parts has 0 rows, and had 2000 in the backup before", "parts 2000 0 base/20261126T010000Z"},
	} {
		var tables []recovery.TableRecord
		for _, name := range []string{"orders", "parts", "small", "gone"} {
			if n, there := test.counts[name]; there {
				tables = append(tables, recovery.TableRecord{Name: name, Shape: map[string]string{"orders": test.shape}[name], Rows: n})
			}
		}
		taken := s.take("h", "p", lines{tables: tables})
		if taken.Err != nil {
			t.Fatal(taken.Err)
		}
		k, err := backup.Know(t.Context(), s.store, nil)
		if err != nil || len(k.Manifests) != night+1 {
			t.Fatalf("%d manifests, %v", len(k.Manifests), err)
		}
		var lost []string
		for _, l := range k.Manifests[night].Lost {
			lost = append(lost, fmt.Sprintf("%s %d %d %s", l.Table, l.Had, l.Has, l.Since))
		}
		if diff := cmp.Diff([]string{test.remarks, test.lost}, []string{strings.Join(taken.Manifest.Remarks, "; "), strings.Join(lost, "; ")}); diff != "" {
			t.Errorf("night %d: %s", night, diff)
		}
		now = now.AddDate(0, 0, 1)
	}
}
