package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
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

// What a backup whose rows could not be counted, or a manifest that cannot be read, stands
// between, is told all the same.
func TestTake_lostRowsBehindAGap(t *testing.T) {
	now := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
	s := newSeveral(t, func() time.Time { return now })
	take := func(rows int64) recovery.Manifest {
		t.Helper()
		var tables []recovery.TableRecord
		if rows >= 0 {
			tables = []recovery.TableRecord{{Name: "orders", Rows: rows}}
		}
		taken := s.take("h", "p", lines{tables: tables})
		if taken.Err != nil {
			t.Fatal(taken.Err)
		}
		now = now.AddDate(0, 0, 1)
		return taken.Manifest
	}
	lost := func(m recovery.Manifest, wanted ...string) {
		t.Helper()
		var got []string
		for _, l := range m.Lost {
			got = append(got, fmt.Sprintf("%s %d %d %s %s", l.Table, l.Had, l.Has, l.Since, l.HadAt.Format(time.DateOnly)))
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s: %s", m.ID, diff)
		}
	}
	const uncounted = -1
	take(48211)
	lost(take(uncounted))
	lost(take(uncounted))
	few := "orders 48211 12 base/20261123T010000Z 2026-11-20"
	lost(take(12), few)
	for range 2 {
		m := take(uncounted)
		if lost(m, few); m.Tables != nil {
			t.Errorf("%s: its rows are %v", m.ID, m.Tables)
		}
	}
	lost(take(14), strings.Replace(few, " 12 ", " 14 ", 1))
	lost(take(40000))
	lost(take(13), "orders 40000 13 base/20261128T010000Z 2026-11-27")
	manifest := filepath.Join(s.dir, "comeback/backups/database/20261128T010000Z-base.json")
	if err := os.WriteFile(manifest, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := take(13)
	if lost(m, "orders 40000 13 base/20261129T010000Z 2026-11-27"); len(m.Remarks) != 1 {
		t.Errorf("it remarks %q", m.Remarks)
	}
	for _, name := range []string{"20261127", "20261126", "20261125", "20261124", "20261129"} {
		if err := os.WriteFile(filepath.Join(s.dir, "comeback/backups/database", name+"T010000Z-base.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if m = take(13); len(m.Lost) > 0 || len(m.Remarks) != 1 || !strings.HasPrefix(m.Remarks[0], "which tables have lost rows is not known, ") {
		t.Errorf("where nothing of the last five can be read, it has %v and remarks %q", m.Lost, m.Remarks)
	}
}
