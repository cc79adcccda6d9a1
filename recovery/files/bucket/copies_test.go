package bucket

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comeback/storage"
)

// Copies that do not look like ones are known to who reads what was kept of them, also
// where its last line was cut off.
func TestCopies(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "shop-copies.jsonl"))
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
	next := &nextCopies{dir: dir, component: "shop"}
	given := copies{out: next}
	again := version("a", "2", "f")
	err = given.note(change{Key: "a", To: &again}, storage.Reverted{Object: version("a", "5", "g")})
	if err = errors.Join(err, next.Close()); err != nil {
		t.Fatal(err)
	}
	read, err := ofRun(dir, "shop")
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
	if !read.has(version("a", "5", "g"), again) || !read.has(version("a", "5", "g"), was) {
		t.Error("a copy of a copy is none")
	}
	if c, err := ofRun(t.TempDir(), "shop"); err != nil || len(c.of) > 0 {
		t.Errorf("%v, %v", c.of, err)
	}
}
