package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// scanned is what a scan of a copy came to.
type scanned struct {
	all []recovery.Transaction
	err error
	// back is the last progress.
	back recovery.ScanProgress
}

// scanCopy scans a copy, with a temporary directory that must be empty afterwards.
func scanCopy(t testing.TB, c *copyOf, component recovery.Component, span recovery.Span) scanned {
	t.Helper()
	temp := t.TempDir()
	e := New(Options{Temp: temp})
	s, err := e.Survey(t.Context(), component, recovery.Copy{Name: "nearby"}, c.store)
	if err != nil {
		t.Fatal(err)
	}
	var got scanned
	for tx, err := range e.(recovery.Scanner).Scan(t.Context(), recovery.ScanOptions{Component: component, Survey: s, Store: c.store, Span: span,
		Progress: func(p recovery.ScanProgress) { got.back = p }}) {
		if err != nil {
			got.err = err
			continue
		}
		if n := len(got.all); n > 0 && got.all[n-1].LSN <= tx.LSN {
			t.Errorf("%s comes after %s: not the newest first", tx.LSN, got.all[n-1].LSN)
		}
		got.all = append(got.all, tx)
	}
	leavesNothing(t, temp)
	return got
}

func leavesNothing(t testing.TB, temp string) {
	t.Helper()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// find is a transaction by its id.
func (s scanned) find(xid recovery.XID) (recovery.Transaction, bool) {
	i := slices.IndexFunc(s.all, func(t recovery.Transaction) bool {
		return t.XID == xid && (t.How != recovery.Prepared)
	})
	if i < 0 {
		return recovery.Transaction{}, false
	}
	return s.all[i], true
}

// holds fails where a commit is missing, or told wrongly.
func (s scanned) holds(t testing.TB, marks ...mark) {
	t.Helper()
	for _, m := range marks {
		tx, ok := s.find(m.xid)
		if !ok {
			t.Errorf("%s, xid %d of %s, is missing", m.name, m.xid, m.time)
			continue
		}
		if !tx.Time.Equal(m.time) || tx.How != recovery.Committed && tx.How != recovery.CommittedPrepared {
			t.Errorf("%s: %s at %s, want its commit at %s", m.name, tx.How, tx.Time, m.time)
		}
	}
}

// Every commit after the oldest base backup is found, whatever segments are
// packed with, and what is told to stop at is what resolving stops at.
func TestScan_EveryCommit(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	for name, pack := range map[string]func(*copyOf){
		"raw":  func(*copyOf) {},
		"gzip": func(c *copyOf) { c.pack(t, ".gz", "gzip", "-1", "-c") },
		"zstd": func(c *copyOf) { c.pack(t, ".zst", "zstd", "-1", "-q", "-c") },
	} {
		t.Run(name, func(t *testing.T) {
			c := l.copy(t, "early", "tar", "zstd")
			pack(c)
			got := scanCopy(t, c, database, recovery.Span{})
			if got.err != nil {
				t.Fatalf("%v (%s)", got.err, recovery.HintOf(got.err))
			}
			got.holds(t, l.marks...)
			if tx, ok := got.find(l.aborted); !ok || tx.How != recovery.Aborted {
				t.Errorf("the transaction that was rolled back: %+v", tx)
			}
			if got.back.Done != got.back.Total || got.back.Done < 5<<20 {
				t.Errorf("the last progress is %+v", got.back)
			}
		})
	}
}

// What is told to stop at, to go to just before a transaction, is what resolving
// stops at.
func TestScan_Stop(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "early", "plain")
	got := scanCopy(t, c, database, recovery.Span{})
	s := survey(t, c.store, database)
	for _, name := range []string{"order 9", "subtransactions", "long", "prepared", "drop table", "drop database"} {
		xid := l.mark(t, name).xid
		tx, ok := got.find(xid)
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		p := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", xid))
		if tx.Stop != p.Stop || tx.Inclusive != p.Inclusive {
			t.Errorf("%s: stops at %s, inclusive %v; resolving at %s, %v", name, tx.Stop, tx.Inclusive, p.Stop, p.Inclusive)
		}
	}
}

