package pitr

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

func TestParseFileName(t *testing.T) {
	for name, want := range map[string]struct {
		kind    walfile.Kind
		packing Packing
		name    string
	}{
		"00000004000000030000007A":                  {walfile.Segment, Plain, "00000004000000030000007A"},
		"00000004000000030000007A.gz":               {walfile.Segment, Gzip, "00000004000000030000007A"},
		"00000004000000030000007A.zst":              {walfile.Segment, Zstd, "00000004000000030000007A"},
		"00000004000000030000007A.lz4":              {walfile.Segment, LZ4, "00000004000000030000007A"},
		"00000004000000030000007A.partial":          {walfile.Partial, Plain, "00000004000000030000007A.partial"},
		"00000004000000030000007A.gz.partial":       {walfile.Partial, Gzip, "00000004000000030000007A.partial"},
		"00000004000000030000007A.partial.gz":       {walfile.Partial, Gzip, "00000004000000030000007A.partial"},
		"00000004.history":                          {walfile.History, Plain, "00000004.history"},
		"00000004.history.gz":                       {walfile.History, Gzip, "00000004.history"},
		"00000004000000030000007A.00000028.backup":  {walfile.Label, Plain, "00000004000000030000007A.00000028.backup"},
		"00000004000000030000007a":                  {},
		"00000000000000030000007A":                  {},
		"00000004000000030000007A.new":              {},
		"00000004000000030000007":                   {},
		"00000004000000030000007A.00000028.backup2": {},
		"backup_label":                              {}, "": {}, ".gz": {}, "00000004.historyx": {},
	} {
		f, ok := ParseFileName(name)
		if ok != (want.kind != 0) || ok && (f.Kind != want.kind || f.Packing != want.packing || f.Name() != want.name) {
			t.Errorf("%q: %+v, %v", name, f, ok)
		}
	}
}

