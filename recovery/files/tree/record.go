package tree

import (
	"io/fs"
	"path"
	"strings"
	"time"

	"comeback/recovery/attributes"
)

// Type is what a record of a tree describes.
type Type byte

// The types of records.
const (
	File      Type = 'f'
	Directory Type = 'd'
	Symlink   Type = 'l'
	HardLink  Type = 'h'
)

// Record is one name of a tree.
type Record struct {
	Type Type
	// Path is relative to the tree and clean; "." is the tree itself.
	Path string
	// Link is a symbolic link's text, or the path of a hard link's first name.
	Link string
	// Mode are the permissions, as chmod takes them: 0o7777 at most.
	Mode     uint32
	UID, GID int
	Modified time.Time
	// Changed is when the file system last saw the name or its content change.
	Changed time.Time
	Size    int64
	// SHA256 is of a file's bytes, in hex; "" where it is not known.
	SHA256 string
	// Pack is the number of the pack that holds a file's bytes, At where in it
	// the frame with them begins.
	Pack int
	At   int64
	// Attributes are the extended ones, by name. Links have none.
	Attributes []attributes.Attribute
}

// Sound reports whether a path is clean and stays inside of its tree.
func Sound(p string) bool {
	return p != "" && p == path.Clean(p) && !strings.HasPrefix(p, "/") && p != ".." && !strings.HasPrefix(p, "../") && !strings.ContainsRune(p, 0)
}

// permissions are a record's mode as package os has it.
func (r Record) permissions() fs.FileMode {
	m := fs.FileMode(r.Mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if r.Mode&bit != 0 {
			m |= flag
		}
	}
	return m
}