// A span holds what ended in it, both ends included, and nothing else.
func TestScan_Span(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "early", "zstd")
	from, to := l.mark(t, "order 8"), l.mark(t, "order 14")
	got := scanCopy(t, c, database, recovery.Span{From: from.time, To: to.time})
	if got.err != nil {
		t.Fatal(got.err)
	}
	i := slices.IndexFunc(l.marks, func(m mark) bool { return m.name == from.name })
	j := slices.IndexFunc(l.marks, func(m mark) bool { return m.name == to.name })
	got.holds(t, l.marks[i:j+1]...)
	for _, tx := range got.all {
		if tx.Time.Before(from.time) || tx.Time.After(to.time) {
			t.Errorf("xid %d of %s is outside of %s .. %s", tx.XID, tx.Time, from.time, to.time)
		}
	}
	for name, span := range map[string]recovery.Span{
		"before all": {From: from.time.Add(-48 * time.Hour), To: from.time.Add(-47 * time.Hour)},
		"after all":  {From: to.time.Add(time.Hour), To: to.time.Add(2 * time.Hour)},
	} {
		if got := scanCopy(t, c, database, span); len(got.all) > 0 || got.err != nil {
			t.Errorf("%s: %d transactions, %v", name, len(got.all), got.err)
		}
	}
}

// What cannot be read is told, and what is on both sides of it is found.
func TestScan_Gap(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	hole := walfile.Number(l.mark(t, "third bulk").before, 1<<20) + 1
	segment := walfile.SegmentName(1, hole, 1<<20)
	for name, c := range map[string]struct {
		harm func(c *copyOf)
		says string
	}{
		"missing":     {func(c *copyOf) { c.remove(t, "wal/"+segment) }, "segment " + segment + " is missing"},
		"empty":       {func(c *copyOf) { c.replace(t, "wal/"+segment, func([]byte) []byte { return nil }) }, segment + " is empty"},
		"overwritten": {func(c *copyOf) { c.replace(t, "wal/"+segment, func(b []byte) []byte { clear(b[100:]); return b }) }, segment},
		"foreign":     {func(c *copyOf) { c.replace(t, "wal/"+segment, func(b []byte) []byte { b[24] ^= 1; return b }) }, "another cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			copy := l.copy(t, "early", "zstd")
			c.harm(copy)
			got := scanCopy(t, copy, database, recovery.Span{})
			if got.err == nil || !strings.Contains(got.err.Error(), c.says) || recovery.HintOf(got.err) == "" || recovery.ExitOf(got.err) != recovery.WithExceptions {
				t.Errorf("%v (%s), exit %d, want %q", got.err, recovery.HintOf(got.err), recovery.ExitOf(got.err), c.says)
			}
			got.holds(t, l.mark(t, "order 1"), l.mark(t, "order 9"), l.mark(t, "order 16"), l.mark(t, "order 20"))
			// Where it is not in the way, nobody is told of it.
			late := l.mark(t, "order 18").time
			if got := scanCopy(t, copy, database, recovery.Span{From: late, To: late.Add(time.Hour)}); got.err != nil || len(got.all) == 0 {
				t.Errorf("behind it: %d transactions, %v", len(got.all), got.err)
			}
			early := l.mark(t, "order 8")
			before := scanCopy(t, copy, database, recovery.Span{To: early.time})
			if before.err != nil {
				t.Errorf("before it: %v", before.err)
			}
			before.holds(t, early, l.mark(t, "order 1"))
		})
	}
}

// The history that is followed is that of resolving: the newest timeline, with
// its ancestors up to where they were left.
func TestScan_Fork(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c, marks := copyFork(t, "plain")
	got := scanCopy(t, c, database, recovery.Span{})
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.holds(t, marks...)
	got.holds(t, l.mark(t, "order 9"), l.mark(t, "order 14"))
	for _, tx := range got.all {
		if want := uint32(1); tx.LSN >= forked.fork.before {
			want = 2
			if tx.Timeline != want {
				t.Errorf("xid %d at %s is on timeline %d, want %d", tx.XID, tx.LSN, tx.Timeline, want)
			}
		}
	}
	if tx, ok := got.find(l.mark(t, "order 20").xid); ok && tx.Time.Equal(l.mark(t, "order 20").time) {
		t.Error("what timeline 1 did after the fork is listed")
	}
	other := scanCopy(t, c, inTimeline("1"), recovery.Span{})
	if other.err != nil {
		t.Fatal(other.err)
	}
	other.holds(t, l.mark(t, "order 20"))
}

// Whoever has enough, or is interrupted, leaves nothing behind.
func TestScan_Interrupted(t *testing.T) {
	l := source.get(t)
	c := l.copy(t, "early")
	s := survey(t, c.store, database)
	temp := t.TempDir()
	e := New(Options{Temp: temp}).(recovery.Scanner)
	o := recovery.ScanOptions{Component: database, Survey: s, Store: c.store}
	for range e.Scan(t.Context(), o) {
		break
	}
	leavesNothing(t, temp)
	cause := errors.New("interrupted by ctrl-c")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	var last error
	for _, err := range e.Scan(ctx, o) {
		if n++; n == 1 {
			cancel(cause)
		}
		last = err
	}
	if !errors.Is(last, cause) && !errors.Is(last, context.Canceled) {
		t.Errorf("the scan ends with %v", last)
	}
	leavesNothing(t, temp)
}

