package bucket

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A line that a kill has cut off is no choice, and does not spoil the next one.
func TestOpenChosen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "by-hash")
	write := func(key, version string) {
		t.Helper()
		f, err := openChosen(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := json.NewEncoder(f).Encode(chosenVersion{Key: key, Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "1")
	write("b", "2")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		write("c", "3")
		got, err := readChosen(path)
		want := map[string]string{"c": "3"}
		if cut > len(whole)/2-1 {
			want["a"] = "1"
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("cut at %d: %v\n%s", cut, err, diff)
		}
	}
}
