package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// A snapshot of a tree is three kinds of objects under one prefix:
//
//	packs/ID-0001.tar.zst        new content, tens of megabytes each
//	packs/ID-tree.tar.zst        every directory and link, as tar
//	snapshots/ID.manifest.zst    a record for each name: what it is, where its bytes are
//	snapshots/ID.snapshot        text: when, how much, which packs; written last
//
// ID is the moment at which it was begun. A pack is what `zstd -dc | tar -x`
// takes. It consists of zstd frames that each begin with a member's header, so
// that a part of it can be read by itself; files that have not changed stay in
// the packs of earlier snapshots. Sealed snapshots have every object but the
// .snapshot encrypted with age, and `.age` after its name. A file that was written to
// whenever it was read is as the snapshot before has it, or missing: the .snapshot names it.
//
// By hand, with GNU grep and cut, M being the manifest, PACK a pack's name and N
// its number in the .snapshot:
//
//	zstd -dc M | LC_ALL=C grep -az "^f N " | LC_ALL=C cut -z -d' ' -f11- > names
//	zstd -dc PACK | tar -xp --numeric-owner --null --verbatim-files-from -T names
//
// for each pack, and at the end
//
//	zstd -dc packs/ID-tree.tar.zst | tar -xp --numeric-owner
//
// (and packs/ID-tree2.tar.zst and so on, where a tree has that many directories). Where the
// .snapshot says `attributes`, tar brings them back, too, with --xattrs --xattrs-include='*';
// those of a file are as they were when it was packed.

// The versions of snapshots: each has the lowest that has all of it, so that older programs
// read what they can. They refuse newer ones in words, and those of before 2 take no snapshot
// after one.
const (
	plainFormat = 1
	// describedFormat tells files that are not as they were when the tree was read, and has
	// extended attributes.
	describedFormat = 2
	// SnapshotFormat is the newest that this package writes and reads: it tells how much of
	// its bytes are holes, where that is much.
	SnapshotFormat = 3
)

// snapshot is what a .snapshot tells.
type snapshot struct {
	ID string
	// Dir is the tree's live directory.
	Dir          string
	Begun, Ended time.Time
	Files, Bytes int64
	Manifest     part
	Packs        []part
	// Excepted are files that were written to whenever they were read.
	Excepted []excepted
	// Attributed says that records have extended attributes.
	Attributed bool
	// Holes is how many of its bytes are in holes of files, which a restore leaves, too; 0 where
	// that is little, and in snapshots of earlier versions.
	Holes int64
}

// muchOfHoles is how much has to be in holes to be told: what is less keeps nobody from
// restoring, and every version reads the snapshot.
const muchOfHoles = 64 << 20

// excepted is a file that is not in a snapshot as it was when the tree was read.
type excepted struct {
	Path string `json:"path"`
	// Kept says that it is as an earlier snapshot has it; else it is missing.
	Kept bool `json:"kept,omitempty"`
	// Modified is when what was kept was changed last.
	Modified time.Time `json:"modified,omitzero"`
}

// says is what people are told of it.
func (e excepted) says() string {
	if e.Kept && e.Modified.IsZero() {
		return fmt.Sprintf("%s was written to whenever it was read, and is as an earlier snapshot has it", tree.Show(e.Path))
	}
	if e.Kept {
		return fmt.Sprintf("%s was written to whenever it was read, and is as an earlier snapshot has it, changed last %s", tree.Show(e.Path), recovery.Span{To: e.Modified, From: e.Modified}.Says())
	}
	return fmt.Sprintf("%s was written to whenever it was read, and is missing", tree.Show(e.Path))
}

// exceptions are what people are told of several.
func exceptions(all []excepted) (says []string) {
	for i, e := range all {
		if i == maxLeftOut {
			return append(says, fmt.Sprintf("and so it is with %d more", len(all)-i))
		}
		says = append(says, e.says())
	}
	return says
}

// part is an object of a snapshot; its name is relative to the prefix.
type part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size,string"`
	SHA256 string `json:"sha256"`
	// Files is how many of the snapshot's files a pack holds.
	Files int64 `json:"files,string,omitempty"`
}

// idLayout gives ids that sort by time and tell it to the microsecond.
const idLayout = "20060102T150405.000000Z"

var (
	snapshotKey = pattern.New(`^(.*/)?snapshots/(\d{8}T\d{6}\.\d{6}Z)\.snapshot$`)
	isPart      = pattern.New(`(^|/)(packs/\d{8}T\d{6}\.\d{6}Z-(tree\d*|\d+)\.tar\.zst|snapshots/\d{8}T\d{6}\.\d{6}Z\.manifest\.zst)(\.age)?$`)
	partName    = pattern.New(`^(packs/\d{8}T\d{6}\.\d{6}Z-(tree\d*|\d+)\.tar\.zst|snapshots/\d{8}T\d{6}\.\d{6}Z\.manifest\.zst)(\.age)?$`)
)

// sealed reports whether the snapshot is encrypted.
func (s snapshot) sealed() bool { return strings.HasSuffix(s.Manifest.Name, sealedSuffix) }

