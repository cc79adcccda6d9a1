package tree

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/attributes"
)

// What could not be set is told once, with how many names it is of: where the file system has
// no such attribute as a remark, else as an exception; also by the attempt after the one that
// it was noted by.
func TestTree_attributesUnset(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	none := attributes.Attribute{Name: "nosuch.attribute", Value: []byte("x")}
	large := attributes.Attribute{Name: "user.large", Value: bytes.Repeat([]byte("x"), 100<<10)} // Linux takes 64 KB
	write := func(names ...string) recovery.Outcome {
		t.Helper()
		tree, err := Place{Dir: filepath.Dir(dir)}.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		for _, name := range names {
			r := Record{Type: File, Path: name, Mode: 0o600, Attributes: []attributes.Attribute{none, none, large}}
			if name == "whole" {
				r.Attributes = nil
			}
			if err := tree.Put(r, strings.NewReader("")); err != nil {
				t.Fatal(err)
			}
		}
		var o recovery.Outcome
		if err := tree.tellUnset(&o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := write("whole"); len(o.Remarks)+len(o.Exceptions) > 0 {
		t.Errorf("where all was set it says %q, %q", o.Remarks, o.Exceptions)
	}
	for _, test := range []struct {
		names []string
		says  string
	}{{[]string{"a", "b"}, "2 names"}, {[]string{"whole"}, "1 name"}} {
		o := write(test.names...)
		if len(o.Remarks) != 1 || !strings.Contains(o.Remarks[0], test.says+`, the first nosuch.attribute of "a": `) || len(o.Exceptions) != 1 || !strings.Contains(o.Exceptions[0], test.says+`, the first user.large of "a": `) {
			t.Errorf("it says %q, %q", o.Remarks, o.Exceptions)
		}
	}
}

// Where an access control list is not set its mask lets nobody do more: the group may do what
// its own entry says.
func TestTree_listUnset(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	tree, err := Place{Dir: filepath.Dir(dir)}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	// The kernel takes no list without all others, and the group's entry says nothing, r or w.
	list := attributes.Attribute{Name: attributes.ACL, Value: []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x04\x00\x00\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff")}
	if err := tree.Put(Record{Type: File, Path: "a", Mode: 0o660, UID: os.Getuid(), GID: os.Getgid(), Attributes: []attributes.Attribute{list}}, strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	directory := Record{Type: Directory, Path: "d", Mode: 0o2770, UID: os.Getuid(), GID: os.Getgid(), Attributes: []attributes.Attribute{list}}
	if err := tree.mkdir("d"); err != nil {
		t.Fatal(err)
	}
	if err := tree.dressDirectory(directory); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"a": 0o600, "d": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has %v, want %v; %v", name, info.Mode(), want, err)
		}
	}
}

// A label that the host's rules do not know is the host's, as one that may not be set is.
func TestTree_whyNotSet(t *testing.T) {
	for name, err := range map[string]error{attributes.Label: syscall.EINVAL, "security.capability": syscall.EPERM} {
		if why := (&Writer{}).whyNotSet(name, err); why != notAllowed {
			t.Errorf("%s: %v is %q", name, err, why)
		}
	}
	for name, want := range map[string]string{"security.capability": refused, attributes.Label: notAllowed} {
		if why := (&Writer{give: true}).whyNotSet(name, syscall.EINVAL); why != want {
			t.Errorf("for root %s is %q, want %q", name, why, want)
		}
	}
}
