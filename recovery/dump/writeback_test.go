package dump

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What a database's files have grown by is asked for once, in parts, and anew where a
// file was emptied; small files and those of sorts are left alone.
func TestGrowing_look(t *testing.T) {
	base := t.TempDir()
	size := func(name string, bytes int64) {
		t.Helper()
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(bytes); err != nil { // a hole takes no room
			t.Fatal(err)
		}
	}
	files := growing{}
	looks := func(want ...growth) {
		t.Helper()
		for i := range want {
			want[i].path = filepath.Join(base, want[i].path)
		}
		var got []growth
		got, files = files.look(base)
		if !slices.Equal(got, want) {
			t.Errorf("it finds %v, want %v", got, want)
		}
		for _, g := range got {
			g.write()
		}
	}
	size("16384/1", writebackFrom-1)
	size("16384/2", writebackAtMost+writebackFrom)
	size("16384/2_fsm", 1000)
	size("pgsql_tmp/pgsql_tmp77.0", 4*writebackFrom)
	looks(growth{"16384/2", 0, writebackAtMost}, growth{"16384/2", writebackAtMost, writebackAtMost + writebackFrom})
	looks()
	size("16384/1", writebackFrom)
	size("16385/2.1", writebackFrom+5)
	looks(growth{"16384/1", 0, writebackFrom}, growth{"16385/2.1", 0, writebackFrom + 5})
	size("16384/2", 0)
	if err := os.Remove(filepath.Join(base, "16384/1")); err != nil {
		t.Fatal(err)
	}
	looks()
	size("16384/2", 2*writebackFrom)
	size("16384/1", writebackFrom)
	looks(growth{"16384/1", 0, writebackFrom}, growth{"16384/2", 0, 2 * writebackFrom})
}
