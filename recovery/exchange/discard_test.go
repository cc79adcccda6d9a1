package exchange

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
)

// Only the directory that is meant goes, wherever its removal was cut off.
func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.old-7c31")
	tree := func() Identity {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Join(path, "base"), 0o700), os.WriteFile(filepath.Join(path, "base", "1"), []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		id, err := Identify(path)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	gone := func() {
		t.Helper()
		for _, p := range []string{path, path + leaving} {
			if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", p, err)
			}
		}
	}
	which := tree()
	for range 2 {
		if err := Discard(path, which); err != nil {
			t.Fatal(err)
		}
		gone()
	}
	// Cut off after it was taken out of its place.
	which = tree()
	if err := os.Rename(path, path+leaving); err != nil {
		t.Fatal(err)
	}
	if at, err := Standing(path); err != nil || at != which {
		t.Errorf("being removed: %v, %v", at, err)
	}
	if err := Discard(path, which); err != nil {
		t.Fatal(err)
	}
	gone()
	// Another one in its place.
	other := tree()
	which.Born++
	if err := Discard(path, which); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("another directory: %v", err)
	}
	if at, err := Identify(path); err != nil || at != other {
		t.Errorf("it was touched: %v, %v", at, err)
	}
	for _, bad := range []string{"", "shop", "/shop", dir + "/"} {
		if err := Discard(bad, which); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
}
