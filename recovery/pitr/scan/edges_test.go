package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walfile"
)

// story is a little history with what is hard about reading it.
type story struct {
	*cluster
	names recovery.Names
	// xids are transactions by what they did; before is the commit before
	// the database was dropped, behind the segment that it lies in.
	xids   map[string]recovery.XID
	before recovery.LSN
}

// tell makes the history.
func tell(t *testing.T) *story {
	t.Helper()
	s := &story{cluster: newCluster(t, nil), xids: map[string]recovery.XID{}}
	conn, other := s.connect(t, "postgres"), s.connect(t, "postgres")
	fill := func(megabytes int) { // log without any transaction of interest
		conn.do(fmt.Sprintf("select pg_logical_emit_message(false, 'fill', repeat('x', 500000)) from generate_series(1, %d)", 2*megabytes))
	}
	commit := func(name string, conn *session, statements ...string) {
		conn.do("begin")
		conn.do(statements...)
		s.xids[name] = recovery.XID(conn.number("select pg_current_xact_id()::text::int8"))
		conn.do("commit")
	}
	commit("create", conn, "create table t (id int, note text)")
	conn.do("create database doomed", "checkpoint")

	// A long transaction around others.
	other.do("begin", "insert into t select generate_series(1, 10)")
	s.xids["long"] = recovery.XID(other.number("select pg_current_xact_id()::text::int8"))
	fill(4)
	commit("short", conn, "insert into t values (11)")
	conn.do("checkpoint")
	fill(2)
	other.do("delete from t where id <= 5", "commit")
	conn.do("checkpoint")

	// The end of a transaction has a long line, and lies on a boundary.
	commit("many", conn, `do $$ begin for i in 1..70000 loop begin insert into t values (i); exception when division_by_zero then null; end; end loop; end $$`)
	// A record that fills some segments, and one right behind it.
	commit("huge", conn, "select pg_logical_emit_message(true, 'huge', repeat('x', 3500000))", "insert into t values (12)")

	s.before = conn.lsn()
	commit("before", conn, "insert into t values (13)")
	fill(3)
	conn.do("select pg_create_restore_point('here: it is')")
	s.xids["drop database"] = recovery.XID(conn.number("select pg_snapshot_xmax(pg_current_snapshot())::text::int8"))
	conn.do("drop database doomed")
	commit("after", conn, "insert into t values (14)")
	s.finish(t)
	m, err := ReadNames(t.Context(), conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	s.names = m
	return s
}

// by finds transactions by their xids.
func by(t *testing.T, all []recovery.Transaction, xid recovery.XID) recovery.Transaction {
	t.Helper()
	i := slices.IndexFunc(all, func(tx recovery.Transaction) bool { return tx.XID == xid })
	if i < 0 {
		t.Fatalf("transaction %d is not listed", xid)
	}
	return all[i]
}

func TestReader_Edges(t *testing.T) {
	s := tell(t)
	reader := func(t *testing.T, chunk int) Reader {
		r := s.reader(t, s.names)
		r.Chunk = chunk
		return r
	}
	for _, chunk := range []int{1, 2, 100} {
		t.Run(fmt.Sprintf("chunks of %d", chunk), func(t *testing.T) {
			all := read(t, reader(t, chunk), s.whole(t))
			for name, want := range map[string]string{"long": "t +10 -5", "short": "t +1", "many": "t +70000", "huge": "t +1", "after": "t +1"} {
				tx := by(t, all, s.xids[name])
				if got := strings.Join(pitrtest.Show(tx.Tables), "; "); got != want || tx.AtLeast || tx.First == 0 || tx.First >= tx.LSN {
					t.Errorf("%s: %s, at least: %v, from %s; want %s", name, got, tx.AtLeast, tx.First, want)
				}
				if tx.Stop != tx.LSN || tx.Inclusive {
					t.Errorf("%s: stop at %s, inclusive: %v; want before %s", name, tx.Stop, tx.Inclusive, tx.LSN)
				}
				if tx.End <= tx.LSN {
					t.Errorf("%s: it ends at %s", name, tx.End)
				}
			}
			before, drop := by(t, all, s.xids["before"]), by(t, all, s.xids["drop database"])
			if drop.Stop != before.LSN || !drop.Inclusive {
				t.Errorf("drop database: stop at %s, inclusive: %v; want %s with it", drop.Stop, drop.Inclusive, before.LSN)
			}
			if len(drop.Databases) != 1 || !drop.Databases[0].Dropped || len(drop.Harms()) != 1 {
				t.Errorf("drop database: %v, %v", drop.Databases, drop.Harms())
			}
			i := slices.IndexFunc(all, func(tx recovery.Transaction) bool { return tx.How == recovery.NamedPoint })
			if i < 0 {
				t.Fatal("the restore point is not listed")
			}
			point := all[i]
			if point.RestorePoint != "here: it is" || point.LSN <= before.LSN || point.LSN >= drop.LSN || !point.Time.Equal(before.Time) {
				t.Errorf("restore point: %+v", point)
			}
		})
	}
	t.Run("look back", func(t *testing.T) {
		r := reader(t, 1)
		r.LookBack = 2 * segment
		all := read(t, r, s.whole(t))
		tx := by(t, all, s.xids["long"])
		if got := strings.Join(pitrtest.Show(tx.Tables), "; "); got != "t -5" || !tx.AtLeast || tx.First != 0 {
			t.Errorf("long: %s, at least: %v; want t -5 at least", got, tx.AtLeast)
		}
		if tx := by(t, all, s.xids["after"]); tx.AtLeast {
			t.Error("after is said to have begun before what was read")
		}
	})
	t.Run("held back", func(t *testing.T) {
		// A transaction that began long ago does not fill the memory.
		j := &joiner{names: newNamer(nil, func(recovery.LSN) uint32 { return 1 }), lookBack: 1 << 40, hold: 10, to: 1 << 40, waits: map[uint32][]*finished{}}
		n := 0
		for i := range 100 {
			lsn := recovery.LSN(1<<30 - i<<20)
			end := end{how: recovery.Committed, xid: uint32(10_000 - i)}
			if i == 0 {
				end.xid = 3
			}
			j.add(chunk{ended: []*finished{{lsn: lsn, info: end}}, newer: end.xid, known: i > 0})
			j.release(lsn, false, func(tx recovery.Transaction) bool {
				if tx.AtLeast != (tx.XID == 3) {
					t.Errorf("%d began before what was read: %v", tx.XID, tx.AtLeast)
				}
				n++
				return true
			})
			if len(j.queue) > 11 {
				t.Fatalf("%d ends are held back", len(j.queue))
			}
		}
		if n != 100 || len(j.waits) > 0 {
			t.Errorf("%d of 100 ends came, %d xids are waited for", n, len(j.waits))
		}
	})
	t.Run("where the log begins", func(t *testing.T) {
		all := read(t, reader(t, 1), s.whole(t))
		from := by(t, all, s.xids["short"]).LSN
		got := read(t, reader(t, 2), Stretch{First: from / segment * segment, From: from, To: s.end})
		if tx := by(t, got, s.xids["long"]); !tx.AtLeast || strings.Join(pitrtest.Show(tx.Tables), "; ") != "t -5" {
			t.Errorf("long: %v, at least: %v; want t -5 at least", pitrtest.Show(tx.Tables), tx.AtLeast)
		}
		if tx := by(t, got, s.xids["many"]); tx.AtLeast {
			t.Error("many is said to have begun before the log")
		}
	})
	t.Run("stretch", func(t *testing.T) {
		all := read(t, reader(t, 1), s.whole(t))
		for i := range all {
			for k := i + 1; k < len(all); k += 3 {
				if all[k-1].AtLeast {
					continue
				}
				got := read(t, reader(t, 3), Stretch{First: s.start, From: all[k-1].LSN, To: all[i].End})
				if diff := cmp.Diff(all[i:k], got); diff != "" {
					t.Fatalf("from %s to %s (-want +got):\n%.1500s", all[k-1].LSN, all[i].LSN, diff)
				}
			}
			if i > 3 {
				break
			}
		}
	})
	t.Run("enough", func(t *testing.T) {
		r := reader(t, 1)
		for _, err := range r.Read(t.Context(), s.whole(t)) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		empty(t, r.Dir)
	})
	t.Run("room", func(t *testing.T) {
		for _, cut := range []struct{ chunk, jobs int }{{1, 1}, {1, 3}, {4, 2}} {
			var mu sync.Mutex
			most := 0
			r := reader(t, cut.chunk)
			r.Jobs = cut.jobs
			r.Fetch = func(ctx context.Context, name, path string) error {
				mu.Lock()
				defer mu.Unlock()
				files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "0*"))
				if err != nil {
					return err
				}
				most = max(most, len(files)+1)
				return s.fetch(ctx, name, path)
			}
			read(t, r, s.whole(t))
			const huge = 4 // segments that one record of this log goes through
			if limit := cut.jobs*(cut.chunk+1) + 1 + huge; most > limit {
				t.Errorf("%d jobs with chunks of %d: %d segments at a time, want at most %d", cut.jobs, cut.chunk, most, limit)
			}
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		why := errors.New("the operator went home")
		r := reader(t, 1)
		var last error
		for _, err := range r.Read(ctx, s.whole(t)) {
			cancel(why)
			last = err
		}
		if !errors.Is(last, why) {
			t.Errorf("the last error is %v, want the cause", last)
		}
		empty(t, r.Dir)
	})
	t.Run("progress", func(t *testing.T) {
		var all []recovery.ScanProgress
		r := reader(t, 2)
		r.Progress = func(p recovery.ScanProgress) { all = append(all, p) }
		stretch := s.whole(t)
		read(t, r, stretch)
		last := all[len(all)-1]
		if last.Done != last.Total || last.Total != int64(stretch.To-stretch.First) || last.Back.IsZero() {
			t.Errorf("the last progress is %+v", last)
		}
		if !slices.IsSortedFunc(all, func(a, b recovery.ScanProgress) int { return int(a.Done - b.Done) }) {
			t.Errorf("progress goes back: %v", all)
		}
	})
	t.Run("timelines", func(t *testing.T) {
		r := reader(t, 2)
		fork := by(t, read(t, r, s.whole(t)), s.xids["huge"]).LSN
		r.Timelines = []Timeline{{ID: 3}, {ID: 7, From: fork}}
		var mu sync.Mutex
		seen := map[string]bool{}
		r.Fetch = func(ctx context.Context, name, path string) error {
			mu.Lock()
			seen[name[:8]] = true
			mu.Unlock()
			if at := walfile.SegmentName(7, uint64(fork)/segment, segment); name[:8] == "00000003" && name[8:] >= at[8:] || name[:8] == "00000007" && name[8:] < at[8:] {
				return fmt.Errorf("%s is of the wrong timeline", name)
			}
			return s.fetch(ctx, "00000001"+name[8:], path)
		}
		for _, tx := range read(t, r, s.whole(t)) {
			if want := map[bool]uint32{false: 3, true: 7}[tx.LSN >= fork]; tx.Timeline != want {
				t.Errorf("%d is on timeline %d, want %d", tx.XID, tx.Timeline, want)
			}
		}
		if len(seen) != 2 {
			t.Errorf("segments of timelines %v were read", seen)
		}
	})
}

