package pitr

import (
	"encoding/hex"
	"math"
	"strings"

	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// File is one file of a WAL archive. There may be millions: it is kept small.
type File struct {
	Kind    walfile.Kind
	Packing Packing
	// Sealed says that the object is encrypted: its size is not the file's.
	Sealed bool
	// Unsized says that the listing does not tell the object's size.
	Unsized bool
	// Timeline, Log, Low and Offset are what the name says, as in walfile.Name.
	Timeline, Log, Low, Offset uint32
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
	named := f.Kind == walfile.Segment && len(o.Key) == len(in.dir)+24+len(suffix) && strings.HasPrefix(o.Key, in.dir) && strings.HasSuffix(o.Key, suffix)
	var tag [16]byte
	n, err := hex.Decode(tag[:], []byte(o.Revision[:min(len(o.Revision), hex.EncodedLen(len(tag)))]))
	if !named || err != nil || n != len(tag) || hex.EncodeToString(tag[:]) != o.Revision || o.Version != "" || o.Checksum != "" || o.Archived != "" || o.Size > math.MaxUint32 {
		f.Hold(o)
		return
	}
	f.bytes, f.tag, f.at = uint32(o.Size), tag, in
}

// Object holds the file; alone, or inside of a tar file. Its time, which hardly anybody asks
// for, is not always known.
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

// name is what the name of the file says.
func (f File) name() walfile.Name {
	return walfile.Name{Kind: f.Kind, Timeline: f.Timeline, Log: f.Log, Low: f.Low, Offset: f.Offset}
}

// called is a file that has a name, and lies nowhere yet.
func called(n walfile.Name) File {
	return File{Kind: n.Kind, Timeline: n.Timeline, Log: n.Log, Low: n.Low, Offset: n.Offset}
}

// Name is what PostgreSQL calls the file.
func (f File) Name() string { return f.name().String() }

// compare orders by name.
func (f File) compare(g File) int { return f.name().Compare(g.name()) }

// Seg is the segment's number where segments have size bytes.
func (f File) Seg(size int64) uint64 { return f.name().Number(size) }

// ParseFileName judges the last element of an object's key: PostgreSQL's name of a file of
// the log, and how that is compressed. Other names, which archives hold too, are not ok.
func ParseFileName(name string) (f File, ok bool) {
	// pg_receivewal writes NAME.gz.partial, people who compress later NAME.partial.gz.
	base, partial := strings.CutSuffix(name, ".partial")
	base, packing := cutPacking(base)
	if partial {
		base += ".partial"
	}
	n, ok := walfile.Parse(base)
	if !ok {
		return File{}, false
	}
	f = called(n)
	f.Packing = packing
	return f, true
}
