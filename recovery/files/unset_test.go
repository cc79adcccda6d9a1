package files

import (
	"bytes"
	"path/filepath"
	"strings"
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
		tree, err := openTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		for _, name := range names {
			r := Record{Type: File, Path: name, Mode: 0o600, Attributes: []attributes.Attribute{none, none, large}}
			if name == "whole" {
				r.Attributes = nil
			}
			if err := tree.put(r, strings.NewReader("")); err != nil {
				t.Fatal(err)
			}
		}
		var o recovery.Outcome
		if err := tree.unset.tell(&o); err != nil {
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
