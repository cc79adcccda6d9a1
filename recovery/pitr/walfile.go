package pitr

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// FileKind says what an archived file is.
type FileKind uint8

// The kinds of files in a WAL archive.
const (
	// Segment is a complete WAL segment.
	Segment FileKind = iota + 1
	// Partial is a segment that was never completed: pg_receivewal's last,
	// or the last of a timeline before a promotion.
	Partial
	// History tells where a timeline branched off.
	History
	// Label is what a base backup leaves in the archive, NAME.OFFSET.backup.
	Label
)

// File is one file of a WAL archive. There may be millions: it is kept small.
type File struct {
	Kind    FileKind
	Packing Packing
	// Sealed says that the object is encrypted: its size is not the file's.
	Sealed bool
	// Unsized says that the listing does not tell the object's size.
	Unsized bool
	// Timeline, Log and Low are the three numbers of a segment's name; a
	// history file has the first alone.
	Timeline, Log, Low uint32
	// Offset is where in its segment a label's backup starts.
	Offset uint32
	// bytes and tag are the size and the revision of an object that lies in a directory,
	// in and behind at; the revision's digits are hexadecimal.
	bytes uint32
	tag   [16]byte
	at    *holder
}

// holder is where files are.
type holder struct {
	// dir is a directory with objects that have the names of their files, and the usual
	// suffixes.
	dir string
	// object is the only one, where that is not so; a tar file, in which the file is
	// inside.
	object *storage.Object
	inside bool
}

// Hold makes an object the one that holds the file.
func (f *File) Hold(o storage.Object) { f.at = &holder{object: &o} }

// lie makes an object of a directory the one that holds the file.
func (f *File) lie(in *holder, o storage.Object) {
	suffix := f.Packing.suffix()
	named := f.Kind == Segment && len(o.Key) == len(in.dir)+24+len(suffix) && strings.HasPrefix(o.Key, in.dir) && strings.HasSuffix(o.Key, suffix)
	var tag [16]byte
	n, err := hex.Decode(tag[:], []byte(o.Revision[:min(len(o.Revision), hex.EncodedLen(len(tag)))]))
	if !named || err != nil || n != len(tag) || hex.EncodeToString(tag[:]) != o.Revision || o.Version != "" || o.Checksum != "" || o.Size > math.MaxUint32 {
		f.Hold(o)
		return
	}
	f.bytes, f.tag, f.at = uint32(o.Size), tag, in
}

// Object holds the file; alone, or inside of a tar file. Its time, which nobody asks for, is
// not always known.
func (f File) Object() storage.Object {
	switch {
	case f.at == nil:
		return storage.Object{}
	case f.at.object != nil:
		return *f.at.object
	}
	return storage.Object{Key: f.at.dir + f.Name() + f.Packing.suffix(), Size: int64(f.bytes), Revision: hex.EncodeToString(f.tag[:])}
}

// size is the object's in bytes.
func (f File) size() int64 {
	if f.at != nil && f.at.object != nil {
		return f.at.object.Size
	}
	return int64(f.bytes)
}

// inside reports whether its object is a tar file, in which it lies.
func (f File) inside() bool { return f.at != nil && f.at.inside }

// empty reports that the object is known to hold nothing.
func (f File) empty() bool { return f.size() == 0 && !f.Unsized }

// Name is what PostgreSQL calls the file.
func (f File) Name() string {
	switch f.Kind {
	case History:
		return fmt.Sprintf("%08X.history", f.Timeline)
	case Label:
		return fmt.Sprintf("%08X%08X%08X.%08X.backup", f.Timeline, f.Log, f.Low, f.Offset)
	case Partial:
		return fmt.Sprintf("%08X%08X%08X.partial", f.Timeline, f.Log, f.Low)
	}
	return fmt.Sprintf("%08X%08X%08X", f.Timeline, f.Log, f.Low)
}

// compare orders by name.
func (f File) compare(g File) int {
	return cmp.Or(cmp.Compare(f.Timeline, g.Timeline), cmp.Compare(f.Log, g.Log), cmp.Compare(f.Low, g.Low))
}

// Seg is the segment's number where segments have size bytes.
func (f File) Seg(size int64) uint64 { return uint64(f.Log)*perLog(size) + uint64(f.Low) }

// perLog is the number of segments that share the middle part of their name.
func perLog(size int64) uint64 { return (1 << 32) / uint64(size) }

// SegmentName is PostgreSQL's name of a segment.
func SegmentName(timeline uint32, seg uint64, size int64) string {
	return fmt.Sprintf("%08X%08X%08X", timeline, seg/perLog(size), seg%perLog(size))
}

// segmentOf is the number of the segment that holds a position.
func segmentOf(l recovery.LSN, size int64) uint64 { return uint64(l) / uint64(size) }

// startOf is where a segment begins.
func startOf(seg uint64, size int64) recovery.LSN { return recovery.LSN(seg * uint64(size)) }

// ParseFileName judges the last element of an object's key. Other names, which
// archives hold too, are not ok.
func ParseFileName(name string) (f File, ok bool) {
	// pg_receivewal writes NAME.gz.partial, people who compress later NAME.partial.gz.
	base, partial := strings.CutSuffix(name, ".partial")
	base, packing := cutPacking(base)
	if b, again := strings.CutSuffix(base, ".partial"); again && !partial {
		base, partial = b, true
	}
	f.Packing = packing
	if len(base) < 8 {
		return File{}, false
	}
	if f.Timeline, ok = hex8(base[:8]); !ok || f.Timeline == 0 {
		return File{}, false
	}
	if rest, is := strings.CutSuffix(base, ".history"); is {
		f.Kind = History
		return f, len(rest) == 8 && !partial
	}
	if len(base) < 24 {
		return File{}, false
	}
	var okLow bool
	f.Log, ok = hex8(base[8:16])
	f.Low, okLow = hex8(base[16:24])
	if !ok || !okLow {
		return File{}, false
	}
	switch rest := base[24:]; {
	case rest == "" && partial:
		f.Kind = Partial
	case rest == "":
		f.Kind = Segment
	case len(rest) == len(".00000028.backup") && strings.HasSuffix(rest, ".backup") && rest[0] == '.' && !partial:
		f.Kind = Label
		if f.Offset, ok = hex8(rest[1:9]); !ok {
			return File{}, false
		}
	default:
		return File{}, false
	}
	return f, true
}

// hex8 reads eight digits as PostgreSQL writes them, upper case.
func hex8(s string) (uint32, bool) {
	if strings.ContainsAny(s, "abcdef+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err == nil && len(s) == 8
}
