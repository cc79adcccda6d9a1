package dump

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

func TestTakenOf(t *testing.T) {
	stored := time.Date(2026, 11, 22, 2, 10, 0, 0, time.UTC)
	clock := time.Date(2026, 11, 22, 2, 0, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		head head
		key  string
		from string
		to   string
	}{
		"nothing known":              {key: "shop.sql", to: "2026-11-22T02:10:00Z"},
		"its own clock, in UTC":      {head: head{Clock: clock, Zoned: true}, key: "shop.sql", from: "2026-11-22T02:00:05Z", to: "2026-11-22T02:00:05Z"},
		"its own clock, far ahead":   {head: head{Clock: clock.AddDate(0, 0, 2), Zoned: true}, key: "shop.sql", to: "2026-11-24T02:00:05Z"},
		"its own clock, some zone":   {head: head{Clock: clock}, key: "2020-01-01.dump", from: "2026-11-21T12:00:05Z", to: "2026-11-22T02:10:00Z"},
		"a clock far behind":         {head: head{Clock: clock.Add(-20 * time.Hour)}, key: "a.dump", from: "2026-11-20T16:00:05Z", to: "2026-11-21T18:00:05Z"},
		"a clock in the future":      {head: head{Clock: clock.AddDate(0, 0, 2)}, key: "a.dump", to: "2026-11-22T02:10:00Z"},
		"a day in the name":          {key: "db/2026-11-22.sql.gz", from: "2026-11-21T10:00:00Z", to: "2026-11-22T02:10:00Z"},
		"an earlier day in the name": {key: "db/shop_20261119.sql", from: "2026-11-18T10:00:00Z", to: "2026-11-20T12:00:00Z"},
		"a day in the directory":     {key: "2026-11-19/shop.sql", to: "2026-11-22T02:10:00Z"},
		"a time in the name":         {key: "shop-2026-11-22T01-59-58.sql", from: "2026-11-21T11:59:58Z", to: "2026-11-22T02:10:00Z"},
		"a time in UTC in the name":  {key: "shop_20261122T015958Z.dump", from: "2026-11-22T01:59:58Z", to: "2026-11-22T02:10:00Z"},
		"no date":                    {key: "shop-20269922-1.sql", to: "2026-11-22T02:10:00Z"},
		"a name from the future":     {key: "2027-01-01.sql", to: "2026-11-22T02:10:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			got := takenOf(test.head, storage.Object{Key: test.key, Modified: stored})
			var want recovery.Span
			for text, field := range map[string]*time.Time{test.from: &want.From, test.to: &want.To} {
				if text == "" {
					continue
				}
				var err error
				if *field, err = time.Parse(time.RFC3339, text); err != nil {
					t.Fatal(err)
				}
			}
			if test.from == test.to {
				want.From = want.To
				if want.To.IsZero() {
					want.From, want.To = clock, clock
				}
			}
			if !got.From.Equal(want.From) || !got.To.Equal(want.To) {
				t.Errorf("from %v to %v, want %v to %v", got.From, got.To, want.From, want.To)
			}
		})
	}
}

func FuzzTakenOf(f *testing.F) {
	f.Add("db/2026-11-22.sql.gz")
	f.Add("shop_20261122T015958Z.dump")
	stored := time.Date(2026, 11, 22, 2, 10, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, key string) {
		s := takenOf(head{}, storage.Object{Key: key, Modified: stored})
		if s.From.After(s.To) || s.To.After(stored) {
			t.Errorf("%q: from %v to %v", key, s.From, s.To)
		}
	})
}

func TestLikeDump(t *testing.T) {
	for key, want := range map[string]likeness{
		"db/2026-11-22.sql.gz": dumpish, "shop.SQL": dumpish, "shop.dump.zst": dumpish, "pg_dump-shop.gz": dumpish, "x.pgdump": dumpish,
		"shop": maybe, "shop-2026-11-22.gz": maybe, "shop.2026-11-22": maybe, "20261122": maybe, "20261122020000.gz": maybe, "shop.backup": maybe, "shop.tar.gz": maybe,
		"16401": unlike, "1259_fsm": unlike, "base.tar.gz": unlike, "pg_wal.tar": unlike, "000000010000000000000004": unlike,
		"000000010000000000000004.00000028.backup": unlike, "00000002.history": unlike, "a.jpg": unlike, ".sql": unlike, "backup_manifest": unlike, "": unlike,
	} {
		if got := likeDump(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}
