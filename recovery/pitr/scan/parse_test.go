package scan

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// lines are records as the majors' pg_waldump writes them, and what is read.
var recordLines = []struct {
	name, line string
	want       record
}{
	{"13 insert", "rmgr: Heap        len (rec/tot):     54/   150, tx:        486, lsn: 0/01629E40, prev 0/01629E18, desc: INSERT off 2 flags 0x00, blkref #0: rel 1663/13593/16385 blk 0 FPW",
		record{op: opInsert, xid: 486, total: 150, lsn: 0x1629E40, file: file{13593, 16385}}},
	{"15 insert, new page", "rmgr: Heap        len (rec/tot):     59/    59, tx:        748, lsn: 1A/0152A5A0, prev 1A/0152A568, desc: INSERT+INIT off 1 flags 0x00, blkref #0: rel 1663/5/16388 blk 7",
		record{op: opInsert, xid: 748, total: 59, lsn: 0x1A_0152A5A0, file: file{5, 16388}, block: 7}},
	{"16 insert", "rmgr: Heap        len (rec/tot):     59/    59, tx:        739, lsn: 0/0158D9A0, prev 0/0158D968, desc: INSERT off: 3, flags: 0x08, blkref #0: rel 1663/5/16388 blk 0",
		record{op: opInsert, xid: 739, total: 59, lsn: 0x158D9A0, file: file{5, 16388}}},
	{"15 multi insert", "rmgr: Heap2       len (rec/tot):   4000/  4000, tx:        748, lsn: 0/0152A5A0, prev 0/0152A568, desc: MULTI_INSERT+INIT 61 tuples flags 0x02, blkref #0: rel 1663/5/16388 blk 9",
		record{op: opMultiInsert, xid: 748, total: 4000, lsn: 0x152A5A0, file: file{5, 16388}, block: 9, rows: 61}},
	{"16 multi insert", "rmgr: Heap2       len (rec/tot):   4000/  4000, tx:        748, lsn: 0/0152A5A0, prev 0/0152A568, desc: MULTI_INSERT ntuples: 3, flags: 0x02, offsets: [4, 5, 6], blkref #0: rel 1663/5/16388 blk 9",
		record{op: opMultiInsert, xid: 748, total: 4000, lsn: 0x152A5A0, file: file{5, 16388}, block: 9, rows: 3}},
	{"15 update across pages", "rmgr: Heap        len (rec/tot):     73/  8189, tx:        737, lsn: 0/0064F410, prev 0/0064F3D8, desc: UPDATE off 6 xmax 737 flags 0x02 ; new off 4 xmax 0, blkref #0: rel 1663/5/2610 blk 2 FPW, blkref #1: rel 1663/5/2610 blk 1",
		record{op: opUpdate, xid: 737, total: 8189, lsn: 0x64F410, file: file{5, 2610}, block: 2}},
	{"16 hot update", "rmgr: Heap        len (rec/tot):     73/    73, tx:        737, lsn: 0/0064F410, prev 0/0064F3D8, desc: HOT_UPDATE old_xmax: 737, old_off: 6, old_infobits: [], flags: 0x60, new_xmax: 0, new_off: 4, blkref #0: rel 1663/5/2610 blk 2",
		record{op: opUpdate, xid: 737, total: 73, lsn: 0x64F410, file: file{5, 2610}, block: 2}},
	{"15 delete to another partition", "rmgr: Heap        len (rec/tot):     54/    54, tx:        746, lsn: 0/00667938, prev 0/00667910, desc: DELETE off 1 flags 0x10 KEYS_UPDATED , blkref #0: rel 1663/5/16439 blk 0",
		record{op: opDelete, xid: 746, total: 54, lsn: 0x667938, file: file{5, 16439}, flags: deleteIsMove}},
	{"16 delete", "rmgr: Heap        len (rec/tot):     54/    54, tx:        746, lsn: 0/00667938, prev 0/00667910, desc: DELETE xmax: 746, off: 1, infobits: [KEYS_UPDATED], flags: 0x08, blkref #0: rel 1663/5/16439 blk 0",
		record{op: opDelete, xid: 746, total: 54, lsn: 0x667938, file: file{5, 16439}, flags: deleteIsSuper}},
	{"row lock", "rmgr: Heap        len (rec/tot):     54/    54, tx:        730, lsn: 0/0063FD90, prev 0/0063FD58, desc: LOCK off 7: xid 730: flags 0x00 LOCK_ONLY EXCL_LOCK , blkref #0: rel 1663/5/16385 blk 0",
		record{op: opOther, xid: 730, total: 54, lsn: 0x63FD90}},
	{"index", "rmgr: Btree       len (rec/tot):     64/    64, tx:        725, lsn: 0/00626760, prev 0/00626720, desc: INSERT_LEAF off 1, blkref #0: rel 1663/5/16391 blk 1",
		record{op: opOther, xid: 725, total: 64, lsn: 0x626760}},
	{"file", "rmgr: Storage     len (rec/tot):     42/    42, tx:        724, lsn: 0/00600868, prev 0/00600838, desc: CREATE base/5/16384",
		record{op: opCreateFile, xid: 724, total: 42, lsn: 0x600868, file: file{5, 16384}}},
	{"file in a tablespace", "rmgr: Storage     len (rec/tot):     42/    42, tx:        760, lsn: 0/00A93EB8, prev 0/00A93E88, desc: CREATE pg_tblspc/16470/PG_15_202209061/5/16471",
		record{op: opCreateFile, xid: 760, total: 42, lsn: 0xA93EB8, file: file{5, 16471}, space: 16470}},
	{"file of an unlogged table", "rmgr: Storage     len (rec/tot):     42/    42, tx:        749, lsn: 0/0066CFB0, prev 0/0066CF80, desc: CREATE base/5/16457_init",
		record{op: opCreateFile, xid: 749, total: 42, lsn: 0x66CFB0, file: file{5, 16457}, init: true}},
	{"map of a file", "rmgr: Storage     len (rec/tot):     42/    42, tx:        749, lsn: 0/0066CFB0, prev 0/0066CF80, desc: CREATE base/5/16457_vm",
		record{op: opOther, xid: 749, total: 42, lsn: 0x66CFB0}},
	{"emptied file", "rmgr: Storage     len (rec/tot):     46/    46, tx:        747, lsn: 0/0066B038, prev 0/0066AFF8, desc: TRUNCATE base/5/16445 to 0 blocks flags 7",
		record{op: opCutFile, xid: 747, total: 46, lsn: 0x66B038, file: file{5, 16445}}},
	{"shortened file", "rmgr: Storage     len (rec/tot):     46/    46, tx:        747, lsn: 0/0066B038, prev 0/0066AFF8, desc: TRUNCATE base/5/16445 to 3 blocks flags 7",
		record{op: opOther, xid: 747, total: 46, lsn: 0x66B038}},
	{"lock", "rmgr: Standby     len (rec/tot):     42/    42, tx:        731, lsn: 0/0063FE40, prev 0/0063FE18, desc: LOCK xid 731 db 5 rel 16385 ",
		record{op: opLock, xid: 731, total: 42, lsn: 0x63FE40, file: file{5, 16385}}},
	{"locks that are held", "rmgr: Standby     len (rec/tot):    309/   309, tx:          0, lsn: 0/1F0CA558, prev 0/1F0CA518, desc: LOCK xid 20045 db 16388 rel 53724 xid 20072 db 16388 rel 50496 ",
		record{op: opOther, total: 309, lsn: 0x1F0CA558}},
	{"running", "rmgr: Standby     len (rec/tot):     54/    54, tx:          0, lsn: 0/00A91648, prev 0/00A91570, desc: RUNNING_XACTS nextXid 757 latestCompletedXid 755 oldestRunningXid 756; 1 xacts: 756",
		record{op: opRunning, total: 54, lsn: 0xA91648, next: 757}},
	{"shutdown", "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/00AE0CB0, prev 0/00AE0C38, desc: CHECKPOINT_SHUTDOWN redo 0/AE0CB0; tli 1; prev tli 1; fpw true; xid 0:770; oid 16492; multi 1; offset 0; oldest xid 716 in DB 1; oldest multi 1 in DB 1; oldest/newest commit timestamp xid: 0/0; oldest running xid 0; shutdown",
		record{op: opRunning, total: 114, lsn: 0xAE0CB0, next: 770}},
	{"page image", "rmgr: XLOG        len (rec/tot):     49/   137, tx:        724, lsn: 0/0061FBA0, prev 0/0061FB60, desc: FPI , blkref #0: rel 1663/5/16390 blk 0 FPW",
		record{op: opImage, xid: 724, total: 137, lsn: 0x61FBA0, file: file{5, 16390}}},
	{"page image of a map", "rmgr: XLOG        len (rec/tot):     49/   137, tx:        724, lsn: 0/0061FBA0, prev 0/0061FB60, desc: FPI , blkref #0: rel 1663/5/16390 fork vm blk 0 FPW",
		record{op: opImage, xid: 724, total: 137, lsn: 0x61FBA0}},
	{"a resource manager with a long name", "rmgr: an_extension_of_somebody len (rec/tot):     49/   137, tx:        724, lsn: 0/0061FBA0, prev 0/0061FB60, desc: DO ",
		record{op: opOther, xid: 724, total: 137, lsn: 0x61FBA0}},
}

