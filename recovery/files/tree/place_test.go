package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// Where names in capital letters are the same names no tree is made, in which one file would
// come in the place of another.
func TestPlace_capitals(t *testing.T) {
	p := Place{Component: "uploads", Dir: t.TempDir(), Scratch: true}
	w, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(p.Dir, "TREE"), 0o700); err != nil {
		t.Fatal(err)
	}
	if folds(p.Tree()) {
		t.Error("two directories are taken for one")
	}
	defer func(real func(string) bool) { folds = real }(folds)
	folds = func(string) bool { return true }
	if _, err := p.Open(); err == nil || !strings.Contains(err.Error(), "does not tell upper from lower case") || !strings.Contains(recovery.HintOf(err), "--scratch") {
		t.Errorf("%v (%s)", err, recovery.HintOf(err))
	}
}
