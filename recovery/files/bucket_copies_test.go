package files

import (
	"os"
	"path/filepath"
	"testing"

	"comeback/storage"
)

// Copies that do not look like ones are known to who reads what was kept of them, also
// where its last line was cut off.
func TestCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copies")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	version := func(key, id, revision string) storage.Object {
		return storage.Object{Key: key, Version: id, Revision: revision}
	}
	made := copies{out: out}
	was := version("a", "1", "e-2")
	for _, c := range []storage.Object{version("a", "2", "f"), version("a", "3", "e-2"), version("a", "4", "f")} {
		if err := made.note(change{Key: "a", To: &was}, storage.Reverted{Object: c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := made.note(change{Key: "b"}, storage.Reverted{}); err != nil {
		t.Fatal(err)
	}
	info, err := out.Stat()
	if err == nil {
		err = out.Truncate(info.Size() - 3)
	}
	if err != nil {
		t.Fatal(err)
	}
	read, err := readCopies(path)
	if err != nil {
		t.Fatal(err)
	}
	for id, c := range map[string]struct{ made, kept bool }{"2": {true, true}, "3": {}, "4": {true, false}} {
		if o := version("a", id, "f"); made.has(o, was) != c.made || read.has(o, was) != c.kept {
			t.Errorf("version %s is a copy: %t, and as it was kept %t", id, made.has(o, was), read.has(o, was))
		}
	}
	if read.has(version("a", "2", "f"), version("a", "0", "e")) || read.has(version("b", "2", "f"), version("b", "1", "e")) {
		t.Error("a copy is one of what it is not")
	}
	for _, none := range []string{"", filepath.Join(t.TempDir(), "none")} {
		if c, err := readCopies(none); err != nil || len(c.of) > 0 {
			t.Errorf("%q: %v, %v", none, c.of, err)
		}
	}
}