// A label's times are known where the zone's name leaves no doubt, or where the
// file's own time tells the offset.
func TestLabel_StopTime(t *testing.T) {
	at := func(text string) time.Time {
		m, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, test := range []struct{ name, start, stop, written, want string }{
		{"UTC", "2026-07-01 02:00:00 UTC", "2026-07-01 02:20:00 UTC", "", "2026-07-01 02:20:00"},
		{"a number", "2026-07-01 02:00:00 +0530", "2026-07-01 02:20:00 +0530", "", "2026-06-30 20:50:00"},
		{"a short number", "2026-07-01 02:00:00 -03", "2026-07-01 02:20:00 -03", "", "2026-07-01 05:20:00"},
		{"summer time", "2026-07-01 02:00:00 CEST", "2026-07-01 02:20:00 CEST", "2026-07-01 00:00:04", "2026-07-01 00:20:00"},
		{"another day", "2026-07-01 02:00:00 IST", "2026-07-01 02:20:00 IST", "2026-06-30 20:30:00", "2026-06-30 20:50:00"},
		{"a letter that may be anywhere", "2026-07-01 02:00:00 IST", "2026-07-01 02:20:00 IST", "", ""},
		{"the zone changed meanwhile", "2026-10-25 02:50:00 CEST", "2026-10-25 02:20:00 CET", "2026-10-25 00:50:00", ""},
		{"a file that was copied later", "2026-07-01 02:00:00 CEST", "2026-07-01 02:20:00 CEST", "2026-07-01 00:08:00", ""},
		{"nothing", "", "", "", ""},
	} {
		var written time.Time
		if test.written != "" {
			written = at(test.written)
		}
		got, ok := label{StartTime: test.start, StopTime: test.stop}.stopTime(written)
		if ok != (test.want != "") || ok && !got.Equal(at(test.want)) {
			t.Errorf("%s: %v, %v, want %q", test.name, got, ok, test.want)
		}
	}
}

// Who committed in the second in which a backup ended may have done so before its end.
func TestBase_taken(t *testing.T) {
	second := time.Date(2026, 7, 1, 2, 20, 4, 0, time.UTC)
	for name, test := range map[string]struct {
		base Base
		want time.Time
	}{
		"a label's":           {Base{Started: second.Add(-time.Minute), Ended: second}, second.Add(999_999 * time.Microsecond)},
		"a program's":         {Base{Ended: second.Add(123 * time.Millisecond)}, second.Add(999_999 * time.Microsecond)},
		"only when it began":  {Base{Started: second}, second.Add(999_999 * time.Microsecond)},
		"nothing tells of it": {},
	} {
		at, until := test.base.taken()
		if !until.Equal(test.want) || at.After(until) || until.Sub(at) >= time.Second {
			t.Errorf("%s: %v to %v, want %v", name, at, until, test.want)
		}
	}
}

func TestBranch(t *testing.T) {
	const size = 16 << 20
	forks, err := parseHistory("1\t0/5000060\tno recovery target specified\n\n2\t0/9000000\tbefore 2026-11-23 02:41:07+00\n")
	if err != nil {
		t.Fatal(err)
	}
	b := newBranch(4, forks)
	for seg, want := range map[uint64]uint32{4: 1, 5: 2, 8: 2, 9: 4, 100: 4} {
		if got := b.on(seg, size); got != want {
			t.Errorf("segment %d is on timeline %d, want %d", seg, got, want)
		}
	}
	for l, want := range map[recovery.LSN]uint32{0x5000000: 1, 0x500005F: 1, 0x5000060: 2, 0x8FFFFFF: 2, 0x9000000: 4} {
		if got := b.at(l); got != want {
			t.Errorf("%s was written on timeline %d, want %d", l, got, want)
		}
	}
	if !b.holds(1, 0x5000060) || b.holds(1, 0x5000061) || b.holds(3, 1) || !b.holds(4, 1<<40) {
		t.Error("the history holds what is not its own, or not what is")
	}
	if got := b.upTo(2); got.timeline() != 2 || got[1].To != 0 || b[1].To == 0 {
		t.Errorf("the history of timeline 2 is %+v", got)
	}
	for _, other := range []struct {
		b    branch
		want recovery.LSN
	}{
		{newBranch(2, forks[:1]), 0x9000000}, {newBranch(1, nil), 0x5000060},
		{newBranch(3, []fork{{Parent: 1, At: 0x4000000}}), 0x4000000}, {newBranch(5, forks), 0x9000000},
	} {
		if x, y := parting(b, other.b), parting(other.b, b); x != other.want || y != other.want {
			t.Errorf("timelines 4 and %d part at %s and %s, want %s", other.b.timeline(), x, y, other.want)
		}
	}
	for _, text := range []string{"one\t0/1\tx", "1\n", "1\tx\ty", "2\t0/1\tx\n1\t0/2\ty", "0\t0/1\tx", "", "\n# cut off\n"} {
		if got, err := parseHistory(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestRecordEnd(t *testing.T) {
	const size, page = 1 << 20, 8192
	for _, test := range []struct {
		start recovery.LSN
		total uint32
		want  recovery.LSN
	}{
		{0x100028, 34, 0x100050},              // aligned to eight bytes
		{0x101FD8, 40, 0x102000},              // up to the end of its page
		{0x101FD8, 41, 0x102020},              // one byte more: behind the next header
		{0x1FFFD8, 41, 0x200030},              // behind the long header of a segment
		{0x101FF8, 8 + 8168 + 16, 0x104028},   // over a whole page
		{0x1FFFF8, 8 + 8152 + 8168, 0x204000}, // over the first pages of a segment
	} {
		if got := xlog.RecordEnd(test.start, test.total, size, page); got != test.want {
			t.Errorf("%d bytes from %s end at %s, want %s", test.total, test.start, got, test.want)
		}
	}
	for end, want := range map[recovery.LSN]recovery.LSN{0x102000: 0x102018, 0x200000: 0x200028, 0x102008: 0x102008} {
		if got := xlog.NextStart(end, size, page); got != want {
			t.Errorf("behind %s the next record begins at %s, want %s", end, got, want)
		}
	}
}

func TestFullXID(t *testing.T) {
	for _, test := range []struct {
		xid  recovery.XID
		next uint64
		want uint64
	}{
		{700, 755, 700}, {755, 755, 755}, {900, 755, 900},
		{4294967290, 5<<32 | 10, 4<<32 | 4294967290}, {5, 5<<32 - 10, 5<<32 | 5}, {100, 7<<32 | 200, 7<<32 | 100},
	} {
		if got := fullXID(test.xid, test.next); got != test.want {
			t.Errorf("%d near %d is %d, want %d", test.xid, test.next, got, test.want)
		}
	}
}

// segmentWith lays records into segments as PostgreSQL does, the first one at
// the beginning of segment one.
func segmentWith(size, page int64, records ...[]byte) [][]byte {
	segments := [][]byte{}
	pos := int64(0)
	current := func() []byte {
		for int64(len(segments)) <= pos/size {
			segments = append(segments, make([]byte, size))
		}
		return segments[pos/size]
	}
	for _, r := range records {
		for first := true; len(r) > 0; first = false {
			s, at := current(), pos%size
			if at%page == 0 {
				binary.LittleEndian.PutUint64(s[at+8:], uint64(pos))
				if !first {
					binary.LittleEndian.PutUint16(s[at+2:], xlog.Continues)
					binary.LittleEndian.PutUint32(s[at+16:], uint32(len(r)))
				}
				pos += int64(xlog.HeaderAt(uint64(at), size))
				at = pos % size
			}
			n := min(int64(len(r)), page-at%page)
			copy(s[at:], r[:n])
			r, pos = r[n:], pos+n
		}
		pos = (pos + 7) &^ 7
	}
	return segments
}

// walRecord is a record without block references.
func walRecord(rmgr, info byte, data []byte) []byte {
	r := make([]byte, recordHeaderSize, recordHeaderSize+5+len(data))
	r[16], r[17] = info, rmgr
	r = append(r, 254)
	r = binary.LittleEndian.AppendUint32(r, uint32(len(data)))
	r = append(r, data...)
	binary.LittleEndian.PutUint32(r, uint32(len(r)))
	return r
}

// A new tablespace is seen wherever its record lies, also across pages and
// segments, and nothing else is taken for one.
func TestLookThrough(t *testing.T) {
	const size, page = 1 << 20, 8192
	space := walRecord(rmgrTablespace, tablespaceCreate, append([]byte{1, 0x40, 0, 0}, "/srv/pg/fast\x00"...))
	drop := walRecord(rmgrTablespace, 0x10, []byte{1, 0x40, 0, 0})
	for fill := size - 300; fill < size+64; fill += 8 {
		filler := walRecord(10, 0, make([]byte, max(0, fill-4000)))
		rest := walRecord(10, 0, make([]byte, 1024))
		segments := segmentWith(size, page, drop, filler, rest, space, drop)
		var found []newSpace
		var before looked
		for i, s := range segments {
			seen, err := lookThrough(bytes.NewReader(s), walfile.Start(uint64(i), size), size, page)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := seen.joined(before); ok {
				found = append(found, s)
			}
			found = append(found, seen.spaces...)
			before = seen
		}
		if len(found) != 1 || found[0].Path != "/srv/pg/fast" || found[0].OID != 0x4001 {
			t.Fatalf("with %d bytes before it: %v", fill, found)
		}
	}
}

// Behind a record that a server did not write to its end, the log goes on with
// another one at the next page's beginning, or behind what that page begins with.
func TestLookThrough_TornRecord(t *testing.T) {
	const size, page = 1 << 16, 8192
	space := walRecord(rmgrTablespace, tablespaceCreate, append([]byte{1, 0x40, 0, 0}, "/srv/pg/fast\x00"...))
	for name, test := range map[string]struct {
		torn   []byte // the record that ends with its first page
		goesOn uint32 // of another record, on the second page
		found  int
	}{
		"passed over":                {walRecord(10, 0, make([]byte, 3*page)), 0, 1},
		"of a tablespace":            {walRecord(rmgrTablespace, tablespaceCreate, make([]byte, 2*page-100)), 0, 1},
		"in its header":              {walRecord(10, 0, make([]byte, 4*page))[:16], 0, 1},
		"before the rest of another": {walRecord(10, 0, make([]byte, 3*page)), 100, 1},
	} {
		first := int64(xlog.HeaderAt(0, size))
		filler := walRecord(10, 0, make([]byte, page-first-16-recordHeaderSize-5))
		if name != "in its header" {
			filler = walRecord(10, 0, make([]byte, 4000))
		}
		segment := segmentWith(size, page, filler, test.torn)[0]
		clear(segment[page:])
		binary.LittleEndian.PutUint64(segment[page+8:], page)
		if test.goesOn > 0 {
			binary.LittleEndian.PutUint16(segment[page+2:], xlog.Continues)
			binary.LittleEndian.PutUint32(segment[page+16:], test.goesOn)
		}
		at := page + int64(xlog.HeaderAt(page, size)) + (int64(test.goesOn)+7)&^7
		copy(segment[at:], space)
		seen, err := lookThrough(bytes.NewReader(segment), 0, size, page)
		if err != nil || len(seen.spaces) != test.found || seen.spaces[0].Path != "/srv/pg/fast" || seen.spaces[0].LSN != recovery.LSN(at) {
			t.Errorf("%s: %v, %v", name, seen.spaces, err)
		}
		// A page of the segment's former place in the log is not of this one.
		binary.LittleEndian.PutUint64(segment[page+8:], 5*size+page)
		if seen, err := lookThrough(bytes.NewReader(segment), 0, size, page); err != nil || len(seen.spaces) > 0 {
			t.Errorf("%s, on a page that is not of the log: %v, %v", name, seen.spaces, err)
		}
	}
}

func FuzzLookThrough(f *testing.F) {
	const size, page = 1 << 14, 1 << 10
	space := walRecord(rmgrTablespace, tablespaceCreate, append([]byte{1, 0x40, 0, 0}, "/srv\x00"...))
	f.Add(segmentWith(size, page, space, walRecord(10, 0, make([]byte, 3000)), space)[0])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := make([]byte, size)
		copy(whole, b)
		seen, err := lookThrough(bytes.NewReader(whole), 0, size, page)
		if err != nil {
			t.Fatal(err)
		}
		seen.joined(seen)
	})
}

// Nothing in a base backup leads out of the data directory.
func TestTree_Paths(t *testing.T) {
	for path, ok := range map[string]bool{
		"base/1/2": true, "pg_tblspc/16384/PG_15_202209061/5/6": true, "./PG_VERSION": true,
		"../x": false, "/etc/passwd": false, "base/../../x": false, "pg_tblspc/../../x": false, "pg_tblspc/x/y": false, "a\x00b": false, "": false,
	} {
		dir := t.TempDir()
		past, err := openCopies(dir, copyArgs{})
		if err != nil {
			t.Fatal(err)
		}
		defer past.ledger.Close()
		tree, err := newTree(dir, recovery.User{UID: -1, GID: -1}, past)
		if err != nil {
			t.Fatal(err)
		}
		err = tree.Put(Entry{Path: path, Body: strings.NewReader("x"), Size: 1})
		if (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What pg_basebackup -R writes into a backup is not held against the manifest, which
// the server has made before; what else differs is.
func TestTree_WrittenByReplicaOption(t *testing.T) {
	for name, test := range map[string]struct {
		size    int64 // of PG_VERSION by the manifest
		refused bool
	}{"whole": {3, false}, "another file differs": {4, true}} {
		for _, late := range []bool{false, true} {
			dir := t.TempDir()
			past, err := openCopies(dir, copyArgs{})
			if err != nil {
				t.Fatal(err)
			}
			defer past.ledger.Close()
			tree, err := newTree(dir, recovery.User{UID: -1, GID: -1}, past)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			m := &manifest{Files: map[string]manifestFile{control: {Size: 3}, "PG_VERSION": {Size: test.size},
				"postgresql.auto.conf": {Size: 88, Algorithm: "SHA256", Checksum: "00"}, "recovery.signal": {}}}
			if !late {
				tree.manifest = m
			}
			for _, file := range []string{"PG_VERSION", "postgresql.auto.conf", "standby.signal", control} {
				err = errors.Join(err, tree.Put(Entry{Path: file, Body: strings.NewReader("15\n"), Size: 3}))
			}
			tree.manifest = m
			if err = errors.Join(err, tree.finish()); (err != nil) != test.refused || test.refused && !strings.Contains(err.Error(), "PG_VERSION has 3 bytes, and 4 by") {
				t.Errorf("%s, the manifest comes last: %v: %v", name, late, err)
			}
			if tree.foreign > 0 {
				t.Errorf("%s: %d files are not listed", name, tree.foreign)
			}
		}
	}
}

// The room for a chain is that of all its backups and of what they are combined to.
func TestResolver_UnpackedSizeOfChain(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := func(id string, size int64, more string) Base {
		body := fmt.Sprintf("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{ \"Path\": \"base/1/1\", \"Size\": %d }%s\n],\n"+
			"\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n", size, more)
		body += fmt.Sprintf("\"Manifest-Checksum\": \"%x\"}\n", sha256.Sum256([]byte(body)))
		o, err := store.Put(t.Context(), id+"/"+manifestName, strings.NewReader(body), storage.PutOptions{Size: int64(len(body))})
		if err != nil {
			t.Fatal(err)
		}
		return Base{ID: id, Root: id + "/", Format: "tar", Manifest: id + "/" + manifestName, Objects: []storage.Object{o}}
	}
	r := &resolver{engine: New(Options{}).(nativeEngine).engine, store: store}
	const conf = ",\n{ \"Path\": \"postgresql.conf\", \"Size\": 0 }"
	full, second, last := base("a", 1000, ""), base("b", 30, ""), base("c", 20, conf)
	if n, where, err := r.unpacked(t.Context(), facts{Base: full}); n != 1000 || where != recovery.ConfigurationOutside || err != nil {
		t.Errorf("a full one takes %d, its configuration is %q, %v", n, where, err)
	}
	last.Chain, last.Objects = []Base{full, second}, slices.Concat(full.Objects, second.Objects, last.Objects)
	n, where, err := r.unpacked(t.Context(), facts{Base: last})
	if n != 2050 || where != recovery.ConfigurationWithin || err != nil {
		t.Errorf("a chain takes %d, its configuration is %q, %v", n, where, err)
	}
	f := pointFacts{Unpacked: n, Base: last}
	if got := room(recovery.Point{}, f); got != n+n/20 {
		t.Errorf("the room is %d", got)
	}
	f.Unpacked, f.Base.Packing = 0, Gzip
	if got, p := room(recovery.Point{Backup: recovery.Backup{Objects: []storage.Object{{Size: 100}}}}, f), int64(1000); got != p+p/20 {
		t.Errorf("the room without manifests is %d", got)
	}
}

// A line of any length is read whole.
func TestWALDump_LongLine(t *testing.T) {
	long := "rmgr: Transaction len (rec/tot):  66/ 66, tx: 9, lsn: 0/600500, prev 0/600488, desc: COMMIT 2026-11-23 09:07:58.609371 UTC; rels: " +
		strings.Repeat("base/5/16385 ", 100_000) + "; subxacts: 10 11"
	r, ok, err := parseRecord([]byte(long))
	if err != nil || !ok || !slices.Equal(r.Subs, []recovery.XID{10, 11}) {
		t.Errorf("a line of %d bytes: %+v, %v", len(long), r.Subs, err)
	}
	for desc, want := range map[string]record{
		"PREPARE gid a: b; c: 2026-11-23 09:07:58.609371 UTC": {Kind: prepareRecord, XID: 9},
		"ABORT_PREPARED 8: 2026-11-23 09:07:58 UTC":           {Kind: abortRecord, XID: 8, Prepared: true},
		"ABORT 2026-11-23 09:07:58 UTC":                       {Kind: abortRecord, XID: 9},
	} {
		r, ok, err := parseRecord([]byte("rmgr: Transaction len (rec/tot):  66/ 66, tx: 9, lsn: 0/600500, prev 0/600488, desc: " + desc))
		if err != nil || !ok || r.Kind != want.Kind || r.XID != want.XID || r.Prepared != want.Prepared {
			t.Errorf("%s: %+v, %v", desc, r, err)
		}
	}
	for _, bad := range []string{"COMMIT 2026-11-23 09:07:58.609371 CET", "COMMIT", "COMMIT_PREPARED x: 2026-11-23 09:07:58 UTC"} {
		line := fmt.Sprintf("rmgr: Transaction len (rec/tot):  66/ 66, tx: 9, lsn: 0/600500, prev 0/600488, desc: %s", bad)
		if _, _, err := parseRecord([]byte(line)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// What lies under a file's own name is kept small, and is what it was but for its time;
// everything else is kept whole.
func TestFile_Object(t *testing.T) {
	const tag = "9e107d9d372bb6826bd81d3542a419d6"
	dir := &holder{dir: "pg/wal/"}
	for name, test := range map[string]struct {
		object storage.Object
		small  bool
	}{
		"a segment":         {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 16 << 20, Revision: tag}, true},
		"compressed":        {storage.Object{Key: "pg/wal/00000004000000030000007A.zst", Size: 7, Revision: tag}, true},
		"by another suffix": {storage.Object{Key: "pg/wal/00000004000000030000007A.zstd", Size: 7, Revision: tag}, false},
		"in parts":          {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7, Revision: tag + "-2"}, false},
		"in capitals":       {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7, Revision: strings.ToUpper(tag)}, false},
		"no revision":       {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7}, false},
		"of a file system":  {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7, Revision: "2049:1-7-1700000000"}, false},
		"with a version":    {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7, Revision: tag, Version: "v"}, false},
		"with a checksum":   {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 7, Revision: tag, Checksum: "crc32c:x"}, false},
		"too large":         {storage.Object{Key: "pg/wal/00000004000000030000007A", Size: 1 << 32, Revision: tag}, false},
		"elsewhere":         {storage.Object{Key: "pg/old/00000004000000030000007A", Size: 7, Revision: tag}, false},
		"unfinished":        {storage.Object{Key: "pg/wal/00000004000000030000007A.partial", Size: 7, Revision: tag}, false},
	} {
		f, ok := ParseFileName(path.Base(test.object.Key))
		if !ok {
			t.Fatalf("%s: %s is no file", name, test.object.Key)
		}
		test.object.Modified = time.Unix(1_700_000_000, 0).UTC()
		f.lie(dir, test.object)
		want := test.object
		if test.small {
			want.Modified = time.Time{}
		}
		if got := f.Object(); got != want || f.size() != want.Size || (f.at == dir) != test.small {
			t.Errorf("%s: %+v of %d bytes, small: %t; want %+v", name, got, f.size(), f.at == dir, want)
		}
	}
	if size := unsafe.Sizeof(File{}); size > 48 {
		t.Errorf("a file takes %d bytes", size)
	}
}