// text is the .snapshot.
func (s snapshot) text() []byte {
	var b strings.Builder
	format := plainFormat
	switch {
	case s.Holes > 0:
		format = SnapshotFormat
	case len(s.Excepted) > 0 || s.Attributed:
		format = describedFormat
	}
	fmt.Fprintf(&b, "comeback-snapshot %d\nof %q\nbegun %s\nended %s\nfiles %d\nbytes %d\nmanifest %s %d %s\n", format, s.Dir,
		s.Begun.UTC().Format(time.RFC3339Nano), s.Ended.UTC().Format(time.RFC3339Nano), s.Files, s.Bytes,
		s.Manifest.Name, s.Manifest.Size, s.Manifest.SHA256)
	for i, p := range s.Packs {
		fmt.Fprintf(&b, "pack %d %s %d %s %d\n", i, p.Name, p.Size, p.SHA256, p.Files)
	}
	if s.Attributed {
		b.WriteString("attributes\n")
	}
	if s.Holes > 0 {
		fmt.Fprintf(&b, "holes %d\n", s.Holes)
	}
	for _, e := range s.Excepted {
		how := "missing"
		if e.Kept {
			how = fmt.Sprintf("kept %d.%09d", e.Modified.Unix(), e.Modified.Nanosecond())
		}
		fmt.Fprintf(&b, "excepted %s %q\n", how, e.Path)
	}
	b.WriteString("end\n")
	return []byte(b.String())
}

// formats are the versions that are read.
var formats = []string{strconv.Itoa(plainFormat), strconv.Itoa(describedFormat), strconv.Itoa(SnapshotFormat)}

// errFormat says that a snapshot is of a version that is not known.
var errFormat = errors.New("the snapshot has a format that this version does not know")

// parseSnapshot reads a .snapshot.
func parseSnapshot(in io.Reader) (s snapshot, err error) {
	lines := bufio.NewScanner(in)
	ended := false
	for n := 0; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		bad := fmt.Errorf("%w: line %d is not one of a snapshot: %.80q", storage.ErrCorrupt, n+1, lines.Text())
		switch {
		case ended || len(f) == 0 || (n == 0) != (f[0] == "comeback-snapshot"):
			return s, bad
		case n == 0 && (len(f) != 2 || !slices.Contains(formats, f[1])):
			return s, fmt.Errorf("%w: it is %q, and this version reads those up to %d", errFormat, strings.Join(f[1:], " "), SnapshotFormat)
		case n == 0:
		case f[0] == "end" && len(f) == 1:
			ended = true
		case f[0] == "of":
			s.Dir, err = strconv.Unquote(strings.TrimPrefix(lines.Text(), "of "))
		case len(f) == 2 && f[0] == "begun":
			s.Begun, err = time.Parse(time.RFC3339Nano, f[1])
		case len(f) == 2 && f[0] == "ended":
			s.Ended, err = time.Parse(time.RFC3339Nano, f[1])
		case len(f) == 2 && f[0] == "files":
			s.Files, err = strconv.ParseInt(f[1], 10, 64)
		case len(f) == 2 && f[0] == "bytes":
			s.Bytes, err = strconv.ParseInt(f[1], 10, 64)
		case len(f) == 4 && f[0] == "manifest":
			s.Manifest, err = parsePart(f[1:], "0")
		case len(f) == 6 && f[0] == "pack" && f[1] == strconv.Itoa(len(s.Packs)):
			var p part
			p, err = parsePart(f[2:5], f[5])
			s.Packs = append(s.Packs, p)
		case len(f) == 1 && f[0] == "attributes":
			s.Attributed = true
		case len(f) == 2 && f[0] == "holes":
			s.Holes, err = strconv.ParseInt(f[1], 10, 64)
		case len(f) > 2 && f[0] == "excepted" && (f[1] == "kept" || f[1] == "missing"):
			e := excepted{Kept: f[1] == "kept"}
			name := strings.TrimPrefix(lines.Text(), "excepted "+f[1]+" ")
			if e.Kept && !strings.HasPrefix(f[2], `"`) { // the first of them told no time
				e.Modified, err = parseTime(f[2])
				name = strings.TrimPrefix(name, f[2]+" ")
			}
			if err == nil {
				e.Path, err = strconv.Unquote(name)
			}
			s.Excepted = append(s.Excepted, e)
		default:
			return s, bad
		}
		if err != nil {
			return s, fmt.Errorf("%w: %w", bad, err)
		}
	}
	switch {
	case lines.Err() != nil:
		return s, lines.Err()
	case !ended:
		return s, fmt.Errorf("%w: the snapshot has no end", storage.ErrCorrupt)
	case s.Begun.IsZero() || s.Ended.Before(s.Begun) || s.Manifest.Name == "" || s.Files < 0 || s.Bytes < 0 || s.Holes < 0 || s.Holes > s.Bytes:
		return s, fmt.Errorf("%w: the snapshot does not say when it was taken and of what", storage.ErrCorrupt)
	}
	return s, nil
}

func parsePart(f []string, files string) (p part, err error) {
	p = part{Name: f[0], SHA256: f[2]}
	p.Size, err = strconv.ParseInt(f[1], 10, 64)
	if err == nil {
		p.Files, err = strconv.ParseInt(files, 10, 64)
	}
	if err == nil && (p.Size < 0 || p.Files < 0 || !isSHA256(p.SHA256) || !partName.MatchString(p.Name)) {
		err = errors.New("it names no object of a snapshot")
	}
	return p, err
}

// inPrefix is the key of a part in a copy.
func inPrefix(prefix, name string) string { return prefix + name }

// prefixOf is where a snapshot's objects lie.
func prefixOf(key string) string {
	return strings.TrimSuffix(key, path.Join("snapshots", path.Base(key)))
}
