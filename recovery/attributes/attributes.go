// Package attributes reads and sets what a file system keeps with a file beside its owner,
// mode and times: access control lists, capabilities, labels of SELinux, and what programs
// note as user.*.
//
// It never follows a link: it is given open files, or names what a link itself has.
package attributes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Attribute is one attribute of a file, by its name in the kernel: "user.origin",
// "system.posix_acl_default".
type Attribute struct {
	Name  string
	Value []byte
}

// Label is the attribute that SELinux keeps its label in: a host without SELinux may not let
// it be set, and restorecon sets it anew.
const Label = "security.selinux"

// known are the attributes that are kept and have one name, in order. They can be asked for
// where there are more names than the kernel lists: 64 KB of them.
var known = []string{Capability, Label, ACL, "system.posix_acl_default"}

// Capability is the attribute that has the capabilities of whoever runs a file.
const Capability = "security.capability"

// ACL is the attribute that has a name's access control list.
const ACL = "system.posix_acl_access"

// Kept reports whether an attribute is one that a backup keeps. Those of one host alone, such
// as trusted.* and what a file system notes for itself, are not.
func Kept(name string) bool {
	return slices.Contains(known, name) || strings.HasPrefix(name, "user.")
}

// Read lists the attributes of an open file that a backup keeps, by name, and the names of
// all others. A file system that has none gives none.
func Read(f *os.File) (kept []Attribute, others []string, err error) {
	names, err := list(f)
	if errors.Is(err, unix.E2BIG) {
		names, others, err = slices.Clone(known), []string{"more than the kernel lists"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if !Kept(name) {
			others = append(others, name)
			continue
		}
		value, err := get(f, name)
		switch {
		case errors.Is(err, unix.ENODATA): // it went meanwhile
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.E2BIG):
			others = append(others, name)
		case err != nil:
			return nil, nil, &os.PathError{Op: "read the attribute " + name + " of", Path: f.Name(), Err: err}
		default:
			kept = append(kept, Attribute{name, value})
		}
	}
	return kept, others, nil
}

// OfLink names the attributes of a symbolic link, which no backup keeps, but for its label:
// that restorecon sets anew. The link is not followed.
func OfLink(path string) (names []string, err error) {
	text, err := whole(func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	switch {
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EACCES), err == nil && len(text) == 0:
		return nil, nil
	case errors.Is(err, unix.E2BIG):
		return []string{"more than the kernel lists"}, nil
	case err != nil:
		return nil, &os.PathError{Op: "list the attributes of", Path: path, Err: err}
	}
	names = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	return slices.DeleteFunc(names, func(name string) bool { return name == Label }), nil
}

// list gives the names of a file's attributes, in order.
func list(f *os.File) ([]string, error) {
	text, err := whole(func(b []byte) (int, error) { return unix.Flistxattr(int(f.Fd()), b) })
	if errors.Is(err, unix.ENOTSUP) || len(text) == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "list the attributes of", Path: f.Name(), Err: err}
	}
	names := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	slices.Sort(names)
	return names, nil
}

func get(f *os.File, name string) ([]byte, error) {
	return whole(func(b []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), name, b) })
}

// usual is how much most attributes take.
const usual = 256

// whole reads what read gives into room that is large enough for it.
func whole(read func([]byte) (int, error)) ([]byte, error) {
	b := make([]byte, usual)
	for {
		n, err := read(b)
		if errors.Is(err, unix.ERANGE) {
			if n, err = read(nil); err == nil { // it may grow until it is read
				b = make([]byte, n+usual)
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		return bytes.Clone(b[:n]), nil
	}
}

// Capable reports whether a file has capabilities. A link is not followed.
func Capable(path string) (bool, error) {
	n, err := unix.Lgetxattr(path, Capability, nil)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "read the attribute " + Capability + " of", Path: path, Err: err}
	}
	return n > 0, nil
}

// Set gives an open file an attribute.
func Set(f *os.File, a Attribute) error { return unix.Fsetxattr(int(f.Fd()), a.Name, a.Value, 0) }

// None reports whether a failure to set an attribute is that the file system has no such.
func None(err error) bool { return errors.Is(err, unix.ENOTSUP) }

// The parts of an access control list as the kernel gives it: its version, then entries of a
// tag, what it lets do, and of whom. https://man7.org/linux/man-pages/man5/acl.5.html
const (
	aclHead, aclEntry = 4, 8
	aclVersion        = 2
	aclGroup          = 0x04
	aclMask           = 0x10
)

// OfGroup tells what a file's own group may do by its access control list: read, write and
// execute as 4, 2 and 1, as far as the mask lets it; ok is false for what is no such list.
// Where it cannot be read the group may do nothing.
func OfGroup(a Attribute) (bits uint32, ok bool) {
	if a.Name != ACL {
		return 0, false
	}
	b := a.Value
	if len(b) < aclHead || (len(b)-aclHead)%aclEntry != 0 || binary.LittleEndian.Uint32(b) != aclVersion {
		return 0, true
	}
	mask := uint32(7)
	for b = b[aclHead:]; len(b) > 0; b = b[aclEntry:] {
		may := uint32(binary.LittleEndian.Uint16(b[2:])) & 7
		switch binary.LittleEndian.Uint16(b) {
		case aclGroup:
			bits = may
		case aclMask:
			mask = may
		}
	}
	return bits & mask, true
}
