package recovery_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
)

// Each thing that happened is told once, the newest first, by its first commit: to before that
// one all of it is undone.
func TestKeptHarm(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Date(2026, 11, 23, 1, 41, 7, 221e6, time.UTC).Add(d) }
	harm := func(xid recovery.XID, d time.Duration, says recovery.TableChange) recovery.Transaction {
		return recovery.Transaction{Commit: recovery.Commit{XID: xid, Time: at(d), LSN: recovery.LSN(xid)}, How: recovery.Committed, Tables: []recovery.TableChange{says}}
	}
	orders := recovery.TableChange{Relation: recovery.Relation{Name: "orders"}, Deleted: 48211}
	carts := recovery.TableChange{Relation: recovery.Relation{Name: "carts"}, Dropped: true}
	to := func(t recovery.Transaction) string { return "--to " + t.Before() }
	nowhere := func(recovery.Transaction) string { return "" }
	for name, c := range map[string]struct {
		harms []recovery.Transaction
		to    func(recovery.Transaction) string
		want  []string
	}{
		"none": {to: to},
		"one": {[]recovery.Transaction{harm(81214, 0, orders)}, to,
			[]string{"KEEPS HARM of 2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %); the nearest moment before: --to before-xid:81214"}},
		"of one thing": {[]recovery.Transaction{harm(81216, time.Minute, carts), harm(81214, 0, orders)}, to,
			[]string{"KEEPS HARM of 2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %); and of 1 more commit up to 2026-11-23 01:42:07.221Z; the nearest moment before: --to before-xid:81214"}},
		"of two, one of which is too old for the copy": {[]recovery.Transaction{harm(81299, 2*time.Hour, carts), harm(81214, 0, orders)}, nowhere,
			[]string{"KEEPS HARM of 2026-11-23 03:41:07.221Z, xid 81299: drop carts; no moment before it is in this copy", "KEEPS HARM of 2026-11-23 01:41:07.221Z, xid 81214: delete orders 48 211 (100 %); no moment before it is in this copy"}},
		"of many": {[]recovery.Transaction{harm(4, 9*time.Hour, carts), harm(3, 6*time.Hour, carts), harm(2, 3*time.Hour, carts), harm(1, 0, carts)}, to,
			[]string{"KEEPS HARM of 2026-11-23 10:41:07.221Z, xid 4: drop carts; the nearest moment before: --to before-xid:4",
				"KEEPS HARM of 2026-11-23 07:41:07.221Z, xid 3: drop carts; the nearest moment before: --to before-xid:3", "KEEPS HARM of 2 commits more, the oldest of 2026-11-23 01:41:07.221Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := recovery.KeptHarm(c.harms, recovery.Wording{}, 2, c.to); !slices.Equal(got, c.want) {
				t.Errorf("says\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// A moment before a transaction is asked for by its id where it committed by one.
func TestTransaction_Before(t *testing.T) {
	for _, c := range []struct {
		t    recovery.Transaction
		want string
	}{
		{recovery.Transaction{Commit: recovery.Commit{XID: 7, LSN: 0x3000060}, How: recovery.Committed}, "before-xid:7"},
		{recovery.Transaction{Commit: recovery.Commit{XID: 7, LSN: 0x3000060}, How: recovery.CommittedPrepared}, "before-xid:7"},
		{recovery.Transaction{Commit: recovery.Commit{XID: 7, LSN: 0x3000060}, How: recovery.Aborted}, "lsn:0/3000060"},
		{recovery.Transaction{Commit: recovery.Commit{LSN: 0x3000060}, How: recovery.Committed}, "lsn:0/3000060"},
	} {
		got := c.t.Before()
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.t, got, c.want)
		}
		if _, err := recovery.ParseWant(got, now); err != nil {
			t.Error(fmt.Errorf("%s is no moment: %w", got, err))
		}
	}
}
