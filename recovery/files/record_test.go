package files

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func FuzzReadRecords(f *testing.F) {
	at := time.Unix(1550000000, 7).UTC()
	for _, r := range []Record{
		{Type: File, Path: "a/b\n c", Mode: 0o4755, UID: 1, GID: 2, Modified: at, Size: 5, SHA256: strings.Repeat("ab", 32), Pack: 3, At: 9},
		{Type: Directory, Path: ".", Mode: 0o700, Modified: at},
		{Type: Symlink, Path: "\xff", Link: "../x", Modified: at},
		{Type: HardLink, Path: "b", Link: "a", Modified: at},
	} {
		f.Add(r.appendTo(nil))
	}
	f.Add([]byte("d - - - - 755 0 0 1.000000000 ../x\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for r, err := range readRecords(bytes.NewReader(text)) {
			if err != nil {
				return
			}
			if !sound(r.Path) {
				t.Fatalf("the path %q leads out", r.Path)
			}
			again := 0
			for same, err := range readRecords(bytes.NewReader(r.appendTo(nil))) {
				if again++; err != nil || !reflect.DeepEqual(r, same) {
					t.Fatalf("%+v becomes %+v, %v", r, same, err)
				}
			}
			if again != 1 {
				t.Fatalf("%+v becomes %d records", r, again)
			}
		}
	})
}
