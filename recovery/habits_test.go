package recovery

import (
	"errors"
	"iter"
	"testing"
	"time"
)

// night is what a job did on a night: a purge of sessions at three, a drop of a
// staging table a little after.
func night(at time.Time, purged int64, tables ...TableChange) Transaction {
	tables = append(tables, TableChange{Database: 5, Relation: Relation{Name: "sessions", Of: "table", Rows: 100_000}, Deleted: purged})
	return Transaction{Commit: Commit{XID: 9, Time: at, LSN: LSN(at.Unix())}, How: Committed, Tables: tables}
}

func dropped(name string) TableChange {
	return TableChange{Database: 5, Filenode: 77, Relation: Relation{Name: name, Of: "table", Rows: -1}, Dropped: true}
}

// within yields what lies in a span, as a scan does.
func within(s Span, all []Transaction, failed error) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for _, t := range all {
			if !t.Time.Before(s.From) && !t.Time.After(s.To) && !yield(t, nil) {
				return
			}
		}
		if failed != nil {
			yield(Transaction{}, failed)
		}
	}
}

// What happens on most nights at that time is usual; the same at another time, on
// another table, with far more rows, without a name or on few nights is not.
func TestHabits(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The clocks go back on 25 October: nights are nights by the local time.
	today := time.Date(2026, 10, 27, 3, 0, 0, 0, berlin)
	back := func(days int, late time.Duration) time.Time { return today.AddDate(0, 0, -days).Add(late) }
	var earlier []Transaction
	for d := 1; d <= 7; d++ {
		if d != 4 {
			earlier = append(earlier, night(back(d, 10*time.Minute), 1500, dropped("staging")))
		}
	}
	for _, test := range []struct {
		name  string
		harm  Transaction
		since time.Time
		want  Usual
		holds bool
	}{
		{"the nightly job", night(today, 2000, dropped("staging")), back(30, 0), Usual{6, 7}, true},
		{"a part of it", night(today, 2000), back(30, 0), Usual{6, 7}, true},
		{"far more rows", night(today, 48_000), back(30, 0), Usual{0, 7}, false},
		{"another table", night(today, 2000, dropped("carts")), back(30, 0), Usual{0, 7}, false},
		{"a table without a name", night(today, 2000, dropped("")), back(30, 0), Usual{}, false},
		{"another time", night(back(0, 5*time.Hour), 2000), back(30, 0), Usual{0, 7}, false},
		{"a log of four nights", night(today, 2000), back(4, -time.Hour), Usual{3, 4}, true},
		{"a log of one night", night(today, 2000), back(1, -time.Hour), Usual{1, 1}, false},
		{"a log of today", night(today, 2000), back(0, -time.Hour), Usual{}, false},
		{"a log that begins nowhere", night(today, 2000), time.Time{}, Usual{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := NewHabits([]Transaction{test.harm}, berlin, test.since)
			for _, s := range h.Spans() {
				if err := h.Read(s, within(s, earlier, nil)); err != nil {
					t.Fatal(err)
				}
			}
			if got := h.Of(test.harm.LSN); got != test.want || got.Holds() != test.holds {
				t.Errorf("%s (%v), want %s", got, got.Holds(), test.want)
			}
		})
	}
}

// A night that could not be read is not known, and many harms of one night are
// read at once.
func TestHabits_Unread(t *testing.T) {
	today := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	var harms, earlier []Transaction
	for i := range 5 {
		harms = append(harms, night(today.Add(time.Duration(i)*20*time.Minute), 2000))
	}
	for d := 1; d <= 7; d++ {
		earlier = append(earlier, night(today.AddDate(0, 0, -d), 2000))
	}
	h := NewHabits(harms, time.UTC, today.AddDate(0, 0, -30))
	if n := len(h.Spans()); n != 7 {
		t.Fatalf("%d spans are read", n)
	}
	for i, s := range h.Spans() {
		if i == 2 {
			if err := h.Read(s, within(s, earlier, errors.New("a gap"))); err == nil {
				t.Error("the error is lost")
			}
			continue
		}
		if err := h.Read(s, within(s, earlier, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Of(harms[0].LSN); got != (Usual{6, 6}) || got.String() != "seen on 6 of 6 days" {
		t.Errorf("%s", got)
	}
	if got := h.Of(harms[4].LSN); got != (Usual{0, 6}) { // 80 minutes later
		t.Errorf("%s", got)
	}
	if got := h.Of(1); got != (Usual{}) || (*Habits)(nil).Of(1) != (Usual{}) {
		t.Errorf("of nothing: %s", got)
	}
}

// The words are the same wherever they are read: usual stands before what it was,
// because lines are cut at their end.
func TestWording_Usual(t *testing.T) {
	tx := night(time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), 48_211)
	if got := (Wording{}).Line(tx, Usual{6, 7}); got != "USUAL, seen on 6 of 7 days  delete sessions 48 211 (48 %)" {
		t.Errorf("%q", got)
	}
	if got := (Wording{}).Line(tx, Usual{1, 7}); got != "HARM  delete sessions 48 211 (48 %)" {
		t.Errorf("%q", got)
	}
}
