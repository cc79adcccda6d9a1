package catalogue_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// nights is a log in which a job purges sessions each night, of so many bytes a night.
type nights struct {
	recovery.Scanner
	bytes map[int]int64 // by the days before
	today time.Time
	read  *int
}

func (n nights) Scan(ctx context.Context, o recovery.ScanOptions) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		*n.read++
		days := int(n.today.Sub(o.Span.From).Hours()+12) / 24
		o.Progress(recovery.ScanProgress{Done: 1, Total: max(1, n.bytes[days])})
		if err := context.Cause(ctx); err != nil {
			yield(recovery.Transaction{}, err)
			return
		}
		yield(purge(n.today.AddDate(0, 0, -days)), nil)
	}
}

func purge(at time.Time) recovery.Transaction {
	return recovery.Transaction{Commit: recovery.Commit{XID: 9, Time: at, LSN: recovery.LSN(at.Unix())}, How: recovery.Committed,
		Tables: []recovery.TableChange{{Database: 5, Relation: recovery.Relation{Name: "sessions", Of: "table", Rows: 100_000}, Deleted: 60_000}}}
}

// What happens on most days is usual; a day with too much log is not read, and none before it.
func TestLearnHabits(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		bytes map[int]int64
		want  recovery.Usual
		read  int
	}{
		"seven nights":         {nil, recovery.Usual{Seen: 7, Of: 7}, 7},
		"too much on one":      {map[int]int64{3: 1001}, recovery.Usual{Seen: 2, Of: 2}, 3},
		"as much as is read":   {map[int]int64{3: 1000}, recovery.Usual{Seen: 7, Of: 7}, 7},
		"too much on the last": {map[int]int64{1: 1 << 40}, recovery.Usual{}, 1},
	} {
		read, share := 0, 0.0
		harm := purge(today)
		o := recovery.ScanOptions{Survey: recovery.Survey{Windows: []recovery.Window{{From: recovery.Instant{Time: today.AddDate(0, 0, -30)}}}}}
		habits := catalogue.LearnHabits(t.Context(), nights{bytes: c.bytes, today: today, read: &read}, o, []recovery.Transaction{harm}, time.UTC, 1000, func(s float64) { share = s })
		if got := habits.Of(harm.LSN); got != c.want || read != c.read || share <= 0 || share > 1 {
			t.Errorf("%s: %s of %d days that were read, at %.2f", name, got, read, share)
		}
	}
}
