package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
)

// seen is all that is taken from a record.
type seen struct {
	Op            op
	XID, Total    uint32
	LSN           recovery.LSN
	File          file
	Block         uint32
	Space         uint32
	Rows          int64
	Flags         uint32
	Init          bool
	Next          uint32
	OldBlock      uint32
	Old, New      uint16
	End           end
	Desc          string // where something is read from it later
	Told, Present bool
}

// see takes what is taken from a record, and reports whether it was read without
// the text.
func see(t testing.TB, r *record) (s seen) {
	t.Helper()
	s = seen{Op: r.op, XID: r.xid, Total: r.total, LSN: r.lsn, File: r.file, Block: r.block, Space: r.space,
		Rows: r.rows, Flags: r.flags, Init: r.init, Next: r.next}
	var err error
	switch r.op {
	case opInsert, opUpdate, opDelete:
		s.OldBlock, s.Old, s.New, s.Present = r.tuples()
		if r.op == opInsert {
			s.OldBlock = 0
		}
	case opTransaction:
		s.End, s.Told, err = parseEnd(r)
	case opRestorePoint, opDatabase, opTablespace:
		s.Desc = string(r.desc)
	}
	if err != nil {
		t.Error(err)
	}
	return s
}

// sameRecords holds what is read without the text of pg_waldump against that text,
// record by record, over all that a cluster wrote.
func sameRecords(t *testing.T, c *cluster, s Stretch) {
	t.Helper()
	dir := filepath.Join(c.Data, "pg_wal")
	d := dumper{tools: c.Tools, dir: dir, timeline: 1}
	var want []seen
	for _, manager := range resourceManagers { // each by itself, as every major can
		if err := d.lines(t.Context(), s.First, s.To, []string{manager}, func(r *record) error { want = append(want, see(t, r)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	sort.Slice(want, func(i, j int) bool { return want[i].LSN < want[j].LSN })
	begin, err := continued(filepath.Join(dir, walfile.SegmentName(1, uint64(s.First)/segment, segment)), uint64(s.First)/segment, segment, 8192)
	if err != nil {
		t.Fatal(err)
	}
	n := native{dumper: d, log: xlog.Stretch{From: begin, To: s.To, Major: c.Tools.Major, SegmentSize: segment, PageSize: 8192,
		Path: func(seg uint64) string { return filepath.Join(dir, walfile.SegmentName(1, seg, segment)) }}}
	i, here := 0, 0
	err = n.each(t.Context(), func(r *record) error {
		if i == len(want) {
			return fmt.Errorf("a record at %s that pg_waldump does not tell", r.lsn)
		}
		if diff := cmp.Diff(want[i], see(t, r), cmp.AllowUnexported(file{}, end{}, located{}), cmpopts.EquateEmpty()); diff != "" {
			return fmt.Errorf("the record at %s (-text +read here):\n%s", r.lsn, diff)
		}
		if i++; r.native {
			here++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if i != len(want) {
		t.Errorf("%d of %d records were read", i, len(want))
	}
	t.Logf("%d records, %d of them read here", i, here)
	if here < i*9/10 {
		t.Errorf("only %d of %d records were read without the text", here, i)
	}
}

// compressed writes images of pages that are compressed in every way that the
// server knows.
func compressed(t *testing.T, c *cluster) {
	t.Helper()
	conn := c.connect(t, "postgres")
	conn.do("create table pages (id int, note text)", "insert into pages select i, repeat('x', 100) from generate_series(1, 600) i")
	methods := []string{"off", "pglz"}
	if c.Tools.Major >= 15 {
		methods = append(methods, "lz4", "zstd")
	}
	for _, method := range methods {
		if _, err := conn.Exec(t.Context(), "set wal_compression = "+method); err != nil {
			t.Logf("this server has no %s", method)
			continue
		}
		conn.do("checkpoint", "update pages set note = note || 'y' where id % 7 = 0", "create index on pages (id)")
	}
}

// A chunk whose log cannot be read in one's own way is read by the text: the same
// is listed, up to the same place.
func TestReader_Doubts(t *testing.T) {
	c := newCluster(t, nil)
	conn := c.connect(t, "postgres")
	conn.do("create table t (id int)")
	for range 6 {
		conn.do("insert into t select generate_series(1, 5000)")
	}
	whole := c.whole(t)
	bad := walfile.SegmentName(1, uint64(whole.First)/segment+1, segment)
	for _, test := range []struct {
		name   string
		change func(b []byte) // of the second segment
		major  int
	}{
		{name: "a number of another major", change: func(b []byte) { b[0]++ }},
		{name: "a checksum", change: func(b []byte) { b[len(b)/2+100] ^= 0x55 }},
		{name: "an unknown flag of a page", change: func(b []byte) { b[8192+2] |= 0x10 }},
		{name: "zeros", change: func(b []byte) { clear(b[len(b)/2:]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := func(byText bool) (all []recovery.Transaction, doubts int64, damage *Damage) {
				r := c.reader(t, nil)
				r.Chunk, r.byText, r.doubts = 2, byText, &atomic.Int64{}
				r.Fetch = func(ctx context.Context, name, path string) error {
					b, err := os.ReadFile(filepath.Join(c.Data, "pg_wal", name))
					if err != nil {
						return err
					}
					if name == bad {
						test.change(b)
					}
					return os.WriteFile(path, b, 0o600)
				}
				for tx, err := range r.Read(t.Context(), whole) {
					if err != nil && !errors.As(err, &damage) {
						t.Fatal(err)
					}
					if err == nil {
						all = append(all, tx)
					}
				}
				return all, r.doubts.Load(), damage
			}
			want, _, damage := list(true)
			got, doubts, same := list(false)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the listing (-by the text +otherwise):\n%s", diff)
			}
			if diff := cmp.Diff(damage, same); diff != "" || damage == nil {
				t.Errorf("the damage (-by the text +otherwise):\n%s", diff)
			}
			if doubts == 0 {
				t.Error("nothing was in doubt")
			}
		})
	}
}
