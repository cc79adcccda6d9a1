package walfile

import (
	"slices"
	"testing"

	"comeback/recovery"
)

func TestParse(t *testing.T) {
	for name, want := range map[string]Name{
		"00000004000000030000007A":                 {Kind: Segment, Timeline: 4, Log: 3, Low: 0x7A},
		"00000004000000030000007A.partial":         {Kind: Partial, Timeline: 4, Log: 3, Low: 0x7A},
		"00000004000000030000007A.00000028.backup": {Kind: Label, Timeline: 4, Log: 3, Low: 0x7A, Offset: 0x28},
		"000000FF.history":                         {Kind: History, Timeline: 0xFF},
		"FFFFFFFFFFFFFFFFFFFFFFFF":                 {Kind: Segment, Timeline: 1<<32 - 1, Log: 1<<32 - 1, Low: 1<<32 - 1},
	} {
		if n, ok := Parse(name); !ok || n != want || n.String() != name {
			t.Errorf("%q: %+v (%s), %v, want %+v", name, n, n, ok, want)
		}
	}
	for _, name := range []string{
		"", "backup_label", "00000004", "00000004000000030000007", "00000004000000030000007a", "0000000400000003000000+A", "00000000000000030000007A",
		"00000004000000030000007A.zst", "00000004000000030000007A.partial.zst", "00000004000000030000007A.gz.partial", "00000004000000030000007A.partial.partial",
		"00000004000000030000007A.0000002g.backup", "00000004000000030000007A.00000028.backup2", "00000004000000030000007A_00000028.backup",
		"00000004000000030000007A.00000028.backup.partial", "00000004.historyx", "00000004.history.partial", "00000000.history", "wal/00000004.history",
	} {
		if n, ok := Parse(name); ok {
			t.Errorf("%q is taken for %+v", name, n)
		}
	}
}

// The number of a segment follows from its name and from a position in it, whatever the size
// of segments.
func TestName_Number(t *testing.T) {
	const at recovery.LSN = 0x3FFFFFFFF
	for size, want := range map[int64]string{1 << 20: "000000040000000300000FFF", 16 << 20: "0000000400000003000000FF", 1 << 30: "000000040000000300000003"} {
		number := Number(at, size)
		n, ok := Parse(SegmentName(4, number, size))
		if got := n.String(); got != want || !ok || n.Number(size) != number || n != OfSegment(4, number, size) {
			t.Errorf("the segment of %s with %d bytes is %s, want %s", at, size, got, want)
		}
		if begins, next := Start(number, size), Start(number+1, size); begins > at || next <= at || next-begins != recovery.LSN(size) {
			t.Errorf("with %d bytes it goes from %s to %s", size, begins, next)
		}
	}
}

// Names of a timeline sort as its log goes, and as the numbers in them.
func TestName_Compare(t *testing.T) {
	var names []Name
	for _, number := range []uint64{0, 1, 0xFF, 0x100, 0xFFFF} {
		names = append(names, OfSegment(2, number, 16<<20))
	}
	names = append(names, OfSegment(3, 0, 16<<20))
	for i, n := range names[1:] {
		if n.Compare(names[i]) != 1 || names[i].Compare(n) != -1 || n.Compare(n) != 0 || n.String() <= names[i].String() {
			t.Errorf("%s does not come after %s", n, names[i])
		}
	}
	if !slices.IsSortedFunc(names, Name.Compare) {
		t.Errorf("not in order: %v", names)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"000000010000000000000001", "00000002.history", "000000010000000000000001.00000028.backup", "000000010000000000000001.partial", "0000000G0000000000000001", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := Parse(name); ok && (n.String() != name || n.Timeline == 0) {
			t.Errorf("%q is %+v, which is written %q", name, n, n)
		}
	})
}
