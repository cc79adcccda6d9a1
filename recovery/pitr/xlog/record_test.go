package xlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// bytesOf puts numbers one after the other, by their widths.
func bytesOf(numbers ...any) (b []byte) {
	for _, n := range numbers {
		switch n := n.(type) {
		case int:
			b = append(b, byte(n))
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, n)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, n)
		case string:
			b = append(b, n...)
		}
	}
	return b
}

// rel is the file and the number of a block.
var rel = bytesOf(uint32(1663), uint32(5), uint32(16390), uint32(7))

func TestRecord_Decode(t *testing.T) {
	block := func(id uint8, fork Fork) Block {
		return Block{ID: id, Fork: fork, Space: 1663, Database: 5, Node: 16390, Number: 7}
	}
	for _, test := range []struct {
		name   string
		majors []int
		body   []byte
		want   []Block
		main   string
	}{
		{"main data alone", []int{13, 18}, bytesOf(255, 3, "abc"), nil, "abc"},
		{"long main data", []int{13, 18}, bytesOf(254, uint32(4), "long"), nil, "long"},
		{"nothing", []int{13, 18}, nil, nil, ""},
		{"a block with data", []int{13, 18}, bytesOf(0, 0x20, uint16(2), string(rel), 255, 1, "xxm"), []Block{block(0, MainFork)}, "m"},
		{"the transaction around a savepoint, and the origin", []int{14, 18},
			bytesOf(0, 0x00, uint16(0), string(rel), 252, uint32(740), 253, uint16(1), 255, 1, "m"), []Block{block(0, MainFork)}, "m"},
		{"two blocks of one file", []int{13, 18}, bytesOf(0, 0x00, uint16(0), string(rel), 1, 0x80, uint16(0), uint32(9), 255, 1, "m"),
			[]Block{block(0, MainFork), {ID: 1, Space: 1663, Database: 5, Node: 16390, Number: 9}}, "m"},
		{"an image of another fork", []int{13, 18}, bytesOf(0, 0x13, uint16(0), uint16(3), uint16(0), 0x00, string(rel), "img"), []Block{block(0, InitFork)}, ""},
		{"an image with a hole", []int{13, 18}, bytesOf(0, 0x10, uint16(0), uint16(3), uint16(20), 0x01, string(rel), 255, 1, "imgm"), []Block{block(0, MainFork)}, "m"},
		{"a compressed image with a hole, before 15", []int{13, 14},
			bytesOf(0, 0x10, uint16(0), uint16(3), uint16(20), 0x03, uint16(99), string(rel), 255, 1, "imgm"), []Block{block(0, MainFork)}, "m"},
		{"an image with a hole that is to be applied, from 15 on", []int{15, 18},
			bytesOf(0, 0x10, uint16(0), uint16(3), uint16(20), 0x03, string(rel), 255, 1, "imgm"), []Block{block(0, MainFork)}, "m"},
		{"images that are compressed, from 15 on", []int{15, 18},
			bytesOf(0, 0x10, uint16(0), uint16(1), uint16(20), 0x05, uint16(99), string(rel), 1, 0x90, uint16(0), uint16(1), uint16(0), 0x09, uint16(9), uint32(7),
				2, 0x90, uint16(0), uint16(1), uint16(0), 0x11, uint16(9), uint32(7), 3, 0x90, uint16(0), uint16(1), uint16(0), 0x08, uint32(7), 255, 1, "plzxm"),
			[]Block{block(0, MainFork), block(1, MainFork), block(2, MainFork), block(3, MainFork)}, "m"},
	} {
		for _, major := range test.majors {
			r := Record{body: test.body}
			if err := r.Decode(major); err != nil {
				t.Errorf("%s, %d: %v", test.name, major, err)
				continue
			}
			if diff := cmp.Diff(test.want, append([]Block(nil), r.Blocks...)); diff != "" || string(r.Main) != test.main {
				t.Errorf("%s, %d: the main data are %q; blocks (-want +got):\n%s", test.name, major, r.Main, diff)
			}
		}
	}
}