func TestLocate(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "early", "zstd")
	s := survey(t, c.store, database)
	e := testEngine(t).(nativeEngine).engine
	o := recovery.ScanOptions{Component: database, Survey: s, Store: c.store}
	for _, name := range []string{"order 2", "long", "prepared", "order 20"} {
		m := l.mark(t, name)
		if got, err := e.Locate(t.Context(), o, m.xid); err != nil || !got.Time.Equal(m.time) {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, m.time)
		}
	}
	if got, err := e.Locate(t.Context(), o, l.aborted); err != nil || got.LSN == 0 {
		t.Errorf("the transaction that was rolled back: %+v, %v", got, err)
	}
	if _, err := e.Locate(t.Context(), o, 4_000_000); recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) == "" || !strings.Contains(err.Error(), "transaction 4000000") {
		t.Errorf("an unknown transaction: %v (%s)", err, recovery.HintOf(err))
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	c := source.get(t).copy(t, "early", "zstd")
	s := survey(t, c.store, database)
	e := testEngine(t).(nativeEngine).engine
	segments := c.segments(t)
	last := segments[len(segments)-1]
	for name, want := range map[string]bool{last: true, walfile.SegmentName(1, 4000, 1<<20): false} {
		if got, err := e.Holds(t.Context(), s, c.store, name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	c.replace(t, "wal/"+last, func([]byte) []byte { return nil })
	if got, err := e.Holds(t.Context(), s, c.store, last); got || err != nil {
		t.Errorf("an empty segment: %v, %v", got, err)
	}
	history := fmt.Sprintf("%08X.history", 2)
	if got, err := e.Holds(t.Context(), s, c.store, history); got || err != nil {
		t.Errorf("a history that is not there: %v, %v", got, err)
	}
	if err := os.WriteFile(c.path("wal/"+history), []byte("1\t0/3000000\tno recovery target specified\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Holds(t.Context(), s, c.store, history); !got || err != nil {
		t.Errorf("a history: %v, %v", got, err)
	}
	if _, err := e.Holds(t.Context(), s, c.store, "backup_label"); err == nil {
		t.Error("a label is taken for a segment")
	}
}

// Where the whole log to its end is read, the rows that a table had are told
// from those that it has; where not, they are as they were read.
func TestSizes(t *testing.T) {
	t.Parallel()
	table := func(rows, inserted, deleted int64) recovery.Transaction {
		return recovery.Transaction{How: recovery.Committed, Tables: []recovery.TableChange{
			{Relation: recovery.Relation{Name: "orders", Rows: rows}, Inserted: inserted, Deleted: deleted}}}
	}
	truncate := table(30, 0, 0)
	truncate.Tables[0].Truncated = true
	rolledBack := table(30, 1000, 0)
	rolledBack.How = recovery.Aborted
	s := sizes{since: map[sizeKey]int64{}, lost: map[sizeKey]bool{}}
	for i, c := range []struct {
		t    recovery.Transaction
		want int64
	}{
		{table(30, 30, 0), 30},
		{rolledBack, 30},
		{table(30, 0, 670), 670},
		{table(30, 10, 0), 660},
		{table(30, 0, 5000), 5660},
		{truncate, -1},
		{table(30, 0, 10), -1},
	} {
		if s.before(&c.t); c.t.Tables[0].Rows != c.want {
			t.Errorf("%d: %d rows, want %d", i, c.t.Tables[0].Rows, c.want)
		}
	}
	// Counted before the deletion, which the server has not noticed yet.
	late := table(40_000, 0, 40_227)
	s = sizes{since: map[sizeKey]int64{}, lost: map[sizeKey]bool{}}
	if s.before(&late); late.Tables[0].Rows != 40_227 {
		t.Errorf("with an old count: %d rows, want 40227", late.Tables[0].Rows)
	}
	s.unknown = true
	other := table(30, 0, 670)
	if s.before(&other); other.Tables[0].Rows != 30 {
		t.Errorf("where a part is missing: %d rows", other.Tables[0].Rows)
	}
}

// A recent span does not cost the listing of the whole archive.
func TestScan_Oldest(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	var r resolver
	for _, hour := range []int{20, 15, 10, 5} {
		r.bases = append(r.bases, facts{Base: Base{ID: fmt.Sprint(hour), Ended: at(hour)}})
	}
	for hour, want := range map[int]string{21: "15", 16: "10", 6: "5", 1: "5"} {
		if got := r.oldest(at(hour)).Base.ID; got != want {
			t.Errorf("from %d: the log is read from backup %s on, want %s", hour, got, want)
		}
	}
	if got := r.oldest(time.Time{}).Base.ID; got != "5" {
		t.Errorf("without a beginning: from backup %s on", got)
	}
}