// TestReader_Faults reads logs that are broken. What was yielded before the
// error is true, and the error says where it is.
func TestReader_Faults(t *testing.T) {
	s := tell(t)
	whole := read(t, s.reader(t, s.names), s.whole(t))
	at := by(t, whole, s.xids["many"])
	bad := walfile.SegmentName(1, uint64(at.LSN)/segment, segment)
	read := func(t *testing.T, r Reader, stretch Stretch) ([]recovery.Transaction, error) {
		t.Helper()
		var all []recovery.Transaction
		for tx, err := range r.Read(t.Context(), stretch) {
			if err != nil {
				empty(t, r.Dir)
				return all, err
			}
			all = append(all, tx)
		}
		empty(t, r.Dir)
		return all, nil
	}
	broken := func(change func([]byte) []byte) func(context.Context, string, string) error {
		return func(_ context.Context, name, path string) error {
			b, err := os.ReadFile(filepath.Join(s.Data, "pg_wal", name))
			if err != nil {
				return err
			}
			if name == bad {
				b = change(b)
			}
			return os.WriteFile(path, b, 0o600)
		}
	}
	for _, test := range []struct {
		name   string
		change func([]byte) []byte
		says   string
	}{
		{"a byte changed", func(b []byte) []byte { b[len(b)/2+100] ^= 0x55; return b }, "incorrect resource manager data checksum"},
		{"zeros", func(b []byte) []byte { clear(b[len(b)/2:]); return b }, ""},
		{"too short", func(b []byte) []byte { return b[:len(b)/2] }, "it has 524288 bytes instead of 1048576"},
		{"another segment", func(b []byte) []byte {
			other, err := os.ReadFile(filepath.Join(s.Data, "pg_wal", walfile.SegmentName(1, uint64(at.LSN)/segment-1, segment)))
			if err != nil {
				t.Error(err)
			}
			return other
		}, ""},
	} {
		for _, chunk := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, chunks of %d", test.name, chunk), func(t *testing.T) {
				r := s.reader(t, s.names)
				r.Chunk, r.Fetch = chunk, broken(test.change)
				got, err := read(t, r, s.whole(t))
				var d *Damage
				if !errors.As(err, &d) {
					t.Fatalf("the error is %v, want damage", err)
				}
				if !strings.Contains(d.Says, test.says) || d.LSN > at.End || d.LSN < at.LSN/segment*segment-2*segment {
					t.Errorf("damage: %v; want %q near %s", d, test.says, at.LSN)
				}
				if len(got) == 0 || len(got) >= len(whole) {
					t.Fatalf("%d of %d transactions are listed", len(got), len(whole))
				}
				for i := range got {
					if got[i].LSN != whole[i].LSN {
						t.Fatalf("number %d is at %s, want %s", i, got[i].LSN, whole[i].LSN)
					}
				}
			})
		}
	}
	t.Run("missing", func(t *testing.T) {
		r := s.reader(t, s.names)
		r.Chunk = 1
		r.Fetch = func(ctx context.Context, name, path string) error {
			if name == bad {
				return os.ErrNotExist
			}
			return s.fetch(ctx, name, path)
		}
		if _, err := read(t, r, s.whole(t)); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), bad) {
			t.Errorf("the error is %v, want one that names %s", err, bad)
		}
	})
	t.Run("an open end", func(t *testing.T) {
		next := (s.end/segment + 1) * segment
		stretch := Stretch{First: s.start, To: next, Open: true}
		r := s.reader(t, s.names)
		zeros := walfile.SegmentName(1, uint64(s.end)/segment, segment)
		r.Fetch = func(ctx context.Context, name, path string) error {
			if err := s.fetch(ctx, name, path); err != nil || name != zeros {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			clear(b[s.end%segment:])
			return os.WriteFile(path, b, 0o600)
		}
		got, err := read(t, r, stretch)
		if err != nil || len(got) != len(whole) {
			t.Errorf("open: %d of %d transactions, %v", len(got), len(whole), err)
		}
		stretch.Open = false
		var d *Damage
		if _, err := read(t, r, stretch); !errors.As(err, &d) || d.Segment != zeros {
			t.Errorf("not open: %v, want damage in %s", err, zeros)
		}
	})
	t.Run("impossible segments", func(t *testing.T) {
		r := s.reader(t, nil)
		r.SegmentSize = 3 << 20
		if _, err := read(t, r, s.whole(t)); err == nil {
			t.Error("segments of 3 MB are read")
		}
	})
}