func TestRecord_Decode_refuses(t *testing.T) {
	for name, body := range map[string][]byte{
		"main data that are cut":        bytesOf(255, 3, "ab"),
		"main data that are too long":   bytesOf(255, 1, "ab"),
		"very long main data":           bytesOf(254, ^uint32(0), "ab"),
		"an unknown part":               bytesOf(40, 0, 0),
		"a block that is cut":           bytesOf(0, 0x20, uint16(2), uint32(1663)),
		"data without the flag":         bytesOf(0, 0x00, uint16(2), string(rel), "xx"),
		"the file of a block before it": bytesOf(0, 0x80, uint16(0), uint32(7)),
	} {
		r := Record{body: body}
		if err := r.Decode(15); !errors.Is(err, errParts) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(bytesOf(0, 0x10, uint16(0), uint16(3), uint16(20), 0x05, uint16(99), string(rel), 255, 1, "imgm"), true)
	f.Add(bytesOf(252, uint32(740), 254, uint32(4), "long"), false)
	f.Fuzz(func(t *testing.T, body []byte, newer bool) {
		r, major := Record{body: body}, 13
		if newer {
			major = 15
		}
		if r.Decode(major) == nil && len(r.Main) > len(body) {
			t.Errorf("%d bytes of main data are in %d", len(r.Main), len(body))
		}
	})
}

const segment = 1 << 20

// layOut writes records into the first two segments as PostgreSQL 15 does, and
// gives where each lies.
func layOut(records ...[]byte) (log []byte, at []recovery.LSN) {
	le := binary.LittleEndian
	log = make([]byte, 2*segment)
	var pos, prev uint64
	page := func(rest int) {
		p := log[pos:]
		le.PutUint16(p, Magic(15))
		le.PutUint32(p[4:], 1)
		le.PutUint64(p[8:], segment+pos)
		if rest > 0 {
			le.PutUint16(p[2:], Continues)
			le.PutUint32(p[16:], uint32(rest))
		}
		if pos%segment == 0 {
			le.PutUint16(p[2:], le.Uint16(p[2:])|pageIsLong)
			le.PutUint32(p[32:], segment)
			le.PutUint32(p[36:], 8192)
		}
		pos += HeaderAt(pos, segment)
	}
	for _, r := range records {
		le.PutUint32(r, uint32(len(r)))
		le.PutUint64(r[8:], prev)
		sum := crc32.Update(0, castagnoli, r[headerSize:])
		le.PutUint32(r[20:], crc32.Update(sum, castagnoli, r[:20]))
		for first := true; len(r) > 0; first = false {
			if pos%8192 == 0 && first {
				page(0)
			} else if pos%8192 == 0 {
				page(len(r))
			}
			if first {
				prev = segment + pos
				at = append(at, recovery.LSN(prev))
			}
			n := copy(log[pos:(pos/8192+1)*8192], r)
			r, pos = r[n:], pos+uint64(n)
		}
		pos = (pos + 7) &^ 7
	}
	return log, at
}

// record is one of a manager with main data.
func record(m Manager, info byte, main []byte) []byte {
	r := append(make([]byte, headerSize), bytesOf(254, uint32(len(main)), string(main))...)
	r[16], r[17] = info, byte(m)
	return r
}

// read reads a log of two segments up to a position.
func read(t testing.TB, log []byte, to recovery.LSN, bare bool) (at []recovery.LSN, err error) {
	t.Helper()
	dir := t.TempDir()
	path := func(seg uint64) string { return filepath.Join(dir, []string{"", "one", "two"}[seg]) }
	for seg := uint64(1); seg <= 2; seg++ {
		if err := os.WriteFile(path(seg), log[(seg-1)*segment:seg*segment], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := NewReader(Stretch{From: segment, To: to, Major: 15, SegmentSize: segment, PageSize: 8192, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.bare = bare
	var rec Record
	for {
		if err := r.Next(&rec); err != nil {
			return at, err
		}
		at = append(at, rec.LSN)
		_ = rec.Decode(15)
	}
}

// some are records that end within a page, at its end, in the next one, behind a
// whole one, and in the next segment.
func some() [][]byte {
	rs := [][]byte{record(Heap, 0, []byte("a"))}
	for _, n := range []int{8000, 8077, 1, 20_000, 3, 500_000, 490_000, 100_000} {
		rs = append(rs, record(Heap, 0, make([]byte, n)))
	}
	return append(rs, record(XLOG, 0, nil))
}

func TestReader(t *testing.T) {
	log, want := layOut(some()...)
	end := want[len(want)-1] + 32
	got, err := read(t, log, end, false)
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) {
		t.Errorf("%v; the records (-want +got):\n%s", err, diff)
	}
	if got, err = read(t, log, end-8, false); len(got) != len(want)-1 || !errors.Is(err, io.EOF) {
		t.Errorf("up to where the last record does not end: %d records, %v", len(got), err)
	}
	var broken *Broken
	if got, err = read(t, log, 2*segment+segment, false); len(got) != len(want) || !errors.As(err, &broken) || broken.LSN != end {
		t.Errorf("over the end: %d records, %v; want a break at %s", len(got), err, end)
	}
}

// Whatever byte is changed, it is found in the record or the page that has it, and
// nothing behind is read.
func TestReader_damaged(t *testing.T) {
	log, at := layOut(some()...)
	end := at[len(at)-1] + 32
	for _, offset := range []int{0, 2, 8, 12, 32, 36, 40, 44, 48, 60, 8192 + 2, 8192 + 17, 100_000, segment, segment + 16, segment + 5000} {
		changed := append([]byte(nil), log...)
		changed[offset] ^= 0x41
		got, err := read(t, changed, end, false)
		if err == nil || errors.Is(err, io.EOF) && len(got) == len(at) {
			t.Errorf("byte %d: %d records, %v", offset, len(got), err)
		}
		for i, l := range got {
			if l != at[i] {
				t.Errorf("byte %d: record %d is at %s, want %s", offset, i, l, at[i])
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	log, at := layOut(some()...)
	end := at[len(at)-1] + 32
	f.Add(uint32(44), []byte{1, 2, 3}, true)
	f.Add(uint32(8192), []byte{0x10, 0xD1, 1}, false)
	f.Fuzz(func(t *testing.T, offset uint32, b []byte, bare bool) {
		changed := append([]byte(nil), log...)
		copy(changed[offset%uint32(len(changed)):], b)
		got, err := read(t, changed, end, bare)
		if len(got) > len(log)/headerSize || err == nil {
			t.Errorf("%d records, %v", len(got), err)
		}
	})
}
