package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What an archive has more than once is made in its order, also where that is cut off after
// any of its records and begun again, which may be cut off as well.
func TestTree_finish_again(t *testing.T) {
	const want = "a new a; b new a; c old; d old; e link to b; f/ ; g file; h link to x"
	records := []Record{
		{Type: HardLink, Path: "b", Link: "a"},
		{Type: HardLink, Path: "c", Link: "a"},
		{Type: Symlink, Path: "e", Link: "a"},
		{Type: Directory, Path: "f", Mode: 0o755},
		{Type: Directory, Path: "g", Mode: 0o755},
		{Type: Symlink, Path: "f/x", Link: "y"},
		{Type: File, Path: "a", At: 1},
		{Type: HardLink, Path: "b", Link: "a"},
		{Type: Symlink, Path: "e", Link: "b"},
		{Type: File, Path: "g", At: 2},
		{Type: HardLink, Path: "d", Link: "h"},
		{Type: Symlink, Path: "h", Link: "x"},
	}
	for first := range len(records) + 1 {
		for second := range len(records) + 1 {
			s := Place{Dir: t.TempDir()}
			tree, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			put := func(to func(Record, *strings.Reader) error, path string, at int64, text string) {
				r := Record{Type: File, Path: path, At: at, Size: int64(len(text)), Mode: 0o644, Modified: time.Unix(1, 0)}
				if err := to(r, strings.NewReader(text)); err != nil {
					t.Fatal(err)
				}
			}
			direct := func(r Record, in *strings.Reader) error { return tree.Put(r, in) }
			aside := func(r Record, in *strings.Reader) error { return tree.PutAside(r, in) }
			put(direct, "a", 0, "old")
			put(direct, "h", 0, "old")
			put(direct, "g", 0, "a file at first")
			put(aside, "a", 1, "new a")
			put(aside, "g", 2, "file")
			p := NewRepeats()
			for i := range records {
				records[i].Modified = time.Unix(1, 0)
				p.Note(records[i])
			}
			done := int64(0)
			for _, cut := range []int{first, second, len(records)} {
				err := tree.Finish(upTo(records, cut), NewOrder(&p, done, func(n int64) error { done = n; return nil }))
				if cut == len(records) && err != nil || cut < len(records) && !errors.Is(err, errCut) {
					t.Fatalf("cut after %d and %d: %v", first, second, err)
				}
			}
			if _, err := os.Lstat(tree.asidePath); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was put aside is still there: %v", err)
			}
			if got := told(t, s.Tree()); got != want {
				t.Errorf("cut after %d and %d: %s", first, second, got)
			}
			if err := tree.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var errCut = errors.New("cut off")

// upTo gives records, and fails before the cut one the second time that it is asked: the first
// time is a look.
func upTo(records []Record, cut int) func() iter.Seq2[Record, error] {
	looked := false
	return func() iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			for i, r := range records {
				if looked && i == cut {
					yield(Record{}, errCut)
					return
				}
				if !yield(r, nil) {
					return
				}
			}
			looked = true
		}
	}
}

// told is what lies in a directory.
func told(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var says []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		to, errLink := os.Readlink(path)
		text, _ := os.ReadFile(path) // of a directory nothing
		switch {
		case e.IsDir():
			says = append(says, e.Name()+"/ ")
		case errLink == nil:
			says = append(says, fmt.Sprintf("%s link to %s", e.Name(), to))
		default:
			says = append(says, fmt.Sprintf("%s %s", e.Name(), text))
		}
	}
	return strings.Join(says, "; ")
}