func TestRecord_parse(t *testing.T) {
	for _, test := range recordLines {
		t.Run(test.name, func(t *testing.T) {
			var got record
			ok, err := got.parse([]byte(test.line))
			if !ok || err != nil {
				t.Fatalf("parse = %v, %v", ok, err)
			}
			got.desc = nil
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(record{}, file{})); diff != "" {
				t.Errorf("parse (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecord_parse_damaged cuts every line everywhere: what is left is refused,
// or no record, and never another one.
func TestRecord_parse_damaged(t *testing.T) {
	for _, test := range recordLines {
		before, _, _ := strings.Cut(test.line, "desc: ")
		for cut := range before {
			var got record
			if ok, _ := got.parse([]byte(test.line[:cut])); ok {
				t.Errorf("%s: %q is read as a record", test.name, test.line[:cut])
			}
		}
	}
	for _, line := range []string{"", "first record is after 0/600000, at 0/600028, skipping over 40 bytes", "pg_waldump: error: x"} {
		var got record
		if ok, err := got.parse([]byte(line)); ok || err != nil {
			t.Errorf("parse(%q) = %v, %v, want no record", line, ok, err)
		}
	}
}

func TestRecord_tuples(t *testing.T) {
	for _, test := range []struct {
		line     string
		block    uint32
		old, new uint16
	}{
		{recordLines[0].line, 0, 0, 2},
		{recordLines[5].line, 1, 6, 4},
		{recordLines[6].line, 2, 6, 4},
		{recordLines[7].line, 0, 1, 0},
		{recordLines[8].line, 0, 1, 0},
	} {
		var r record
		if _, err := r.parse([]byte(test.line)); err != nil {
			t.Fatal(err)
		}
		block, old, new, ok := r.tuples()
		if !ok || block != test.block || old != test.old || new != test.new {
			t.Errorf("%s: tuples = %d, %d, %d, %v, want %d, %d, %d", test.line, block, old, new, ok, test.block, test.old, test.new)
		}
	}
}

func TestParseEnd(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 7, 58, 609371000, time.UTC)
	const when = "2026-11-23 09:07:58.609371 UTC"
	for _, test := range []struct {
		desc string
		xid  uint32
		want end
	}{
		{"COMMIT " + when, 726, end{how: recovery.Committed, xid: 726, time: at}},
		{"COMMIT " + when + "; rels: base/5/16391 pg_tblspc/16400/PG_15_202209061/5/16395; subxacts: 727 728; inval msgs: catcache 80 relcache 16385; sync", 726,
			end{how: recovery.Committed, xid: 726, time: at, subs: []uint32{727, 728}, files: []located{{file{5, 16391}, 0}, {file{5, 16395}, 16400}}}},
		{"COMMIT " + when + "; rels: base/5/16391; dropped stats: 2/5/16385 3/5/16400 2/5/16391; inval msgs: catcache 80; origin: node 1, lsn 0/0, at " + when, 726,
			end{how: recovery.Committed, xid: 726, time: at, files: []located{{file{5, 16391}, 0}}, dropped: []uint32{16385, 16391}}},
		{"ABORT " + when + "; subxacts: 9", 8, end{how: recovery.Aborted, xid: 8, time: at, subs: []uint32{9}}},
		{"COMMIT_PREPARED 729: " + when + "; subxacts: 730", 0, end{how: recovery.CommittedPrepared, xid: 729, time: at, subs: []uint32{730}}},
		{"ABORT_PREPARED 729: " + when, 0, end{how: recovery.AbortedPrepared, xid: 729, time: at}},
		{"PREPARE gid two: " + when + "; rels(commit): base/5/1; rels(abort): base/5/2; subxacts: 730", 729,
			end{how: recovery.Prepared, xid: 729, time: at, gid: "two", subs: []uint32{730}, files: []located{{file{5, 1}, 0}}}},
		{"PREPARE gid a: b; c: 2026: " + when, 729, end{how: recovery.Prepared, xid: 729, time: at, gid: "a: b; c: 2026"}},
		{"PREPARE gid of two", 729, end{how: recovery.Prepared, xid: 729, gid: "of two"}},
	} {
		got, ok, err := parseEnd(&record{xid: test.xid, desc: []byte(test.desc)})
		if !ok || err != nil {
			t.Errorf("%s: parseEnd = %v, %v", test.desc, ok, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(end{}, located{}, file{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
	for _, desc := range []string{"ASSIGNMENT xtop 727: subxacts: 728", "INVALIDATION ; inval msgs: catcache 80", ""} {
		if _, ok, err := parseEnd(&record{xid: 1, desc: []byte(desc)}); ok || err != nil {
			t.Errorf("%q: parseEnd = %v, %v, want no end", desc, ok, err)
		}
	}
	for _, desc := range []string{"COMMIT", "COMMIT yesterday", "COMMIT 2026-11-23 09:07:58.609371 CET", "COMMIT 2026-13-23 09:07:58.609371 UTC",
		"COMMIT " + when + "; subxacts: x", "COMMIT " + when + "; rels: base", "COMMIT_PREPARED x: " + when} {
		if _, ok, err := parseEnd(&record{xid: 1, desc: []byte(desc)}); ok || err == nil {
			t.Errorf("%q: parseEnd = %v, %v, want an error", desc, ok, err)
		}
	}
}

func TestParseObjects(t *testing.T) {
	for _, test := range []struct {
		op   op
		desc string
		want []object
	}{
		{opDatabase, "DROP dir 1663/16468", []object{{oid: 16468, dropped: true}}},
		{opDatabase, "DROP dir 1663/16468 16470/16468", []object{{oid: 16468, dropped: true}}},
		{opDatabase, "CREATE_WAL_LOG create dir 1663/16468", []object{{oid: 16468}}},
		{opDatabase, "CREATE_FILE_COPY copy dir 1663/1 to 1663/16469", []object{{oid: 16469}}},
		{opDatabase, "CREATE copy dir 1663/1 to 1663/16469", []object{{oid: 16469}}},
		{opTablespace, `CREATE 16470 "/srv/a tablespace"`, []object{{tablespace: true, oid: 16470}}},
		{opTablespace, "DROP 16470", []object{{tablespace: true, oid: 16470, dropped: true}}},
		{opDatabase, "DROP dir", nil},
		{opDatabase, "DROP", nil},
		{opTablespace, "DROP x", nil},
	} {
		got := parseObjects(&record{op: test.op, desc: []byte(test.desc)})
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(object{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
}

// TestReadLine reads lines that are longer than any buffer.
func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 3_000_000)
	in := bufio.NewReaderSize(strings.NewReader("short\n"+long+"\n\n"+long), 4096)
	for i, want := range []string{"short", long, "", long} {
		got, err := readLine(in)
		if err != nil || string(got) != want {
			t.Errorf("line %d: %d bytes, %v; want %d bytes", i, len(got), err, len(want))
		}
	}
	if _, err := readLine(in); err != io.EOF {
		t.Errorf("after the last line: %v, want EOF", err)
	}
}

// FuzzRecord feeds lines to the parsers and to what they lead to: nothing may
// panic, and what is read is within what a log can have.
func FuzzRecord(f *testing.F) {
	for _, l := range recordLines {
		f.Add(l.line)
	}
	const head = "rmgr: Transaction len (rec/tot):     50/    50, tx:        726, lsn: 0/0063FD58, prev 0/0063FD10, desc: "
	const when = "2026-11-23 12:43:58.119604 UTC"
	f.Add(head + "COMMIT " + when + "; rels: base/5/16390 base/5/16391; subxacts: 728 729; dropped stats: 2/5/16389")
	f.Add(head + "PREPARE gid a: b; c: " + when)
	f.Add(head + "COMMIT_PREPARED 753: " + when)
	f.Add("rmgr: Database    len (rec/tot):     34/    34, tx:        755, lsn: 0/00672488, prev 0/00671FF0, desc: DROP dir 1663/16468")
	f.Add("rmgr: Heap        len (rec/tot):     54/    54, tx:        733, lsn: 0/006483E8, prev 0/00648340, desc: DELETE off 27 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/1259 blk 0")
	f.Fuzz(func(t *testing.T, text string) {
		g := newGatherer(segment, 8192, nil, func(file) bool { return false })
		var at recovery.LSN
		for line := range strings.SplitSeq(text, "\n") {
			var r record
			ok, err := r.parse([]byte(line))
			if ok && err != nil {
				t.Fatalf("parse(%q) = %v, %v", line, ok, err)
			}
			if !ok {
				continue
			}
			if r.rows < 0 || r.rows > 1<<16 {
				t.Fatalf("parse(%q) counts %d rows", line, r.rows)
			}
			at++
			r.lsn = at
			_ = g.add(&r)
		}
		j := &joiner{names: newNamer(nil, func(recovery.LSN) uint32 { return 1 }), to: 1 << 62, waits: map[uint32][]*finished{}}
		j.add(g.chunk)
		n := 0
		j.release(0, true, func(recovery.Transaction) bool { n++; return true })
		if n != len(g.ended) {
			t.Fatalf("%d of %d ends are listed", n, len(g.ended))
		}
	})
}

// FuzzDecodeNames: what is read of a saved map can be written and read again.
func FuzzDecodeNames(f *testing.F) {
	f.Add(`{"system":"7","databases":[{"oid":5,"name":"shop","relations":[{"oid":16384,"filenode":16390,"name":"orders","of":"table","rows":"48211"}]}]}`)
	f.Add(`{"databases":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := DecodeNames(strings.NewReader(text))
		if err != nil {
			return
		}
		var once, twice strings.Builder
		if err := EncodeNames(&once, m); err != nil {
			t.Fatal(err)
		}
		again, err := DecodeNames(strings.NewReader(once.String()))
		if err != nil {
			t.Fatal(err)
		}
		if err := EncodeNames(&twice, again); err != nil || once.String() != twice.String() {
			t.Fatalf("written twice: %v\n%s\n%s", err, once.String(), twice.String())
		}
	})
}
